"""Stored runs are read again as their tasks read today: no model is asked, and what moved is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from packing import pack
from run_answers import perfect
from stored_runs import list_run_names

import rpobench
from rpobench import get_method, get_task
from rpobench.api import Prediction, TextTask
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.form import Form
from rpobench.rpo.rereading import reread_module_prediction
from rpobench.submissions.check import check_runs
from rpobench.submissions.reparsed_sets import reparse_runs
from rpobench.types import Chat, RpobenchError

PLAN: dict[str, Any] = {"method": "zero-shot,rag-bm25", "task": "LaMP-4,LaMP-3", "limit": 6, "swap": False}


def write_with_lead_in(chat: Chat) -> str:
    words = chat[-1].content.split()[-6:]
    return f"Here is a possible headline:\n\n**Title:** {' '.join(words)}"


def read_first_line(task: TextTask, raw: str) -> str:
    return raw.splitlines()[0] if raw else ""


@contextmanager
def former_version() -> Iterator[None]:
    """Inside, the tasks have version 1, and a title is the first line."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LaMP-3", "LaMP-4"):
            patch.setattr(type(get_task(name)), "version", "1")
        patch.setattr(type(get_task("LaMP-4")), "parse", read_first_line)
        yield


def run(model: ScriptedModel, out: Path, **changes: Any) -> dict[str, Any]:
    """The metrics by task and method."""
    model._reply = write_with_lead_in
    summaries = rpobench.run(**{**PLAN, **changes}, out=out)
    return {f"{summary['task']} {summary['method']}": summary["metrics"] for summary in summaries}


@pytest.fixture
def former_runs(model: ScriptedModel, tmp_path: Path) -> Path:
    """A folder of runs that were read by version 1."""
    with former_version():
        run(model, tmp_path / "runs")
    return tmp_path / "runs"


def forbid_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        pytest.fail("the base model was asked")

    monkeypatch.setattr(ScriptedModel, "generate", refuse)
    monkeypatch.setattr(ScriptedModel, "choose", refuse)


