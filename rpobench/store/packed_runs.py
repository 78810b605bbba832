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
from rpobench.store.packed_schemas import OPTIONAL_FIELDS, fit_schema, fit_to_schema, prediction_schema, run_schema
from rpobench.store.predictions import parse_record
from rpobench.store.results import StoredEnvironment, StoredResult, parse_stored
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.store.stored_run import StoredRun
from rpobench.store.training_logs import TrainingLogs, parse_training_logs
from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    import pyarrow

RUNS, PREDICTIONS, FITS = "runs.parquet", "predictions.parquet", "fits.parquet"
COMPRESSION = {"compression": "zstd", "compression_level": 19}

# The fields of a prediction's usage have columns of their own; its `seconds` is the column `answer_seconds`, since
# `seconds` is what the whole prediction took.
USAGE_COLUMNS = ("calls", "prompt_tokens", "completion_tokens", "cached", "dollars")

ADVICE = "fetch it again or move it away"

Json = Mapping[str, Any]  # an object as it stands in a file of the store


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
        for row in self._read_rows(RUNS, run_schema()):
            name = self._check_folder_name(row["run"], RUNS)
            runs[name] = PackedRun(
                name=name,
                spec=self._parse_object(row, "spec", RUNS, name),
                environment=self._parse_object(row, "environment", RUNS, name),
                result=self._parse_object(row, "result", RUNS, name),
                lines=(),
            )
        return runs

    @cached_property
    def fits(self) -> dict[str, PackedFit]:
        """The fits by digest."""
        fits = {}
        for row in self._read_rows(FITS, fit_schema()):
            digest = self._check_folder_name(row["fit"], FITS)
            spec = self._parse_object(row, "spec", FITS, digest)
            cost = self._parse_object(row, "cost", FITS, digest) if row["cost"] else None
            logs = self._parse_object(row, "logs", FITS, digest)
            if not all(isinstance(entries, list) for entries in logs.values()):
                raise RpobenchError(f"{self.root / FITS}: {digest}: logs: a stage is no list of lines: {ADVICE}")

            fits[digest] = PackedFit(digest, spec, cost, logs)
        return fits

    def lines(self, name: str) -> list[Json]:
        """Read the predictions of a run, as the lines of `predictions.jsonl` hold them."""
        import pyarrow

        row_indices = pyarrow.array(self._rows_by_run.get(name, []), pyarrow.int64())
        rows = self._predictions.take(row_indices).to_pylist()
        return [_restore_line(row) for row in rows]

    def load(self, name: str) -> StoredRun:
        """Load a run.

        Args:
            name: Its name, which must be in the set.

        Returns:
            The run; its predictions and logs are read when they are asked for.

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
            reader=PackedReader(self, name, fit, scores_only=run.result.get("scores_only") is True),
        )

    def _read_rows(self, file_name: str, schema: pyarrow.Schema) -> list[dict[str, Any]]:
        return self._read_table(file_name, schema).to_pylist() if (self.root / file_name).exists() else []

    def _read_table(self, file_name: str, schema: pyarrow.Schema) -> pyarrow.Table:
        import pyarrow
        from pyarrow import parquet

        file = self.root / file_name
        try:
            table = parquet.read_table(io.BytesIO(file.read_bytes()))
        except (pyarrow.ArrowException, OSError) as error:
            raise RpobenchError(f"{file}: not readable as Parquet ({error}): {ADVICE}") from error

        try:
            return fit_to_schema(table, schema)
        except (pyarrow.ArrowException, ValueError) as error:
            raise RpobenchError(f"{file}: its columns are not those of a packed set ({error}): {ADVICE}") from error

    def _check_folder_name(self, name: str | None, file_name: str) -> str:
        """The name of a run or a fit, which is that of its folder and never a path."""
        if name is None or name != Path(name).name:
            raise RpobenchError(f"{self.root / file_name}: {name!r} names no folder: {ADVICE}")
        return name

    def _parse_object(self, row: Json, column: str, file_name: str, name: str) -> dict[str, Any]:
        """Parse the JSON object in a column of a run's or a fit's row."""
        source = f"{self.root / file_name}: {name}: {column}"
        try:
            content = json.loads(row[column] or "")
        except (ValueError, RecursionError) as error:
            raise RpobenchError(f"{source}: is no JSON ({error}): {ADVICE}") from error

        if not isinstance(content, dict):
            raise RpobenchError(f"{source}: is no JSON object: {ADVICE}")
        return content

    @cached_property
    def _predictions(self) -> pyarrow.Table:
        return self._read_table(PREDICTIONS, prediction_schema())

    @cached_property
    def _rows_by_run(self) -> dict[str, list[int]]:
        """Indices of the rows of each run's predictions, by the run's name."""
        rows_by_run: dict[str, list[int]] = {}
        for row_index, name in enumerate(self._predictions.column("run").to_pylist()):
            rows_by_run.setdefault(name, []).append(row_index)
        return rows_by_run


@dataclass(frozen=True)
class PackedReader:
    """Reads what is large of one run of a packed set.

    Attributes:
        packed: The set.
        name: The run's name.
        fit: What is packed of its fit; None where it trained nothing, or its fit was not packed.
        scores_only: Whether its texts were left out: they are read as empty ones.
    """

    packed: PackedRuns
    name: str
    fit: PackedFit | None
    scores_only: bool = False

    def predictions(self) -> dict[str, Prediction]:
        return {prediction.example_id: prediction for prediction, _ in self._parse_lines()}

    def seconds(self) -> dict[str, float]:
        return {prediction.example_id: seconds for prediction, seconds in self._parse_lines()}

    def training_logs(self) -> TrainingLogs:
        return parse_training_logs(self.fit.logs) if self.fit else {}

    def fit_cost(self) -> Json | None:
        return self.fit.cost if self.fit else None

    def _parse_lines(self) -> list[tuple[Prediction, float]]:
        source = f"{self.packed.root / PREDICTIONS}: {self.name}"
        lines = self.packed.lines(self.name)
        if self.scores_only:
            lines = [{**line, "text": line["text"] or "", "raw": line["raw"] or ""} for line in lines]
        return [parse_record(line, source, number) for number, line in enumerate(lines, start=1)]


def write_packed(root: Path, runs: Sequence[PackedRun], fits: Sequence[PackedFit]) -> None:
    """Write a packed set: each of its files whole or not at all, and that of the runs last.

    Args:
        root: The folder.
        runs: All runs of the set, with their lines.
        fits: All fits of the set.
    """
    runs = sorted(runs, key=lambda run: run.name)
    fits = sorted(fits, key=lambda fit: fit.digest)

    run_rows = [_make_run_row(run) for run in runs]
    prediction_rows = [_make_prediction_row(run.name, line) for run in runs for line in run.lines]
    fit_rows = [_make_fit_row(fit) for fit in fits]

    # A kill in between leaves predictions and fits that no run names: nobody reads them.
    write_bytes(root / FITS, _encode_parquet(fit_rows, fit_schema()))
    write_bytes(root / PREDICTIONS, _encode_parquet(prediction_rows, prediction_schema()))
    write_bytes(root / RUNS, _encode_parquet(run_rows, run_schema()))


def _encode_parquet(rows: Sequence[Json], schema: pyarrow.Schema) -> bytes:
    """Encode rows as a Parquet file; the same rows give the same bytes."""
    import pyarrow
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), content, **COMPRESSION)
    return content.getvalue()


def _make_run_row(run: PackedRun) -> Json:
    """Make a run's row: what readers sort by in columns of their own, and the three files as JSON."""
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


