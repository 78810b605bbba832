"""What `rpobench show` tells of each example: evidence as it was cut, changes marked, no word lost."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli import example_tables
from rpobench.cli.main import app
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.runs.examples import entries_of, shown_items, stored_entries, trained_on
from rpobench.store.files import write_json
from rpobench.store.spec import DataSpec, FitSpec
from rpobench.types import Example, Prediction, ProfileItem, RpobenchError

Make = Callable[..., Path]
TASK = get_task("LaMP-3")


def example(*items: tuple[str, str]) -> Example:
    profile = tuple(ProfileItem(key, {"text": text, "score": "4"}) for key, text in items)
    return Example("e", "u", f"{TASK.instruction} a kettle", profile)


def test_evidence_is_shown_as_it_was_cut() -> None:
    asked = example(("1", "word " * 300), ("2", "short"))
    cut = fit_evidence(TASK, asked, asked.profile, 100, reference_tokenizer())
    prediction = Prediction("e", "4", "4", evidence=cut.ids, cut=cut.cut)
    assert cut.cut > 100
    assert shown_items(TASK, asked, prediction, 100) == list(cut.items)
    assert shown_items(TASK, asked, prediction, None) == list(asked.profile), "nobody knows to which budget"
    whole = Prediction("e", "4", "4", evidence=("2", "1"))
    assert [item.id for item in shown_items(TASK, asked, whole, 100)] == ["2", "1"]


def test_items_that_share_an_id_are_each_shown_once() -> None:
    asked = example(("1", "first"), ("1", "second"), ("2", "third"))
    prediction = Prediction("e", "4", "4", evidence=("1", "2", "1"))
    assert [item.fields["text"] for item in shown_items(TASK, asked, prediction, None)] == ["first", "third", "second"]


def test_items_of_somebody_else_are_named(make_run: Make) -> None:
    folder = make_run("good", lambda place, target, rng: target, config={"k": 1})
    lines = (folder / "predictions.jsonl").read_text()
    (folder / "predictions.jsonl").write_text(re.sub(r'"evidence": \["[^"]*"\]', '"evidence": ["alien"]', lines))
    assert entries_of(folder)[0]["evidence"] == ["alien (not in this profile)"]


def test_the_store_alone_has_predictions_and_no_targets(make_run: Make) -> None:
    folder = make_run("good", lambda place, target, rng: target)
    full, bare = entries_of(folder)[0], stored_entries(folder)[0]
    assert {name for name in full if full[name] != bare[name]} == {"input", "evidence", "target"}
    assert bare["target"] is None and full["target"] == full["prediction"] == bare["prediction"]


def printed(monkeypatch: pytest.MonkeyPatch, *, width: int = 80, colours: bool = False, **changes: Any) -> str:
    screen = Console(
        file=io.StringIO(), width=width, force_terminal=colours, color_system="standard" if colours else None
    )
    monkeypatch.setattr(example_tables, "open_console", lambda: screen)
    texts = {"input": "in", "evidence": [], "draft": "a b c", "trajectory": None, "prediction": "a x c", "target": "t"}
    entry = {"example": "e1", "score": 0.5, "failure": None, "cut": 0, **texts, **changes}
    example_tables.print_examples([entry], trajectories=False)
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_what_changed_between_draft_and_rewrite_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(monkeypatch, colours=True)
    assert "a \x1b[31mb\x1b[0m c" in shown and "a \x1b[32mx\x1b[0m c" in shown and "rewrite" in shown
    assert "\x1b" not in printed(monkeypatch)
    assert "prediction" in printed(monkeypatch, draft=None), "without a draft nothing was rewritten"


def test_evidence_is_a_list_and_says_what_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = printed(monkeypatch, evidence=["one\nmore of it", "two"], cut=17)
    assert "• one" in shown and "  more of it" in shown and "• two" in shown and "(17 tokens cut)" in shown
    assert "cut" not in printed(monkeypatch, evidence=["one"])


def test_a_very_long_word_is_folded_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    word = "".join(Random(0).choices("abcdefgh", k=500))
    shown = printed(monkeypatch, prediction=word, draft=None, width=60)
    assert max(map(len, shown.splitlines())) <= 60
    assert word in re.sub(r"[^a-h]", "", shown.split("prediction")[1])


def learned(root: Path, fit: str, *, source: str = "synth-v2") -> Path:
    """A fit of two tasks with the trajectories it learned."""
    tasks = ("LaMP-3", "LaMP-6")
    data = DataSpec(source=source, split="train", sha256="ab")
    named = tuple(f"{task}@1" for task in tasks)
    spec = FitSpec(method="rpo", version="1", config={}, train_tasks=named, data=(data, data), base_model="m", seed=0)
    write_json(root / "fits" / fit / "spec.json", spec.model_dump(mode="json"))
    file = root / "fits" / fit / "checkpoint" / "trajectories.jsonl"
    file.parent.mkdir(parents=True)
    lines = [
        {"task": task, "example": f"{task}/{i}", "draft": f"d{i}", "shows": f"s{i}", "lacks": f"l{i}", "rewrite": "[b]"}
        for task in tasks
        for i in range(2)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_what_a_module_learned_from_is_shown_with_its_file(make_run: Make, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_run("good", lambda place, target, rng: target, fit="abc")
    kept = learned(folder.parent, "abc")
    file, found = trained_on(folder.parent, folder.name)
    assert file == kept and [stored.example_id for stored in found] == ["LaMP-3/0", "LaMP-3/1"], "the run's task alone"
    assert trained_on(folder.parent, folder.name, example="LaMP-3/1")[1] == found[1:]
    example_tables.print_trajectories(file, found)
    out = capsys.readouterr().out
    assert all(text in out for text in ("LaMP-3/1", "d1", "s1", "l1", "[b]", str(file), "trajectories="))

    command = ["show", folder.name, "--runs", str(folder.parent), "--training"]
    assert json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout) == [stored.as_record() for stored in found]
    refused = CliRunner().invoke(app, [*command, "--trajectories"])
    assert refused.exit_code == 1 and "leave --trajectories and --data out" in str(refused.exception)


def test_what_a_module_learned_from_is_not_shown_where_it_must_not_or_cannot_be(make_run: Make) -> None:
    def refused(said: str, folder: Path, **options: str) -> None:
        with pytest.raises(RpobenchError, match=said):
            trained_on(folder.parent, folder.name, **options)

    def made(name: str, fit: str | None, **changes: Any) -> Path:
        return make_run(name, lambda place, target, rng: target, fit=fit, **changes)

    refused("was not trained", made("none", None))
    gone = made("good", "abc")
    refused("packed runs leave it out", gone)
    learned(gone.parent, "abc")
    refused("--example LaMP-6/0: .* no such trajectory of LaMP-3", gone, example="LaMP-6/0")
    (gone / "result.json").rename(gone / "kept.json")
    refused("not finished", gone)
    (gone / "kept.json").rename(gone / "result.json")
    trained_on(gone.parent, gone.name)
    made("applied", "abc", texts=False)
    refused("not to be shown", gone)  # whoever else uses the fit

    learned(gone.parent, "mails", source="LaMP_6")
    refused("not to be shown", made("applied-to-a-world", "mails", task="LaMP-6"))
    trained_on(gone.parent, made("ratings", "mails").name)  # of a task whose texts are free