def read_files(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and ".locks" not in file.parts)
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_runs_read_again_are_those_of_today(
    model: ScriptedModel, former_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_metrics = run(model, tmp_path / "fresh")
    forbid_questions(monkeypatch)

    reports = list(reparse_runs(former_runs))

    assert {report.name.split("-")[1]: report.changed for report in reports} == {"3": 0, "4": 6}
    fresh_values = {metrics["rouge-1"] for cell, metrics in fresh_metrics.items() if "LaMP-4" in cell}
    assert {report.after for report in reports if report.changed} == fresh_values
    assert run(model, former_runs) == fresh_metrics
    assert list_run_names(former_runs) == list_run_names(tmp_path / "fresh")
    assert [report.faults for report in check_runs(former_runs)] == [[]] * 4
    assert list(reparse_runs(former_runs)) == [], "they are of today now"


def test_a_run_of_a_former_reading_is_not_asked_again(
    model: ScriptedModel, former_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_questions(monkeypatch)

    with pytest.raises(RpobenchError, match=r"read by LaMP-[34]@1: `rpobench reparse .*` reads them as LaMP-[34]@2"):
        run(model, former_runs)


def test_former_drafts_are_read_again_and_not_asked_again(
    model: ScriptedModel, former_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_metrics = run(model, tmp_path / "fresh", method="zero-shot")
    for name in list_run_names(former_runs):
        shutil.rmtree(former_runs / name)
    forbid_questions(monkeypatch)

    assert run(model, former_runs, method="zero-shot") == fresh_metrics


def test_an_unfinished_run_goes_on_after_it_was_read_again(
    model: ScriptedModel, former_runs: Path, tmp_path: Path
) -> None:
    fresh_metrics = run(model, tmp_path / "fresh", method="rag-bm25")
    for folder in former_runs.glob("LaMP-4-rag-bm25-*"):
        (folder / "result.json").unlink()
        lines = (folder / "predictions.jsonl").read_text().splitlines(keepends=True)
        (folder / "predictions.jsonl").write_text("".join(lines[:4]))
    model.calls = 0

    reports = [report for report in reparse_runs(former_runs) if "LaMP-4-rag-bm25" in report.name]

    assert [(report.n, report.changed, report.metric) for report in reports] == [(4, 4, None)]
    assert run(model, former_runs, method="rag-bm25") == fresh_metrics
    assert model.calls == 2


def test_a_kill_between_writing_and_removing_is_made_good(former_runs: Path, tmp_path: Path) -> None:
    before = Path(shutil.copytree(former_runs, tmp_path / "before"))
    list(reparse_runs(former_runs))
    names = list_run_names(former_runs)
    shutil.copytree(before, former_runs, dirs_exist_ok=True)

    assert [report.reason for report in reparse_runs(former_runs)] == [None] * 4

    assert list_run_names(former_runs) == names


def test_a_dry_run_writes_nothing(former_runs: Path) -> None:
    files = read_files(former_runs)

    done = run_rpobench("reparse", former_runs, "--dry-run")

    assert done.returncode == 0 and "6 of 6 answers\trouge-1 " in done.stdout
    assert "4 runs would be read again, answers moved in 2; 0 left" in done.stderr
    assert read_files(former_runs) == files


def test_a_packed_set_is_read_again(former_runs: Path, tmp_path: Path) -> None:
    with former_version():
        assert pack("--runs", former_runs, "--out", tmp_path / "packed").exit_code == 0
    names = {report.new_name for report in reparse_runs(former_runs)}
    dry = list(reparse_runs(tmp_path / "packed", dry_run=True))

    reports = list(reparse_runs(tmp_path / "packed"))

    assert reports == dry and {report.new_name for report in reports} == names
    checks = check_runs(tmp_path / "packed")
    assert {check.run for check in checks} == names and not any(check.faults for check in checks)


def test_what_cannot_be_read_again_stays_and_says_why(former_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_method("rag-bm25"), "version", "77")
    monkeypatch.setattr(get_method("zero-shot"), "read_again", lambda self, task, prediction: None)
    files = read_files(former_runs)

    reasons = {report.name.split("-", 2)[2].rsplit("-", 1)[0]: report.reason for report in reparse_runs(former_runs)}

    assert "installed is 77" in str(reasons["rag-bm25"])
    assert "depends on texts that are not stored" in str(reasons["zero-shot"])
    assert read_files(former_runs) == files


def test_runs_of_other_prompts_and_changed_specs_stay(former_runs: Path) -> None:
    changed, other = sorted(former_runs.glob("LaMP-3-*"))
    for folder, values in ((changed, {"seed": 5}), (other, {"task": "LaMP-3@0"})):
        spec = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps({**spec, **values}))

    reasons = [report.reason for report in reparse_runs(former_runs) if report.name in (changed.name, other.name)]

    assert reasons[0] and "its spec was changed after the run" in reasons[0]
    assert reasons[1] and "was asked with the prompts of LaMP-3@0" in reasons[1]


def test_an_import_is_renamed_and_its_answers_stay(make_run: Callable[..., Path], tmp_path: Path) -> None:
    with former_version():
        folder = make_run("theirs", perfect, task="LaMP-4", n=3, version="imported", knobs={})
    lines = (folder / "predictions.jsonl").read_text()

    (report,) = reparse_runs(tmp_path / "runs")

    assert report.changed == 0 and report.new_name != report.name
    assert (tmp_path / "runs" / report.new_name / "predictions.jsonl").read_text() == lines


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="no run in it"):
        list(reparse_runs(tmp_path))


COPIED = 'Here is a title:\n"Rain"'


@pytest.mark.parametrize("name", ["majority", "nearest-target", "copy-input"])
def test_answers_that_no_model_wrote_stay(name: str) -> None:
    method = get_method(name)(get_method(name).Config())
    prediction = Prediction("1", COPIED, COPIED)

    assert method.read_again(get_task("LaMP-4"), prediction) == prediction


def test_a_judge_of_candidates_cannot_be_asked_again() -> None:
    hydra = get_method("hydra")(get_method("hydra").Config())

    assert hydra.read_again(get_task("LaMP-4"), Prediction("1", "Rain", "Rain")) is None
    assert hydra.read_again(get_task("LaMP-3"), Prediction("1", "4", "4")) == Prediction("1", "4", "4")


TRAJECTORY = "History shows: short\nDraft lacks: brevity\nRewrite: **Title:** Rain"
NO_ANSWER = "the rewrite is no answer of the task: the draft stands"
STAYS = {"text": "x", "raw": "**Title:** Sun", "trajectory": TRAJECTORY}


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ({"text": "** Rain", "raw": "**Title:** Rain"}, {"text": "Rain", "failure": None}),
        ({"text": "Title:", "raw": "Title:"}, None),  # the draft would stand, and its words are not stored
        ({**STAYS, "failure": NO_ANSWER}, {"text": "Rain", "raw": "**Title:** Rain", "failure": None}),
        (
            {**STAYS, "trajectory": "none", "failure": "no trajectory in the module's text: the draft stands"},
            {"text": "Sun", "failure": "no trajectory in the module's text: the draft stands"},
        ),
        ({"text": "bare", "raw": "bare", "failure": "no trajectory in the module's text"}, {"text": "bare"}),
        ({"text": "", "raw": "", "failure": "no draft: HTTP 500", "unanswered": True}, {"text": ""}),
    ],
)
def test_a_module_is_read_in_its_own_way(stored: dict[str, Any], read: dict[str, Any] | None) -> None:
    prediction = Prediction("1", draft="x", **stored)

    reading = reread_module_prediction(get_task("LaMP-4"), Form(), prediction, is_choice=False)

    assert (reading and {name: getattr(reading, name) for name in read or {}}) == read


def test_a_choice_that_might_have_been_another_is_not_read() -> None:
    moved, same = Prediction("1", "** Rain", "**Title:** Rain"), Prediction("1", "Rain", "Rain")

    assert reread_module_prediction(get_task("LaMP-4"), Form(), moved, is_choice=True) is None
    assert reread_module_prediction(get_task("LaMP-4"), Form(), same, is_choice=True) == same


def test_fits_and_drafts_are_named_by_the_prompts() -> None:
    class Renewed(type(get_task("LaMP-3"))):  # type: ignore[misc]
        version = "7"

    assert (get_task("LaMP-3").versioned, get_task("LaMP-3").prompt_versioned) == ("LaMP-3@2", "LaMP-3@1")
    assert Renewed().prompt_versioned == "LaMP-3@7", "who raises only the version means the prompts too"
