"""Frozen descriptions of a trained artefact and of a run. A digest of one names its folder: same spec, same result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


def digest_of(content: Mapping[str, Any]) -> str:
    """First 12 hex digits of the sha256 of the canonical JSON of a spec's fields, also of those that specs once had."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


class DataSpec(BaseModel):
    """Which examples: the source, its version and content hash, the split, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str  # "synth-v1" with its knobs, or the folder's name; never a path, so that it means the same elsewhere
    split: str
    limit: int | None = None
    holdout: float | None = None
    seed: int = 0  # the world seed of synth, the user split of a holdout
    sha256: str  # of the examples and targets as loaded


class Spec(BaseModel):
    """Shared by both specs: canonical JSON and its digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """First 12 hex digits of the sha256 of the canonical JSON."""
        return digest_of(self.model_dump(mode="json"))


class FitSpec(Spec):
    """A trained artefact: what was learned, from what, by whom."""

    method: str
    version: str
    config: dict[str, Any]
    train_tasks: tuple[str, ...]  # name@version
    data: tuple[DataSpec, ...]  # one a task, same order
    base_model: str  # identity: its drafts are training input
    models: dict[str, str] = {}  # identities of the other models the method is made of, by their role
    prompts: str | None = None  # hash of the method's own prompts, where it has any
    seed: int


class RunSpec(Spec):
    """One method on one task, one data set, one base model, one seed."""

    task: str  # name@version
    data: DataSpec
    profiles: Literal["own", "swapped"] = "own"
    method: str
    version: str
    config: dict[str, Any]
    base_model: str
    models: dict[str, str] = {}  # as in FitSpec
    prompts: str | None = None
    fit: str | None = None  # digest of the FitSpec
    seed: int
