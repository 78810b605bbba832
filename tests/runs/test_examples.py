"""What `rpobench show` tells of each example: evidence as it was cut, changes marked, no word lost."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console
from run_answers import perfect

from rpobench import get_task
from rpobench.cli import example_tables
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.runs.examples import ExampleEntry, find_shown_items, read_entries, read_stored_entries
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import StoredRun
from rpobench.types import Example, Prediction, ProfileItem, RpobenchError

Make = Callable[..., Path]
TASK = get_task("LaMP-3")


def make_example(*items: tuple[str, str]) -> Example:
    """Make an example whose profile has items of these ids and texts."""
    profile = tuple(ProfileItem(item_id, {"text": text, "score": "4"}) for item_id, text in items)
    return Example("e", "u", f"{TASK.instruction} a kettle", profile)


def load_run(folder: Path) -> StoredRun:
    return ResultStore(folder.parent).load(folder)


def test_evidence_is_shown_as_it_was_cut() -> None:
    example = make_example(("1", "word " * 300), ("2", "short"))
    evidence = fit_evidence(TASK, example, example.profile, 100, reference_tokenizer())
    cut_prediction = Prediction("e", "4", "4", evidence=evidence.ids, cut=evidence.cut)
    whole_prediction = Prediction("e", "4", "4", evidence=("2", "1"))

    assert evidence.cut > 100
    assert find_shown_items(TASK, example, cut_prediction, 100) == list(evidence.items)
    uncut_items = find_shown_items(TASK, example, cut_prediction, None)
    assert uncut_items == list(example.profile), "nobody knows to which budget"
    assert [item.id for item in find_shown_items(TASK, example, whole_prediction, 100)] == ["2", "1"]


def test_items_that_share_an_id_are_each_shown_once() -> None:
    example = make_example(("1", "first"), ("1", "second"), ("2", "third"))
    prediction = Prediction("e", "4", "4", evidence=("1", "2", "1"))

    items = find_shown_items(TASK, example, prediction, None)

    assert [item.fields["text"] for item in items] == ["first", "third", "second"]


def test_items_of_somebody_else_are_named(make_run: Make) -> None:
    folder = make_run("good", perfect, config={"k": 1})
    lines = (folder / "predictions.jsonl").read_text()
    (folder / "predictions.jsonl").write_text(re.sub(r'"evidence": \["[^"]*"\]', '"evidence": ["alien"]', lines))

    entries = read_entries(load_run(folder))

    assert entries[0].evidence == ["alien (not in this profile)"]


def test_the_store_alone_has_predictions_and_no_targets(make_run: Make) -> None:
    run = load_run(make_run("good", perfect))

    full, bare = read_entries(run)[0], read_stored_entries(run)[0]

    assert replace(full, input=None, evidence=None, target=None) == bare
    assert full.input is not None and full.evidence is not None
    assert bare.target is None and full.target == full.prediction == bare.prediction


def print_entry(monkeypatch: pytest.MonkeyPatch, *, width: int = 80, colours: bool = False, **changes: Any) -> str:
    """Print an entry with these changes on a screen, and return what stands there."""
    text = io.StringIO()
    colour_system = "standard" if colours else None
    screen = Console(file=text, width=width, force_terminal=colours, color_system=colour_system)  # type: ignore[arg-type]
    monkeypatch.setattr(example_tables, "open_console", lambda: screen)

    entry = ExampleEntry(
        example="e1",
        user="u1",
        draft="a b c",
        trajectory=None,
        prediction="a x c",
        score=0.5,
        failure=None,
        cut=0,
        length=5,
        input="in",
        evidence=[],
        target="t",
    )
    example_tables.print_examples([replace(entry, **changes)], trajectories=False)
    return text.getvalue()


def test_what_changed_between_draft_and_rewrite_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    text = print_entry(monkeypatch, colours=True)

    assert "a \x1b[31mb\x1b[0m c" in text and "a \x1b[32mx\x1b[0m c" in text and "rewrite" in text
    assert "\x1b" not in print_entry(monkeypatch)
    assert "prediction" in print_entry(monkeypatch, draft=None), "without a draft nothing was rewritten"


def test_evidence_is_a_list_and_says_what_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    text = print_entry(monkeypatch, evidence=["one\nmore of it", "two"], cut=17)

    assert "• one" in text and "  more of it" in text and "• two" in text and "(17 tokens cut)" in text
    assert "cut" not in print_entry(monkeypatch, evidence=["one"])


def test_a_very_long_word_is_folded_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    word = "".join(Random(0).choices("abcdefgh", k=500))

    text = print_entry(monkeypatch, prediction=word, draft=None, width=60)

    assert max(map(len, text.splitlines())) <= 60
    assert word in re.sub(r"[^a-h]", "", text.split("prediction")[1])


def test_a_run_without_a_prediction_is_named(make_run: Make) -> None:
    folder = make_run("perfect", perfect)
    file = folder / "predictions.jsonl"
    first, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join(others))
    run = load_run(folder)

    for read in (read_entries, read_stored_entries):
        with pytest.raises(
            RpobenchError, match=f"{folder.name}: has no prediction of '{json.loads(first)['example_id']}'"
        ):
            read(run)
