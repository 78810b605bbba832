"""A packed set of finished runs: three Parquet files in a folder, which pandas opens and the store reads like runs.

`runs.parquet` has a row for each run, `predictions.parquet` one for each prediction, `fits.parquet` one for each fit.
Weights, drafts and training trajectories are not in it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.store.files import write_bytes
from rpobench.store.predictions import RARE, parse_record
from rpobench.store.results import StoredEnvironment, StoredResult, parse_stored
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.store.stored_run import StoredRun
from rpobench.store.training_logs import TrainingLogs, parse_training_logs
from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    import pyarrow

RUNS, PREDICTIONS, FITS = "runs.parquet", "predictions.parquet", "fits.parquet"
COMPRESSION = {"compression": "zstd", "compression_level": 19}
USAGE = ("calls", "prompt_tokens", "completion_tokens", "cached", "dollars")  # columns of a prediction's usage

OPTIONAL = ("kept", "cut", "unanswered", "seconds", *RARE)  # of a line; other columns may hold null

Json = Mapping[str, Any]


@dataclass(frozen=True)
class PackedRun:
    """A finished run as it is packed.

    Attributes:
        name: The name of its folder.
        spec: The content of `spec.json`.
        environment: The content of `environment.json`.
        result: The content of `result.json`.
        lines: The lines of `predictions.jsonl`.
    """

    name: str
    spec: Json
    environment: Json
    result: Json
    lines: Sequence[Json]


@dataclass(frozen=True)
class PackedFit:
    """What is packed of a fit.

    Attributes:
        digest: The name of its folder.
        spec: The content of `spec.json`.
        cost: The content of `fit.json`; None where there is none.
        logs: The lines of its training logs, by stage.
    """

    digest: str
    spec: Json
    cost: Json | None
    logs: Mapping[str, Sequence[Json]]


@dataclass
class PackedRuns:
    """The packed set in a folder. Its files are read when they are first needed, and once.

    Attributes:
        root: The folder.
    """

    root: Path

    @cached_property
    def runs(self) -> dict[str, PackedRun]:
        """The runs by name, without their lines; empty where the folder holds no packed set."""
        runs = {}
        for row in self._rows(RUNS):
            spec, environment, result = (json.loads(row[name]) for name in ("spec", "environment", "result"))
            runs[row["run"]] = PackedRun(row["run"], spec, environment, result, ())
        return runs

    @cached_property
    def fits(self) -> dict[str, PackedFit]:
        """The fits by digest."""
        fits = {}
        for row in self._rows(FITS):
            cost = json.loads(row["cost"]) if row["cost"] else None
            fits[row["fit"]] = PackedFit(row["fit"], json.loads(row["spec"]), cost, json.loads(row["logs"]))
        return fits

    def lines(self, name: str) -> list[Json]:
        """The predictions of a run, as the lines of `predictions.jsonl` hold them."""
        rows = self._predictions.slice(*self._slices[name]).to_pylist()
        return [_line_of_row(row) for row in rows]

    def load(self, name: str) -> StoredRun:
        """Load a run by its name.

        Raises:
            RpobenchError: Something in it is not in order; the text names file and field.
        """
        run, source = self.runs[name], self.root / RUNS
        spec = parse_stored(RunSpec, run.spec, f"{source}: {name}: spec")
        fit = self.fits.get(spec.fit) if spec.fit else None
        return StoredRun(
            spec=spec,
            result=parse_stored(StoredResult, run.result, f"{source}: {name}: result"),
            environment=parse_stored(StoredEnvironment, run.environment, f"{source}: {name}: environment"),
            folder=self.root / name,
            fit_folder=self.root / "fits" / spec.fit if spec.fit else None,
            fit_spec=parse_stored(FitSpec, fit.spec, f"{self.root / FITS}: {fit.digest}: spec") if fit else None,
            reader=PackedReader(self, name, fit),
        )

    def _rows(self, file_name: str) -> list[dict[str, Any]]:
        return self._table(file_name).to_pylist() if (self.root / file_name).exists() else []

    def _table(self, file_name: str) -> pyarrow.Table:
        import pyarrow
        from pyarrow import parquet

        file = self.root / file_name
        try:
            return parquet.read_table(io.BytesIO(file.read_bytes()))
        except (pyarrow.ArrowException, OSError) as error:
            raise RpobenchError(f"{file}: not readable as Parquet ({error}): fetch it again or move it away") from error

    @cached_property
    def _predictions(self) -> pyarrow.Table:
        return self._table(PREDICTIONS)

    @cached_property
    def _slices(self) -> dict[str, tuple[int, int]]:
        """Where each run's predictions begin, and how many there are: they stand together."""
        slices = dict.fromkeys(self.runs, (0, 0))
        for index, name in enumerate(self._predictions.column("run").to_pylist()):
            start, length = slices.get(name, (0, 0))
            slices[name] = (start if length else index, length + 1)
        return slices


