"""The shapes of a run's JSON files, and how they are read: validated once, and typed from then on.

Every shape also takes fields that it does not name, so that files of a newer version can be read and written back
without losing anything. A wrong or missing field is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from rpobench.store.files import read_json
from rpobench.store.origin import DataOrigin
from rpobench.store.predictions import KEPT_FIELD
from rpobench.store.shape import Stored
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.types import Prediction, RpobenchError

SCHEMA_VERSION = 2  # of result.json; 2 added `examples`
SHARED_FILES = "shared_files"  # in environment.json of runs and fits: what they read that others may read too

Shape = TypeVar("Shape", bound=BaseModel)


class StoredExample(Stored):
    """What a result keeps of one example, see `rpobench.scoring.result`."""

    user: str
    profile_items: int
    measures: list[float]
    references: dict[str, float]


class StoredEvidence(Stored):
    """What was shown of the profiles, see `rpobench.scoring.result`."""

    items: float
    cut: float
    on_topic: float | None


class StoredUsage(Stored):
    """What the answers cost, as `rpobench.types.Usage` counts it."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cached: int = 0
    dollars: float | None = None


class StoredResult(Stored):
    """`result.json`: metrics, scores, counts and cost of a finished run."""

    schema_version: int = Field(alias="schema")
    metrics: dict[str, float]
    strict: dict[str, float]
    scores: dict[str, float]
    references: dict[str, dict[str, float]]
    n: int
    failed: int
    unanswered: int = 0
    seconds: float
    usage: StoredUsage
    users: str
    main_metric: str
    directions: dict[str, Literal["max", "min"]]
    texts: bool
    synthetic: bool
    imported: bool = False  # predictions made elsewhere
    unscored: bool = False  # its split has no targets: metrics, scores and measures are empty
    withhold_texts: bool = False  # the data says that its texts are not to be packed
    scores_only: bool = False  # of a packed run: its texts are not there
    fit_seconds: float | None = None
    fit_tokens: dict[str, int] | None = None  # that its fit trained on, by stage
    fit_left_out: dict[str, int] | None = None  # training examples that its fit went without, by task
    evidence: StoredEvidence | None = None
    # Share of the examples whose draft a gate kept; only of methods with a gate.
    kept_draft_share: float | None = Field(None, alias="kept")
    examples: dict[str, StoredExample] | None = None  # from schema 2 on
    origin: DataOrigin | None = None  # of data that says where it comes from and under which licence


def list_known_fields(stored: Stored) -> dict[str, Any]:
    """Return the content as it stands on disk, without the fields that are unknown here.

    Args:
        stored: What was read.

    Returns:
        A JSON object; objects in it are pruned alike.
    """
    content = {}
    for name, field in type(stored).model_fields.items():
        if name in stored.model_fields_set:
            content[field.alias or name] = _prune(getattr(stored, name))
    return content


def _prune(value: Any) -> Any:
    if isinstance(value, Stored):
        return list_known_fields(value)
    if isinstance(value, Mapping):
        return {name: _prune(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_prune(part) for part in value]
    return value


class StoredCode(Stored):
    """The code of the method that made something, see `rpobench.method.code`."""

    sha256: str
    distribution: str | None = None
    version: str | None = None
    modules: dict[str, str] = Field({})


class StoredEnvironment(Stored):
    """`environment.json`: what a run was made with. Its other fields are for readers."""

    data_sha256: str
    prompt_sha256: str
    recorded_prompt_sha256: str | None = None  # in the form of version 0.1, so that its runs can be compared
    reference_tokenizer: str | None = None
    label: str | None = None  # what its row is called, by `--label`
    code: StoredCode | None = None  # None of imports, and of what was made before code was noted

    @property
    def comparable_prompts(self) -> str:
        """The hash of the task's prompts in the form that runs of every version have, so that they can be compared."""
        return self.recorded_prompt_sha256 or self.prompt_sha256


def read_run_spec(file: Path) -> RunSpec:
    """Read the `spec.json` of a run."""
    return parse_stored(RunSpec, read_json(file), file)


def read_fit_spec(file: Path) -> FitSpec:
    """Read the `spec.json` of a fit."""
    return parse_stored(FitSpec, read_json(file), file)


def read_result(file: Path) -> StoredResult:
    """Read the `result.json` of a run."""
    return parse_stored(StoredResult, read_json(file), file)


def read_noted_code(file: Path) -> StoredCode | None:
    """Read which code made a run or a fit, from its `environment.json`; None where none was noted."""
    noted = read_json(file).get("code") if file.exists() else None
    return parse_stored(StoredCode, noted, f"{file}: code") if noted else None


def read_shared_files(file: Path) -> frozenset[str] | None:
    """Read which shared files a run or a fit reads, from its `environment.json`.

    Args:
        file: The file, which need not exist.

    Returns:
        Paths under the folder of runs; None where that was not noted.
    """
    noted = read_json(file).get(SHARED_FILES) if file.exists() else None
    return frozenset(map(str, noted)) if isinstance(noted, list) else None


def read_environment(file: Path) -> StoredEnvironment:
    """Read the `environment.json` of a run."""
    return parse_stored(StoredEnvironment, read_json(file), file)


def parse_stored(shape: type[Shape], content: Mapping[str, Any], source: Path | str) -> Shape:
    """Validate JSON content strictly against its shape.

    Args:
        shape: The model of the file.
        content: What `json.loads` returned.
        source: The file, or another name of where the content is from, for the error.

    Returns:
        The model; the fields that `content` lacks are unset in it.

    Raises:
        RpobenchError: A field is missing or wrong; the text names the source and the field.
    """
    text = json.dumps(content)  # pydantic's strict mode takes tuples and the like from JSON text alone

    try:
        return shape.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise RpobenchError(f"{source}: {field!r}: {first['msg'].lower()}: move its folder away") from error


def published_schema() -> dict[str, Any]:
    """Make the JSON schema of a run's files, which is committed in leaderboard/schema.

    Returns:
        A schema with a property for each file. It does not name the field `seconds` of a line of predictions.jsonl.
    """
    files: dict[str, TypeAdapter[Any]] = {
        "spec.json": TypeAdapter(RunSpec),
        "environment.json": TypeAdapter(StoredEnvironment),
        "predictions.jsonl (a line)": TypeAdapter(Prediction),
        "result.json": TypeAdapter(StoredResult),
    }
    shapes, definitions = TypeAdapter.json_schemas([(name, "validation", shape) for name, shape in files.items()])

    line = definitions["$defs"][Prediction.__name__]["properties"]
    line[KEPT_FIELD] = {**line.pop("draft_kept"), "title": "Kept"}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Files of an rpobench run, schema {SCHEMA_VERSION}",
        "type": "object",
        "properties": {name: shapes[name, "validation"] for name in files},
        "required": list(files),
        **definitions,
    }
