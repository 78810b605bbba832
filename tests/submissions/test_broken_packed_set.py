"""A packed set that is not in order: the error names column, value or run, in one line, and nothing is added to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from packing import pack
from run_answers import perfect
from typer.testing import CliRunner

from rpobench.cli.main import app
from rpobench.store.packed_runs import FITS, PREDICTIONS, RUNS
from rpobench.store.result_store import ResultStore
from rpobench.submissions.check import check_runs
from rpobench.types import RpobenchError

Make = Callable[..., Path]


def test_a_changed_packed_run_is_not_in_order(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    make_run("good", perfect)
    pack(*folders)
    predictions = pandas.read_parquet(tmp_path / "packed" / PREDICTIONS)
    predictions["text"] = "1"
    predictions.to_parquet(tmp_path / "packed" / PREDICTIONS)

    (report,) = check_runs(tmp_path / "packed")
    assert any("from the predictions it is" in fault for fault in report.faults)

    runs = pandas.read_parquet(tmp_path / "packed" / RUNS)
    runs["spec"] = runs["spec"].str.replace('"base_model": "m"', '"base_model": "n"')
    runs.to_parquet(tmp_path / "packed" / RUNS)

    (report,) = check_runs(tmp_path / "packed")
    assert any("its digest is" in fault for fault in report.faults)


def test_a_file_that_is_no_parquet_is_named(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    make_run("good", perfect)
    pack(*folders)
    (tmp_path / "packed" / RUNS).write_bytes(b"no parquet")

    with pytest.raises(RpobenchError, match=r"runs\.parquet: not readable as Parquet"):
        ResultStore(tmp_path / "packed").find_runs()


@pytest.mark.parametrize(
    ("name", "column", "value", "fault"),
    [
        (RUNS, "spec", "{", "spec: is no JSON"),
        (RUNS, "result", None, "result: is no JSON"),
        (RUNS, "result", "[" * 100_000, "result: is no JSON"),
        (RUNS, "environment", "[1]", "environment: is no JSON object"),
        (RUNS, "run", None, "None names no folder"),
        (RUNS, "run", "../run", "'../run' names no folder"),
        (RUNS, "world", "first", "its columns are not those"),
        (FITS, "cost", "[1]", "cost: is no JSON object"),
        (FITS, "logs", '{"sft": 1}', "logs: a stage is no list of lines"),
        (PREDICTIONS, "run", "another", "0 examples, 24 were scored"),
        (PREDICTIONS, "text", None, "text None is no text"),
        (PREDICTIONS, "example_id", None, "example_id None is no text"),
        (PREDICTIONS, "evidence", None, "line 1 is no prediction"),
    ],
)
def test_a_broken_value_of_a_packed_set_is_named(
    trained: Path, tmp_path: Path, folders: tuple[object, ...], name: str, column: str, value: object, fault: str
) -> None:
    assert pack(*folders).exit_code == 0
    frame = pandas.read_parquet(tmp_path / "packed" / name)
    frame[column] = value
    frame.to_parquet(tmp_path / "packed" / name)

    refused = CliRunner().invoke(app, ["check", str(tmp_path / "packed")])

    assert isinstance(refused.exception, RpobenchError), refused.exception
    assert fault in str(refused.exception)


@pytest.mark.parametrize(("name", "column"), [(RUNS, "run"), (RUNS, "spec"), (PREDICTIONS, "run"), (FITS, "cost")])
def test_a_missing_column_of_a_packed_set_is_named(
    trained: Path, tmp_path: Path, folders: tuple[object, ...], name: str, column: str
) -> None:
    assert pack(*folders).exit_code == 0
    file = tmp_path / "packed" / name
    pandas.read_parquet(file).drop(columns=[column]).to_parquet(file)

    refused = CliRunner().invoke(app, ["check", str(tmp_path / "packed")])

    assert isinstance(refused.exception, RpobenchError), refused.exception
    assert f"{file}: its columns are not those of a packed set ({column!r} is there 0 times)" in str(refused.exception)


def test_predictions_may_stand_in_any_order(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    make_run("good", perfect)
    make_run("poor", lambda position, target, rng: str(rng.randint(1, 5)))
    assert pack(*folders).exit_code == 0
    before = [run.predictions() for run in ResultStore(tmp_path / "packed").find_runs()]
    file = tmp_path / "packed" / PREDICTIONS

    pandas.read_parquet(file).sort_values("example_id").to_parquet(file)  # with an index as one more column

    assert [run.predictions() for run in ResultStore(tmp_path / "packed").find_runs()] == before
    assert [report.faults for report in check_runs(tmp_path / "packed")] == [[], []]


def test_nothing_is_added_to_a_set_that_is_not_in_order(
    make_run: Make, tmp_path: Path, folders: tuple[object, ...]
) -> None:
    make_run("good", perfect)
    assert pack(*folders).exit_code == 0
    file = tmp_path / "packed" / RUNS
    runs = pandas.read_parquet(file)
    runs["spec"] = "{}"
    runs.to_parquet(file)

    refused = pack(*folders)

    assert isinstance(refused.exception, RpobenchError) and f"{file}: " in str(refused.exception), refused.exception
