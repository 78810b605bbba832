"""`rpobench pack`: packed runs read back as they were, and what must not be committed stays behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from packing import change_json, pack
from run_answers import perfect
from typer.testing import CliRunner

import rpobench
from rpobench.cli.main import app
from rpobench.models.scripted import ScriptedModel
from rpobench.store.files import write_bytes, write_json
from rpobench.store.packed_runs import FITS, PREDICTIONS, RUNS
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import FIT_COST, StoredRun
from rpobench.submissions.check import check_runs
from rpobench.types import RpobenchError

Make = Callable[..., Path]
FILES = {RUNS, PREDICTIONS, FITS}


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def packed_names(tmp_path: Path) -> list[str]:
    return [run.name for run in ResultStore(tmp_path / "packed").find_runs()]


def contents(run: StoredRun) -> tuple[Any, ...]:
    """Everything that a stored run knows, but where it lies."""
    fit = run.fit_spec.content() if run.fit_spec else None
    logs, cost = run.training_logs(), run.reader.fit_cost()
    files_of_run = run.spec.content(), run.result.to_json(), run.environment.to_json()
    return (run.name, *files_of_run, run.predictions(), run.reader.seconds(), fit, logs, cost)


def test_packed_runs_read_back_as_they_were(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run, other = make_run("good", perfect), make_run("good", perfect, profiles="swapped", task="LaMP-7")

    done = pack(*folders)

    assert done.exit_code == 0 and done.stdout.splitlines() == sorted((run.name, other.name)), done.output
    assert set(files(tmp_path / "packed")) == FILES
    before, after = (ResultStore(tmp_path / name).find_runs() for name in ("runs", "packed"))
    assert [contents(stored) for stored in after] == [contents(stored) for stored in before]
    assert [report.faults for report in check_runs(tmp_path / "packed")] == [[], []]


def test_pandas_opens_a_packed_set(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run = make_run("good", perfect)
    pack(*folders)

    runs = pandas.read_parquet(tmp_path / "packed" / RUNS)
    predictions = pandas.read_parquet(tmp_path / "packed" / PREDICTIONS)

    assert runs[["run", "method", "task", "main_metric", "value"]].values.tolist() == [
        [run.name, "good", "LaMP-3@2", "MAE", 0.0]
    ]
    assert json.loads(runs["spec"][0]) == json.loads((run / "spec.json").read_text())
    assert len(predictions) == 24 and set(predictions["run"]) == {run.name}


def test_packing_again_adds_and_writes_the_same_bytes(
    make_run: Make, tmp_path: Path, folders: tuple[object, ...]
) -> None:
    run = make_run("good", perfect)
    assert pack(*folders).exit_code == 0
    first = files(tmp_path / "packed")
    better = make_run("better", perfect)

    assert pack(*folders).exit_code == 0

    assert packed_names(tmp_path) == sorted((run.name, better.name))
    assert pack(run.name, "--runs", tmp_path / "packed", "--out", tmp_path / "again").exit_code == 0
    assert files(tmp_path / "again") == first


def test_every_reader_takes_a_packed_set_for_runs(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run = make_run("good", perfect)
    make_run("poor", lambda position, target, rng: str(rng.randint(1, 5)))
    assert pack(*folders).exit_code == 0

    for command in (
        ("report", "--format", "md"),
        ("report", "--format", "html", "--no-text"),
        ("compare", "good", "poor", "--json"),
        ("show", run.name, "--json"),
        ("list", "runs"),
    ):
        printed = [CliRunner().invoke(app, [*command, "--runs", str(tmp_path / name)]) for name in ("runs", "packed")]
        assert printed[0].exit_code == printed[1].exit_code == 0, printed[1].exception
        assert printed[0].stdout == printed[1].stdout, command
    for path in (tmp_path / "packed", tmp_path / "packed" / run.name):
        assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0


def test_a_command_goes_on_from_packed_runs(tmp_path: Path, model: ScriptedModel, folders: tuple[object, ...]) -> None:
    arguments: dict[str, Any] = {"method": "zero-shot,majority", "task": "LaMP-3", "limit": 6}
    first = rpobench.run(**arguments, out=tmp_path / "runs")
    assert pack(*folders).exit_code == 0
    calls = model.calls

    assert rpobench.run(**arguments, out=tmp_path / "packed") == first

    assert model.calls == calls
    assert set(files(tmp_path / "packed")) == FILES


def test_what_is_not_to_be_committed_is_left_out_and_named(
    make_run: Make, tmp_path: Path, folders: tuple[object, ...]
) -> None:
    begun, mails = make_run("begun", perfect), make_run("mails", perfect, task="LaMP-6", source="LaMP_6", texts=False)
    silent, made_up = make_run("silent", perfect), make_run("made-up", perfect, task="LaMP-6")
    private = make_run("private", perfect, texts=False)
    (begun / "result.json").unlink()
    change_json(mails / "result.json", synthetic=False)
    lines = (silent / "predictions.jsonl").read_text()
    (silent / "predictions.jsonl").write_text(lines.replace('"unanswered": false', '"unanswered": true', 1))
    change_json(silent / "result.json", unanswered=1)
    for name in ("drafts", "written", "users"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "some.jsonl").write_text("{}\n")

    done = pack(*folders)

    assert done.exit_code == 0 and done.stdout == f"{made_up.name}\n"
    assert set(done.stderr.splitlines()) == {
        f"{begun.name}: left out: not finished",
        f"{silent.name}: left out: 1 examples have no answer: the command that made it asks them again",
        f"{mails.name}: left out: its predictions hold texts of LaMP-6's licensed data",
        f"{private.name}: left out: made with --no-text, and its predictions hold texts",
    }
    assert packed_names(tmp_path) == [made_up.name] and set(files(tmp_path / "packed")) == FILES
    assert pack(begun.name, *folders).exit_code == 1, "who names a run wants it packed"


def test_a_run_that_is_not_in_order_stops_no_other(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    torn, edited, lost, good = (make_run(name, perfect) for name in ("torn", "edited", "lost", "sound"))
    (torn / "predictions.jsonl").write_bytes((torn / "predictions.jsonl").read_bytes()[:-10])
    change_json(edited / "spec.json", seed=5)
    (lost / "environment.json").unlink()

    done = pack(*folders)

    assert done.exit_code == 1 and isinstance(done.exception, RpobenchError)
    assert done.stdout == f"{good.name}\n"
    for run, fault in ((torn, "23 examples, 24"), (edited, "its digest is"), (lost, "environment.json")):
        assert f"{run.name}: left out: " in done.stderr and fault in done.stderr
    assert packed_names(tmp_path) == [good.name]


def test_half_a_character_cannot_be_packed(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run = make_run("good", lambda position, target, rng: "a\ud800", task="LaMP-7")

    done = pack(*folders)

    assert done.exit_code == 1 and f"{run.name}: left out: " in done.stderr
    assert "half a character" in done.stderr and not (tmp_path / "packed").exists()


def test_of_a_fit_its_spec_cost_and_logs_are_packed_alone(
    trained: Path, tmp_path: Path, folders: tuple[object, ...]
) -> None:
    logs = {"sft.jsonl": b'{"step": 1, "loss": 2.0}\n\n{"step": 2, "loss": null}\n', "grpo.jsonl": b'{"step": 1}\n'}
    others = {
        "trajectories.jsonl": b'{"shows": "a", "lacks": "b"}\n',
        "quoted.jsonl": b'{"step": 1, "text": "a mail"}\n',
        "torn.jsonl": b'{"step": 1}\n{"step"',
        "deep.jsonl": b"[" * 100_000,
        "bytes.jsonl": b"\xff\n",
        "adapter/adapter_model.safetensors": b"weights",
    }
    for name, content in {**logs, **others}.items():
        write_bytes(trained / "checkpoint" / name, content)

    assert pack(*folders).exit_code == 0

    (fit,) = ResultStore(tmp_path / "packed").packed.fits.values()
    assert fit.digest == trained.name and fit.spec == json.loads((trained / "spec.json").read_text())
    assert fit.cost == json.loads((trained / FIT_COST).read_text())
    assert fit.logs == {"sft": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}], "grpo": [{"step": 1}]}
    fits = (tmp_path / "packed" / FITS).read_bytes()
    assert b"weights" not in fits and b"a mail" not in fits
    (run,) = ResultStore(tmp_path / "packed").find_runs()
    assert run.training_logs()["sft"][0].figures == {"loss": 2.0}


def test_another_training_of_a_fit_is_left_as_it_is(trained: Path, tmp_path: Path, folders: tuple[object, ...]) -> None:
    folder = ResultStore(tmp_path / "packed").fit_folder(trained.name)
    write_bytes(folder / "work" / "state", b"of a training under way")
    before = files(tmp_path / "packed")

    done = pack(*folders)

    assert done.exit_code == 1 and "holds another training of this fit" in done.stderr
    assert files(tmp_path / "packed") == before


def test_another_cost_of_a_packed_fit_is_refused(trained: Path, tmp_path: Path, folders: tuple[object, ...]) -> None:
    assert pack(*folders).exit_code == 0
    before = files(tmp_path / "packed")
    write_json(trained / FIT_COST, {"seconds": 8.0, "started": None, "usage": None, "tokens": None})
    (run,) = (tmp_path / "runs").glob("LaMP-3-good-*")
    change_json(run / "result.json", fit_seconds=8.0)

    done = pack(*folders)

    assert done.exit_code == 1 and "holds another training of this fit" in done.stderr
    assert files(tmp_path / "packed") == before


def test_a_fit_is_named_by_a_digest_not_by_a_path(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    make_run("good", perfect, fit="../..")

    done = pack(*folders)

    assert done.exit_code == 1 and "'../..' is no digest" in done.stderr
    assert not (tmp_path / "packed").exists()


def test_what_has_the_same_name_is_left_as_it_is(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run = make_run("good", perfect)
    half = tmp_path / "packed" / run.name / "predictions.jsonl"
    write_bytes(half, b"of a run under way\n")
    done = pack(*folders)
    assert done.exit_code == 1 and "holds another result, or an unfinished one" in done.stderr
    assert half.read_bytes() == b"of a run under way\n"
    half.unlink()
    half.parent.rmdir()

    assert pack(*folders).exit_code == 0
    before = files(tmp_path / "packed")
    lines = (run / "predictions.jsonl").read_text()
    (run / "predictions.jsonl").write_text(lines.replace('"seconds": 0.0625', '"seconds": 0.125'))
    change_json(run / "result.json", seconds=3.0)
    assert pack(*folders).exit_code == 1
    assert files(tmp_path / "packed") == before


def test_a_mark_that_hides_texts_is_taken_over_and_stays(
    make_run: Make, tmp_path: Path, folders: tuple[object, ...]
) -> None:
    run = make_run("good", perfect)
    assert pack(*folders).exit_code == 0

    for mark in (False, True):
        change_json(run / "result.json", texts=mark)
        assert pack(*folders).exit_code == 0
        (packed,) = ResultStore(tmp_path / "packed").find_runs()
        assert packed.result.texts is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--runs", "runs", "--out", "runs"), "lies in the folder of the runs"),
        (("--runs", "runs", "--out", "runs/fits"), "lies in the folder of the runs"),
        (("--runs", "nowhere", "--out", "packed"), "no run in it"),
        (("nothing", "--runs", "runs", "--out", "packed"), "no run named 'nothing'"),
    ],
)
def test_wrong_folders_are_named(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    make_run("good", perfect)
    monkeypatch.chdir(tmp_path)

    done = pack(*arguments)

    assert done.exit_code == 1 and isinstance(done.exception, RpobenchError) and message in str(done.exception)
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_pack_that_was_killed_is_not_taken_for_runs(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: tuple[object, ...], writes: int
) -> None:
    """Whichever of the three files it is killed in."""
    make_run("good", perfect)
    replace, count = Path.replace, 0

    def die(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == writes:
            os._exit(9)
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        child = os.fork()
        if child == 0:
            pack(*folders)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    assert list((tmp_path / "packed").iterdir()) and ResultStore(tmp_path / "packed").find_runs() == []
    assert pack(*folders).exit_code == 0
    assert [report.faults for report in check_runs(tmp_path / "packed")] == [[]]
