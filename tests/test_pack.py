"""`rpobench pack`: packed runs read back as they were, and what must not be committed stays behind."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

import rpobench
from rpobench import store
from rpobench.check import check
from rpobench.cli import app
from rpobench.fit_cost import FIT_COST
from rpobench.models.scripted import ScriptedModel
from rpobench.store import ResultStore, append_predictions, packed_twin, read_predictions, seconds_spent, write_json
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
    for reads in (read_predictions, seconds_spent):
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
    begun, silent, mails = make_run("begun", known), make_run("silent", known), make_run("mails", known, task="LaMP-6")
    (begun / "result.json").unlink()
    change(silent / "result.json", unanswered=2)
    change(mails / "result.json", synthetic=False)
    made_up = make_run("made-up", known, task="LaMP-6")
    for name in ("drafts", "written", "users"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "some.jsonl").write_text("{}\n")

    done = pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert done.exit_code == 0 and done.stdout == f"{made_up.name}\n"
    assert done.stderr.splitlines() == sorted(
        [
            f"{begun.name}: left out: not finished",
            f"{silent.name}: left out: 2 examples have no answer: the command that made it asks them again",
            f"{mails.name}: left out: its predictions hold texts of LaMP-6's licensed data",
        ]
    )
    assert [place.name for place in (tmp_path / "packed").iterdir()] == [made_up.name]


def test_of_a_fit_its_spec_cost_and_logs_are_kept_alone(make_run: Make, tmp_path: Path) -> None:
    make_run("trained", known, fit="abc")
    fit = ResultStore(tmp_path / "runs").fit_folder("abc")
    logs = {"sft.jsonl": '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n', "grpo.jsonl": '{"step": 1}\n'}
    held = {**logs, "trajectories.jsonl": '{"shows": "a", "lacks": "b"}\n', "adapter/adapter_model.safetensors": "w"}
    for name, text in held.items():
        (fit / "checkpoint" / name).parent.mkdir(parents=True, exist_ok=True)
        (fit / "checkpoint" / name).write_text(text)
    write_json(fit / "spec.json", {"method": "trained"})
    write_json(fit / FIT_COST, {"seconds": 1.0})

    assert pack("--runs", tmp_path / "runs", "--out", tmp_path / "packed").exit_code == 0
    kept = files(ResultStore(tmp_path / "packed").fit_folder("abc"))
    assert set(kept) == {"spec.json", FIT_COST, *(f"checkpoint/{name}" for name in logs)}
    assert kept["checkpoint/sft.jsonl"].decode() == logs["sft.jsonl"]


def test_another_result_under_the_same_name_is_refused(make_run: Make, tmp_path: Path) -> None:
    run = make_run("good", known)
    arguments = ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")
    assert pack(*arguments).exit_code == 0
    before = files(tmp_path / "packed")
    change(run / "result.json", seconds=99.0)
    done = pack(*arguments)
    assert done.exit_code == 1 and "holds another result" in str(done.exception)
    assert files(tmp_path / "packed") == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--runs", "runs", "--out", "runs"), "is the folder of the runs"),
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


def some(*ids: str) -> list[Prediction]:
    return [Prediction(key, "text", "raw") for key in ids]


def test_more_predictions_of_a_packed_run_lose_none(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    append_predictions(file, some("1", "2"), seconds=4.0)
    packed_twin(file).write_bytes(store.pack_lines(file.read_bytes()))
    file.unlink()
    append_predictions(file, some("3"))
    assert seconds_spent(file) == {"1": 2.0, "2": 2.0, "3": 0.0}
    assert not packed_twin(file).exists()


@pytest.mark.parametrize("broken", [b"no gzip", gzip.compress(b"{}" * 999)[:-9], gzip.compress(b" " * 200_000)])
def test_a_packed_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    monkeypatch.setattr(store, "UNPACKED", 100_000)
    (tmp_path / "predictions.jsonl.gz").write_bytes(broken)
    with pytest.raises(RpobenchError, match=r"predictions\.jsonl\.gz: (not readable|over 100000 bytes)"):
        read_predictions(tmp_path / "predictions.jsonl")
