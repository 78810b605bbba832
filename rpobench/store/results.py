"""What the JSON files of a run must hold to be read back. Others may be in them; wrong or missing ones are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from rpobench.store.files import read_json
from rpobench.store.predictions import KEPT
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    from rpobench.store.spec import RunSpec


class StoredExample(BaseModel):
    """What a result keeps of one example: see `measures`."""

    user: str
    profile_items: int
    measures: list[float]
    references: dict[str, float]


class StoredEvidence(BaseModel):
    """What was shown of the profiles: see `shown`."""

    items: float
    cut: float
    on_topic: float | None


class StoredResult(BaseModel):
    """`result.json`, as `runner.score` makes it."""

    schema_version: int = Field(alias="schema")
    metrics: dict[str, float]
    strict: dict[str, float]
    scores: dict[str, float]
    references: dict[str, dict[str, float]]
    n: int
    failed: int
    unanswered: int = 0
    seconds: float
    usage: dict[str, Any]
    users: str
    main_metric: str
    directions: dict[str, Literal["max", "min"]]
    texts: bool
    synthetic: bool
    imported: bool = False  # predictions made elsewhere
    fit_seconds: float | None = None
    fit_tokens: dict[str, int] | None = None  # that its fit trained on, by stage
    evidence: StoredEvidence | None = None
    kept: float | None = None  # share of the examples whose draft a gate kept; only of methods with a gate
    examples: dict[str, StoredExample] | None = None  # from schema 2 on


class StoredEnvironment(BaseModel):
    """`environment.json`; its other fields are for readers."""

    data_sha256: str
    prompt_sha256: str
    recorded_prompt_sha256: str | None = None  # in the form of version 0.1, so that its runs can be compared


def read_run_spec(file: Path) -> dict[str, Any]:
    """The `spec.json` of a run, as it stands."""
    return _read(file, RunSpec)


def read_fit_spec(file: Path) -> dict[str, Any]:
    """The `spec.json` of a fit, as it stands."""
    return _read(file, FitSpec)


def read_result(file: Path) -> dict[str, Any]:
    """The `result.json` of a run, as it stands."""
    return _read(file, StoredResult)


def read_environment(file: Path) -> dict[str, Any]:
    """The `environment.json` of a run, as it stands."""
    return _read(file, StoredEnvironment)


def published_schema() -> dict[str, Any]:
    """The JSON schema of a run's files; a line of predictions.jsonl also has `seconds`. See leaderboard/schema."""
    files: dict[str, TypeAdapter[Any]] = {
        "spec.json": TypeAdapter(RunSpec),
        "environment.json": TypeAdapter(StoredEnvironment),
        "predictions.jsonl (a line)": TypeAdapter(Prediction),
        "result.json": TypeAdapter(StoredResult),
    }
    shapes, defined = TypeAdapter.json_schemas([(name, "validation", shape) for name, shape in files.items()])
    line = defined["$defs"][Prediction.__name__]["properties"]
    line[KEPT] = {**line.pop("draft_kept"), "title": "Kept"}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Files of an rpobench run, schema {SCHEMA_VERSION}",
        "type": "object",
        "properties": {name: shapes[name, "validation"] for name in files},
        "required": list(files),
        **defined,
    }


def _read(file: Path, shape: type[BaseModel]) -> dict[str, Any]:
    content = read_json(file)
    try:
        shape.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RpobenchError(f"{file}: {place!r}: {first['msg'].lower()}: move its folder away") from error
    return content


SCHEMA_VERSION = 2  # of result.json; 2 added `examples`
