"""Frozen descriptions of a trained artefact and of a run. A digest of one names its folder: same spec, same result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import SkipJsonSchema

from rpobench.store.identity import content_of, digest, former_identity
from rpobench.store.recorded import recorded_config

NOT_HASHED = ("config", "recorded_prompts")  # for readers; what of them counts stands in `knobs` and `prompts`
NEW_FIELDS = ("knobs", "recorded_prompts")  # that version 0.1 did not write


def digest_of(content: Mapping[str, Any]) -> str:
    """Compute the digest of a stored spec, which names its folder.

    Args:
        content: The fields as they stand in `spec.json`, also those that only earlier versions knew.

    Returns:
        12 hex digits. Version 0.1 wrote no `knobs` and hashed every field.
    """
    if content.get("knobs") is None:
        return digest({name: value for name, value in content.items() if name not in NEW_FIELDS})

    return digest({name: hashed_form(value) for name, value in content.items() if name not in NOT_HASHED})


def hashed_form(value: Any) -> Any:
    """Leave out of a part of a spec what data and models are called, where their content stands beside it.

    Args:
        value: A field of a spec as JSON has it.

    Returns:
        The same without the names of folders.
    """
    if isinstance(value, str):
        return content_of(value)
    if isinstance(value, list):
        return [hashed_form(part) for part in value]

    if isinstance(value, Mapping):
        name_to_skip = "source" if value.get("by_content") else None
        return {name: hashed_form(part) for name, part in value.items() if name != name_to_skip}
    return value


class DataSpec(BaseModel):
    """Which examples: the source, its version and content hash, the split, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str  # "synth-v1" with its knobs, or the folder's name; never a path, so that it means the same elsewhere
    split: str
    limit: int | None = None
    holdout: float | None = None
    seed: int = 0  # the world seed of synth, the user split of a holdout and the sample of users
    users: int | None = None  # of a folder: how many were drawn, where a preset counts users and not examples
    sample: str | None = None  # the rule by which `limit` left a part of a folder, "users"; None: the first of the file
    sha256: str  # of the examples and targets as loaded
    by_content: bool = False  # of a folder: its hash names it, and `source` is for readers

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        for name in ("by_content", "sample", "users"):
            if not content.get(name):  # as earlier versions wrote and hashed it
                content.pop(name, None)
        return content


class Spec(BaseModel):
    """What both specs have in common.

    `config` holds every knob, for readers. The digest covers only `knobs`, those that differ from the defaults of the
    method's version: so a knob that is added later, with a default that changes nothing, renames no run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    version: str
    config: dict[str, Any]
    knobs: dict[str, Any] | None = None  # None in specs of version 0.1
    base_model: str  # identity; of a fit: its drafts are training input
    models: dict[str, str] = {}  # identities of the other models the method is made of, by their role
    prompts: str | None = None  # hash of the method's own prompts, where it has any
    recorded_prompts: str | None = None  # the same as version 0.1 hashed them, to compare with its runs
    seed: int
    former: SkipJsonSchema[tuple[Self, ...]] = Field(default=(), exclude=True, repr=False)  # as other versions had it

    def digest(self) -> str:
        """The 12 hex digits that name the folder of a run or fit made by this spec."""
        return digest_of(self.content())

    def content(self) -> dict[str, Any]:
        """The fields as they are written to `spec.json`: in the form of version 0.1 where `knobs` is None."""
        content = self.model_dump(mode="json")
        if self.knobs is None:
            for name in NEW_FIELDS:
                del content[name]
        return content

    @property
    def comparable_prompts(self) -> str | None:
        """The hash of the prompts in the form that specs of every version have, so that their runs can be compared."""
        return self.prompts if self.knobs is None else self.recorded_prompts

    def with_folder_names(self, knobs: Mapping[str, Any]) -> Self:
        """Describe the same run or fit as it was described while the names of folders counted.

        Args:
            knobs: The knobs that differ from their defaults, as they are typed.

        Returns:
            A spec in which data and local models are what their folders are called.
        """
        by_name = {
            "knobs": dict(knobs),
            "base_model": former_identity(self.base_model),
            "models": {role: former_identity(identity) for role, identity in self.models.items()},
            "former": (),
        }
        return self.model_copy(update=by_name)

    def as_recorded(self, **changed: Any) -> Self:
        """Describe the same run or fit as version 0.1 would have.

        Args:
            changed: Fields that it knew under another value, such as `fit`.

        Returns:
            A spec without `knobs`, whose digest is the one of then.
        """
        recorded_fields = {
            "config": recorded_config(self.method, self.version, self.config, self.knobs or {}),
            "knobs": None,
            "prompts": self.recorded_prompts,
            "recorded_prompts": None,
            "former": (),
        }

        return self.model_copy(update={**recorded_fields, **changed})


class FitSpec(Spec):
    """A trained artefact: what was learned, from what, by whom."""

    train_tasks: tuple[str, ...]  # name@version
    data: tuple[DataSpec, ...]  # one a task, same order

    def with_folder_names(self, knobs: Mapping[str, Any]) -> Self:
        data = tuple(part.model_copy(update={"by_content": False}) for part in self.data)
        return super().with_folder_names(knobs).model_copy(update={"data": data})


class RunSpec(Spec):
    """One method on one task, one data set, one base model, one seed."""

    task: str  # name@version
    data: DataSpec
    profiles: Literal["own", "swapped"] = "own"
    fit: str | None = None  # digest of the FitSpec

    def with_folder_names(self, knobs: Mapping[str, Any]) -> Self:
        data = self.data.model_copy(update={"by_content": False})
        return super().with_folder_names(knobs).model_copy(update={"data": data})
