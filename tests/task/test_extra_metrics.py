"""Metrics beside the official ones: against values worked out by hand, and what `rpobench score --extra` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.main import app
from rpobench.scoring.official import score, score_extra
from rpobench.task.extra_metrics import extra_metrics, metric_lines

TEXT, LABEL = get_task("LaMP-4"), get_task("LaMP-1")


def test_the_same_text_is_best_and_another_is_worst() -> None:
    text = "the council votes on a new bridge"

    best = extra_metrics(TEXT, [text], [text])
    worst = extra_metrics(TEXT, ["rain falls over every distant hill today"], [text])

    assert best == {
        "rouge-2": 1.0,
        "BLEU": pytest.approx(100),
        "METEOR": pytest.approx(1 - 0.5 / 7**3),  # one chunk of seven words
    }
    assert (worst["rouge-2"], worst["METEOR"]) == (0.0, 0.0) and worst["BLEU"] < 5


def test_rouge_2_counts_pairs_of_words_and_is_a_plain_mean() -> None:
    targets = ["a b c", "a b"]
    assert extra_metrics(TEXT, ["a b d", "b a"], targets)["rouge-2"] == pytest.approx((0.5 + 0) / 2)


def test_meteor_takes_equal_stems_in_any_case_and_no_synonyms() -> None:
    stems = extra_metrics(TEXT, ["Dogs running"], ["dog runs"])["METEOR"]
    assert stems == pytest.approx(1 - 0.5 / 2**3)
    assert extra_metrics(TEXT, ["a hound"], ["a dog"])["METEOR"] == pytest.approx(0.5 * 0.5)


def test_empty_texts_score_nothing() -> None:
    assert extra_metrics(TEXT, [""], ["a headline"]) == {"rouge-2": 0.0, "BLEU": 0.0, "METEOR": 0.0}


def test_labels_get_f1_each_and_a_confusion_with_other() -> None:
    metrics = extra_metrics(LABEL, ["[1]", " [2]\n", "none", "[2]"], ["[1]", "[1]", "[2]", "[2]"])

    assert metrics["f1_by_label"] == {"[1]": pytest.approx(2 / 3), "[2]": pytest.approx(0.5)}
    assert metrics["confusion"] == {"[1]": {"[1]": 1, "[2]": 1, "other": 0}, "[2]": {"[1]": 0, "[2]": 1, "other": 1}}


def test_the_mean_of_the_f1_of_all_labels_is_the_official_f1() -> None:
    task = get_task("LaMP-2")
    answers = (*task.labels, "horror")
    golds = [task.labels[index % 15] for index in range(60)]
    preds = [answers[index * 7 % 16] for index in range(60)]

    by_label = extra_metrics(task, preds, golds)["f1_by_label"]

    assert sum(by_label.values()) / 15 == pytest.approx(task.aggregate(preds, golds)["f1"])


def test_ratings_have_none() -> None:
    assert extra_metrics(get_task("LaMP-3"), ["1"], ["2"]) == {}


def test_a_confusion_has_targets_down_and_answers_across() -> None:
    metrics = extra_metrics(LABEL, ["[2]", "[2]"], ["[1]", "[2]"])

    lines = list(metric_lines({"accuracy": 0.5, **metrics}))

    assert lines == [
        "accuracy\t0.500000",
        "f1 [1]\t0.000000",
        "f1 [2]\t0.666667",
        "confusion\t[1]\t[2]\tother",
        "[1]\t0\t1\t0",
        "[2]\t0\t1\t0",
    ]


def write_outputs(file: Path, **answers: Any) -> Path:
    golds = [{"id": key, "output": text} for key, text in answers.items()]
    file.write_text(json.dumps({"task": "LaMP_1", "golds": golds}))
    return file


def test_score_prints_them_only_when_asked_for(tmp_path: Path) -> None:
    golds = write_outputs(tmp_path / "g.json", a="[1]", b="[2]")
    preds = write_outputs(tmp_path / "p.json", b="[2]", a="[2]")
    official = score("LaMP-1", golds, preds)
    extra = score_extra("LaMP-1", golds, preds)

    def print_scores(*options: str) -> str:
        arguments = ["score", "--task", "LaMP-1", "--golds", str(golds), "--preds", str(preds)]
        return CliRunner().invoke(app, [*arguments, *options]).stdout

    assert print_scores() == "accuracy\t0.500000\nf1\t0.333333\n"
    assert json.loads(print_scores("--json")) == official
    assert json.loads(print_scores("--extra", "--json")) == {**official, **extra}
    assert "[1]\t0\t1\t0" in print_scores("--extra").splitlines()