def _make_fit_row(fit: PackedFit) -> Json:
    return {
        "fit": fit.digest,
        "method": fit.spec["method"],
        "base_model": fit.spec["base_model"],
        "seed": fit.spec["seed"],
        "spec": json.dumps(fit.spec, sort_keys=True),
        "cost": None if fit.cost is None else json.dumps(fit.cost, sort_keys=True),
        "logs": json.dumps(fit.logs, sort_keys=True),
    }


def _make_prediction_row(run_name: str, line: Json) -> Json:
    """Make the row of a line of `predictions.jsonl`; fields that the line lacks stay empty."""
    usage = line["usage"]
    usage_columns = {name: usage[name] for name in USAGE_COLUMNS if name in usage}
    other_columns = {name: value for name, value in line.items() if name != "usage"}

    return {"run": run_name, **other_columns, **usage_columns, "answer_seconds": usage.get("seconds")}


def _restore_line(row: Json) -> Json:
    """Make the line of `predictions.jsonl` that a row was made of: without the fields that it lacked."""
    usage = {name: row[name] for name in USAGE_COLUMNS if row[name] is not None or name == "dollars"}
    if row["answer_seconds"] is not None:
        usage["seconds"] = row["answer_seconds"]

    line = {name: value for name, value in row.items() if name not in (*USAGE_COLUMNS, "answer_seconds", "run")}
    for name in OPTIONAL_FIELDS:
        if line[name] is None:
            del line[name]

    return {**line, "usage": usage}