@dataclass(frozen=True)
class PackedReader:
    """Reads one run of a packed set."""

    packed: PackedRuns
    name: str
    fit: PackedFit | None

    def predictions(self) -> dict[str, Prediction]:
        return {prediction.example_id: prediction for prediction, _ in self._parsed_lines()}

    def seconds(self) -> dict[str, float]:
        return {prediction.example_id: seconds for prediction, seconds in self._parsed_lines()}

    def training_logs(self) -> TrainingLogs:
        return parse_training_logs(self.fit.logs) if self.fit else {}

    def fit_cost(self) -> Json | None:
        return self.fit.cost if self.fit else None

    def _parsed_lines(self) -> list[tuple[Prediction, float]]:
        source = f"{self.packed.root / PREDICTIONS}: {self.name}"
        return [parse_record(line, source, number) for number, line in enumerate(self.packed.lines(self.name), 1)]


def write_packed(root: Path, runs: Sequence[PackedRun], fits: Sequence[PackedFit]) -> None:
    """Write a packed set: each of its files whole or not at all, and that of the runs last.

    Args:
        root: The folder.
        runs: All runs of the set, with their lines.
        fits: All fits of the set.
    """
    runs = sorted(runs, key=lambda run: run.name)
    predictions = [_row_of_line(run.name, line) for run in runs for line in run.lines]

    # A kill in between leaves predictions and fits that no run names: nobody reads them.
    write_bytes(
        root / FITS, _parquet([_fit_row(fit) for fit in sorted(fits, key=lambda fit: fit.digest)], _fit_schema())
    )
    write_bytes(root / PREDICTIONS, _parquet(predictions, _prediction_schema()))
    write_bytes(root / RUNS, _parquet([_run_row(run) for run in runs], _run_schema()))


def _parquet(rows: Sequence[Json], schema: pyarrow.Schema) -> bytes:
    """The rows as a Parquet file; the same rows give the same bytes."""
    import pyarrow
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), content, **COMPRESSION)
    return content.getvalue()


def _run_row(run: PackedRun) -> Json:
    """A run as a row: what readers sort by in columns of their own, and the three files as JSON."""
    spec, result = run.spec, run.result
    return {
        "run": run.name,
        "task": spec["task"],
        "method": spec["method"],
        "version": spec["version"],
        "base_model": spec["base_model"],
        "data": spec["data"]["source"],
        "world": spec["data"]["seed"],
        "split": spec["data"]["split"],
        "limit": spec["data"]["limit"],
        "profiles": spec["profiles"],
        "seed": spec["seed"],
        "fit": spec["fit"],
        "n": result["n"],
        "main_metric": result["main_metric"],
        "value": result["metrics"][result["main_metric"]],
        "spec": json.dumps(spec, sort_keys=True),
        "environment": json.dumps(run.environment, sort_keys=True),
        "result": json.dumps(result, sort_keys=True),
    }


def _run_schema() -> pyarrow.Schema:
    import pyarrow as pa

    texts = ("run", "task", "method", "version", "base_model", "data")
    more_texts = ("main_metric", "spec", "environment", "result")
    return pa.schema(
        [(name, pa.string()) for name in texts]
        + [("world", pa.int64()), ("split", pa.string()), ("limit", pa.int64()), ("profiles", pa.string())]
        + [("seed", pa.int64()), ("fit", pa.string()), ("n", pa.int64()), ("value", pa.float64())]
        + [(name, pa.string()) for name in more_texts]
    )


def _fit_row(fit: PackedFit) -> Json:
    return {
        "fit": fit.digest,
        "method": fit.spec["method"],
        "base_model": fit.spec["base_model"],
        "seed": fit.spec["seed"],
        "spec": json.dumps(fit.spec, sort_keys=True),
        "cost": None if fit.cost is None else json.dumps(fit.cost, sort_keys=True),
        "logs": json.dumps(fit.logs, sort_keys=True),
    }


def _fit_schema() -> pyarrow.Schema:
    import pyarrow as pa

    texts = ("fit", "method", "base_model", "spec", "cost", "logs")
    return pa.schema([(name, pa.string()) for name in texts] + [("seed", pa.int64())])


def _row_of_line(run: str, line: Json) -> Json:
    usage = line["usage"]
    row = {name: value for name, value in line.items() if name != "usage"}
    counts = {name: usage[name] for name in USAGE if name in usage}
    return {"run": run, **row, **counts, "answer_seconds": usage.get("seconds")}


def _line_of_row(row: Json) -> Json:
    """A row as a line of `predictions.jsonl`: without the columns that stay empty in it."""
    usage = {name: row[name] for name in USAGE if row[name] is not None or name == "dollars"}
    if row["answer_seconds"] is not None:
        usage["seconds"] = row["answer_seconds"]
    line = {name: value for name, value in row.items() if name not in (*USAGE, "answer_seconds", "run")}
    for name in OPTIONAL:
        if line.get(name) is None:  # a set that was packed earlier lacks the newest columns
            line.pop(name, None)
    return {**line, "usage": usage}


def _prediction_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("run", pa.string()),
            ("example_id", pa.string()),
            ("text", pa.string()),
            ("raw", pa.string()),
            ("draft", pa.string()),
            ("evidence", pa.list_(pa.string())),
            ("cut", pa.int64()),
            ("failure", pa.string()),
            ("trajectory", pa.string()),
            ("unanswered", pa.bool_()),
            ("kept", pa.bool_()),
            ("permanent", pa.bool_()),
            ("truncated", pa.bool_()),
            ("seconds", pa.float64()),
            ("calls", pa.int64()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
            ("answer_seconds", pa.float64()),
            ("cached", pa.int64()),
            ("dollars", pa.float64()),
        ]
    )
