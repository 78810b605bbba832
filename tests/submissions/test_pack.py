"""`rpobench pack`: packed runs read back as they were, and what must not be committed stays behind."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

import rpobench
from rpobench.cli.main import app
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.fit_cost import FIT_COST
from rpobench.store import predictions as store
from rpobench.store.files import write_bytes, write_json
from rpobench.store.predictions import append_predictions, packed_path, read_predictions, read_seconds
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import FitSpec
from rpobench.submissions.check import check
from rpobench.types import Prediction, RpobenchError

Make = Callable[..., Path]


def known(place: int, target: str, rng: Random) -> str:
    return target


def pack(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["pack", *map(str, arguments)])


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_packed_runs_read_back_as_they_were(make_run: Make, tmp_path: Path) -> None:
    run, other = make_run("good", known), make_run("good", known, profiles="swapped", task="LaMP-7")
    done = pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert done.exit_code == 0 and done.stdout.splitlines() == sorted((run.name, other.name)), done.output

    packed = tmp_path / "packed" / run.name
    assert {file.name for file in packed.iterdir()} == {
        "spec.json", "environment.json", "result.json", "predictions.jsonl.gz",
    }  # fmt: skip
    assert gzip.decompress((packed / "predictions.jsonl.gz").read_bytes()) == (run / "predictions.jsonl").read_bytes()
    for reads in (read_predictions, read_seconds):
        assert reads(packed / "predictions.jsonl") == reads(run / "predictions.jsonl") != {}
    assert [report.faults for report in check(tmp_path / "packed")] == [[], []]


def test_packing_again_adds_what_is_new_and_writes_the_same_bytes(make_run: Make, tmp_path: Path) -> None:
    run = make_run("good", known)
    arguments = ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert pack(*arguments).exit_code == 0
    before = files(tmp_path / "packed")
    make_run("better", known)
    assert pack(*arguments).exit_code == 0
    after = files(tmp_path / "packed")
    assert len(after) == 8 and {name: after[name] for name in before} == before

    assert pack(run.name, "--runs", tmp_path / "packed", "--out", tmp_path / "again").exit_code == 0
    assert files(tmp_path / "again") == before


def test_a_command_goes_on_from_packed_runs(tmp_path: Path, model: ScriptedModel) -> None:
    arguments: dict[str, Any] = {"method": "zero-shot,majority", "task": "LaMP-3", "limit": 6}
    first = rpobench.run(**arguments, out=tmp_path / "runs")
    assert pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed").exit_code == 0
    asked = model.calls
    assert rpobench.run(**arguments, out=tmp_path / "packed") == first
    assert model.calls == asked
    assert not list((tmp_path / "packed").glob("*/predictions.jsonl"))


def test_what_is_not_to_be_committed_is_left_out_and_named(make_run: Make, tmp_path: Path) -> None:
    begun, mails = make_run("begun", known), make_run("mails", known, task="LaMP-6", source="LaMP_6", texts=False)
    silent, made_up = make_run("silent", known), make_run("made-up", known, task="LaMP-6")
    private = make_run("private", known, texts=False)
    (begun / "result.json").unlink()
    change(mails / "result.json", synthetic=False)
    lines = (silent / "predictions.jsonl").read_text()
    (silent / "predictions.jsonl").write_text(lines.replace('"unanswered": false', '"unanswered": true', 1))
    change(silent / "result.json", unanswered=1)
    for name in ("drafts", "written", "users"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "some.jsonl").write_text("{}\n")

    arguments = ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    done = pack(*arguments)
    assert done.exit_code == 0 and done.stdout == f"{made_up.name}\n"
    assert set(done.stderr.splitlines()) == {
        f"{begun.name}: left out: not finished",
        f"{silent.name}: left out: 1 examples have no answer: the command that made it asks them again",
        f"{mails.name}: left out: its predictions hold texts of LaMP-6's licensed data",
        f"{private.name}: left out: made with --no-text, and its predictions hold texts",
    }
    assert [place.name for place in (tmp_path / "packed").iterdir()] == [made_up.name]
    assert pack(begun.name, *arguments).exit_code == 1, "who names a run wants it packed"


def test_a_run_that_is_not_in_order_is_refused_and_stops_no_other(make_run: Make, tmp_path: Path) -> None:
    torn, edited, lost, good = (make_run(name, known) for name in ("torn", "edited", "lost", "sound"))
    (torn / "predictions.jsonl").write_bytes((torn / "predictions.jsonl").read_bytes()[:-10])
    change(edited / "spec.json", seed=5)
    (lost / "environment.json").unlink()
    done = pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert done.exit_code == 1 and isinstance(done.exception, RpobenchError)
    assert done.stdout == f"{good.name}\n"
    told = "\n".join(done.stderr.splitlines())
    for name, fault in ((torn, "23 examples, 24"), (edited, "its digest is"), (lost, "environment.json")):
        assert f"{name.name}: left out: " in told and fault in told
    assert [place.name for place in (tmp_path / "packed").iterdir()] == [good.name], "nothing half-written"


@pytest.fixture
def trained(make_run: Make, tmp_path: Path) -> Path:
    """The folder of a fit whose run lies beside it."""
    spec = FitSpec(method="good", version="1", config={}, train_tasks=("LaMP-3@1",), data=(), base_model="m", seed=0)
    run, fit = make_run("good", known, fit=spec.digest()), ResultStore(tmp_path / "runs").fit_folder(spec.digest())
    write_json(fit / "spec.json", spec.model_dump(mode="json"))
    write_json(fit / FIT_COST, {"seconds": 9.0, "started": None, "usage": None, "tokens": None})
    change(run / "result.json", fit_seconds=9.0)
    return fit


def test_of_a_fit_its_spec_cost_and_logs_are_kept_alone(trained: Path, tmp_path: Path) -> None:
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

    assert pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed").exit_code == 0
    kept = files(ResultStore(tmp_path / "packed").fit_folder(trained.name))
    assert set(kept) == {"spec.json", FIT_COST, *(f"checkpoint/{name}" for name in logs)}
    assert kept["checkpoint/sft.jsonl"] == logs["sft.jsonl"]


def test_another_training_of_a_fit_is_left_as_it_is(trained: Path, tmp_path: Path) -> None:
    there = ResultStore(tmp_path / "packed").fit_folder(trained.name)
    write_bytes(there / "spec.json", (trained / "spec.json").read_bytes())
    write_bytes(there / "work" / "state", b"of a training under way")
    before = files(tmp_path / "packed")
    done = pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert done.exit_code == 1 and "holds another training of this fit" in done.stderr
    assert files(tmp_path / "packed") == before


def test_a_fit_is_named_by_a_digest_not_by_a_path(make_run: Make, tmp_path: Path) -> None:
    make_run("good", known, fit="../..")
    done = pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert done.exit_code == 1 and "'../..' is no digest" in done.stderr
    assert not (tmp_path / "packed").exists()


def test_what_stands_there_under_the_same_name_is_left_as_it_is(make_run: Make, tmp_path: Path) -> None:
    run, arguments = make_run("good", known), ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    half = tmp_path / "packed" / run.name / "predictions.jsonl"
    write_bytes(half, b"of a run under way\n")
    done = pack(*arguments)
    assert done.exit_code == 1 and "holds another result, or an unfinished one" in done.stderr
    assert half.read_bytes() == b"of a run under way\n"
    half.unlink()
    half.parent.rmdir()

    assert pack(*arguments).exit_code == 0
    before = files(tmp_path / "packed")
    lines = (run / "predictions.jsonl").read_text()
    (run / "predictions.jsonl").write_text(lines.replace('"seconds": 0.0625', '"seconds": 0.125'))
    change(run / "result.json", seconds=3.0)
    assert pack(*arguments).exit_code == 1
    assert files(tmp_path / "packed") == before


def test_a_mark_that_texts_are_not_to_be_shown_is_taken_over_and_stays(make_run: Make, tmp_path: Path) -> None:
    run, arguments = make_run("good", known), ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert pack(*arguments).exit_code == 0
    for mark in (False, True):
        change(run / "result.json", texts=mark)
        assert pack(*arguments).exit_code == 0
        assert json.loads((tmp_path / "packed" / run.name / "result.json").read_text())["texts"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--runs", "runs", "--out", "runs"), "lies in the folder of the runs"),
        (("--runs", "runs", "--out", "runs/fits"), "lies in the folder of the runs"),
        (("--runs", "nowhere", "--out", "packed"), "no run in it"),
        (("nothing", "--runs", "runs", "--out", "packed"), "no run named 'nothing'"),
    ],
)
def test_wrong_folders_are_named(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    make_run("good", known)
    monkeypatch.chdir(tmp_path)
    done = pack(*arguments)
    assert done.exit_code == 1 and isinstance(done.exception, RpobenchError) and told in str(done.exception)
    assert not (tmp_path / "packed").exists()


def test_a_pack_that_was_killed_is_not_taken_for_runs(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("good", known)
    arguments = ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda self, target: os._exit(9))
        child = os.fork()
        if child == 0:
            pack(*arguments)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert list((tmp_path / "packed").iterdir()) and ResultStore(tmp_path / "packed").results() == []
    assert pack(*arguments).exit_code == 0
    assert [report.faults for report in check(tmp_path / "packed")] == [[]]


def some(*ids: str) -> list[Prediction]:
    return [Prediction(key, "text", "raw") for key in ids]


@pytest.mark.parametrize("killed", [False, True])
def test_more_predictions_of_a_packed_run_lose_none(tmp_path: Path, killed: bool) -> None:
    file = tmp_path / "predictions.jsonl"
    append_predictions(file, some("1", "2"), seconds=4.0)
    packed_path(file).write_bytes(store.pack_lines(file))
    if killed:
        file.write_bytes(b"")  # in the middle of unpacking
    else:
        file.unlink()
    assert len(read_predictions(file)) == 2
    append_predictions(file, some("3"))
    assert read_seconds(file) == {"1": 2.0, "2": 2.0, "3": 0.0}
    assert not packed_path(file).exists()


def test_predictions_that_could_not_be_read_back_are_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "UNPACKED", 10)
    (tmp_path / "predictions.jsonl").write_bytes(b" " * 11)
    with pytest.raises(RpobenchError, match="too large to be packed"):
        store.pack_lines(tmp_path / "predictions.jsonl")


@pytest.mark.parametrize(
    "broken", [gzip.compress(b"{}\n"), b"no gzip", gzip.compress(b"{}" * 999)[:-9], gzip.compress(b" " * 200_000)]
)
def test_a_packed_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    monkeypatch.setattr(store, "UNPACKED", 100_000)
    (tmp_path / "predictions.jsonl.gz").write_bytes(broken)
    with pytest.raises(RpobenchError, match=r"predictions\.jsonl\.gz: (line 1 is no|not readable|over 100000 bytes)"):
        read_predictions(tmp_path / "predictions.jsonl")
