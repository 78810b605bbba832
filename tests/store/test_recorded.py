"""What version 0.1 made is found and used: its runs, fits, drafts and kept texts. The store here was made by it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from paths import STORED
from stored_runs import list_run_names

import rpobench
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_model
from rpobench.store.recorded import Quoted, RecordedObject, recorded_config, recorded_prompts, recorded_text
from rpobench.submissions.reparsed_sets import reparse_runs
from rpobench.types import Message, RpobenchError

PLAN: dict[str, Any] = {
    "method": "zero-shot,majority,self-rewrite,profile-summary",
    "task": "LaMP-2,LaMP-7",
    "limit": 2,
    "swap": False,
    "base_model": "scripted:echo",
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A copy of the store, whose answers are read as today."""
    folder = Path(shutil.copytree(STORED / "version_0_1", tmp_path / "runs"))

    assert [report.reason for report in reparse_runs(folder)] == [None] * 7
    return folder


def forbid_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the base model refuses to be asked."""

    def refuse(*arguments: object, **options: object) -> None:
        pytest.fail("the base model was asked")

    monkeypatch.setattr(ScriptedModel, "generate", refuse)
    monkeypatch.setattr(ScriptedModel, "choose", refuse)


def test_finished_runs_are_not_run_again(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = list_run_names(store)
    results = {run: json.loads((store / run / "result.json").read_text())["metrics"] for run in runs}
    forbid_questions(monkeypatch)

    summaries = rpobench.run(**PLAN, out=store)

    assert {summary["run"]: summary["metrics"] for summary in summaries} == results
    assert list_run_names(store) == runs


def test_unfinished_runs_continue_where_they_stand(store: Path) -> None:
    runs = list_run_names(store)
    for run in runs:
        (store / run / "result.json").unlink()
        predictions = store / run / "predictions.jsonl"
        predictions.write_text(predictions.read_text().splitlines(keepends=True)[0])

    summaries = rpobench.run(**PLAN, out=store)

    assert {summary["run"] for summary in summaries} == list_run_names(store) == runs
    for run in runs:
        assert len((store / run / "predictions.jsonl").read_text().splitlines()) == 2


def test_fits_drafts_and_texts_are_used(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in list_run_names(store):
        shutil.rmtree(store / run)
    shared = {file: file.read_bytes() for file in store.rglob("*") if file.is_file()}
    questions: list[str] = []
    generate = ScriptedModel.generate

    def remember(self: ScriptedModel, chats: Any, decoding: Any) -> Any:
        questions.extend(chat[-1].content for chat in chats)
        return generate(self, chats, decoding)

    monkeypatch.setattr(ScriptedModel, "generate", remember)

    rpobench.run(**{**PLAN, "method": "zero-shot,majority,profile-summary", "task": "LaMP-7,LaMP-2"}, out=store)

    assert {file: file.read_bytes() for file in shared} == shared
    assert [file.parent.name for file in store.glob("fits/*/spec.json")] == ["a0bea1a06b73"]
    assert questions
    assert all(text.startswith("About this user: ") for text in questions), "only answers with a summary are new"


def test_a_changed_spec_is_refused_in_the_words_of_today(store: Path) -> None:
    (run,) = store.glob("LaMP-7-self-rewrite-*")
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "base_model": "another"}))

    with pytest.raises(RpobenchError, match="differs from this run in base_model"):
        rpobench.run(**PLAN, out=store)


def test_stored_specs_name_their_folders(store: Path) -> None:
    from rpobench.submissions.check import check_runs

    assert [report.faults for report in check_runs(store)] == [[]] * len(list_run_names(store))


def test_texts_are_those_of_then_whatever_classes_are_called() -> None:
    chat = (Message("user", "it's"),)

    assert recorded_text([chat]) == """[(Message(role='user', content="it's"),)]"""
    assert recorded_text(Quoted((1, None))) == "'(1, None)'"
    assert recorded_text({"a": [True, 0.5], "b": ()}) == "{'a': [True, 0.5], 'b': ()}"
    assert recorded_text(RecordedObject("Config", {"k": 4, "names": ("a", "b")})) == "Config(k=4, names=('a', 'b'))"


def test_parts_of_prompts_are_joined_as_then() -> None:
    assert recorded_prompts(()) is None
    assert recorded_prompts("asks") == recorded_prompts(["as", "ks"]) == "c93e3896261f"


def test_a_later_knob_at_its_default_changes_no_old_digest() -> None:
    config = {"k": 4, "max_evidence_tokens": None, "max_prompt_tokens": 512, "later": 1}

    assert "later" not in recorded_config("full-profile", "1", config, {})
    assert recorded_config("full-profile", "1", config, {"later": 1})["later"] == 1
    assert recorded_config("somebody-elses", "1", config, {}) == config


def test_the_model_of_the_store_is_the_scripted_one(store: Path) -> None:
    (spec,) = store.glob("LaMP-7-zero-shot-*/spec.json")

    assert json.loads(spec.read_text())["base_model"] == get_model("scripted:echo").identity
