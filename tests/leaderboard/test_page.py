"""The HTML page: what is in it, what is cut or left out, and that no text breaks out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest
from report_page import HOSTILE, write_page
from rpobench.leaderboard.html.browser import FIELDS, BrowsedRun, browser_json
from rpobench.leaderboard.html.charts import Point, Series, draw_chart, pareto_front
from rpobench.leaderboard.html.page import TEMPLATES, PageData, as_html
from rpobench.leaderboard.html.panels import TRAINING_FIGURES
from run_answers import good

from rpobench.store.training_logs import LoggedStep

Make = Callable[..., Path]


def read_embedded_json(html: str) -> dict[str, Any]:
    """The examples to browse, as the page's script reads them."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert match
    content: dict[str, Any] = json.loads(match[1])
    return content


def read_entries(content: dict[str, Any], run: int = 0) -> list[dict[str, Any]]:
    """A run's entries with their texts in place."""

    def text(name: str, value: Any) -> Any:
        if name in ("score", "length") or value is None:
            return value
        return [content["texts"][index] for index in value] if name == "evidence" else content["texts"][value]

    return [
        {name: text(name, value) for name, value in zip(content["fields"], packed, strict=True)}
        for packed in content["runs"][run]["entries"]
    ]


@pytest.fixture
def runs(make_run: Make, tmp_path: Path) -> Path:
    make_run("good", good, config={"k": 2})
    make_run("good", good, config={"k": 4})
    make_run("poor", lambda index, target, rng: str(rng.randint(1, 5)))
    return tmp_path / "runs"


def test_the_page_loads_nothing_and_names_its_script_by_hash(runs: Path) -> None:
    html = write_page(runs)

    assert not re.search(r'(?:src|href)="(?!#|data:,)', html) and "@import" not in html and "url(" not in html
    assert "default-src 'none'" in html and "'unsafe-inline'" not in html
    assert html.count("<script") == 2 and " style=" not in html


def test_the_page_has_tables_charts_and_examples(runs: Path) -> None:
    html = write_page(runs, "--against", "poor")

    for words in (
        "synthetic, not LaMP",
        "Made-up data",
        "good k=2",
        "All figures",
        "Pareto front",
    ):
        assert words in html
    assert "LaMP-3: MAE against tokens an example" in html and "LaMP-3: MAE by k" in html
    assert "LaMP-3 by expected label" in html and "differs significantly" in html

    content = read_embedded_json(html)

    assert content["fields"] == list(FIELDS) and len(content["runs"]) == 3

    first = read_entries(content)[0]

    assert first["input"] and first["target"] in "12345" and first["draft"] == "3" and len(first["evidence"]) == 2


def test_no_text_leaves_every_text_out(runs: Path) -> None:
    full, bare = write_page(runs), write_page(runs, "--no-text")
    visible = read_entries(read_embedded_json(full))[0]

    assert visible["input"][:40] in full and visible["input"][:40] not in bare

    hidden = read_entries(read_embedded_json(bare))[0]

    assert (hidden["input"], hidden["draft"], hidden["prediction"], hidden["target"], hidden["evidence"]) == (
        None,
        None,
        None,
        None,
        [],
    )
    assert (hidden["example"], hidden["score"], hidden["length"]) == (visible["example"], visible["score"], 1)


def test_a_run_made_without_texts_shows_none(make_run: Make, tmp_path: Path) -> None:
    make_run("good", good, texts=False)
    content = read_embedded_json(write_page(tmp_path / "runs"))
    assert read_entries(content)[0]["input"] is None and content["runs"][0]["note"] == "Texts are left out."


def test_without_its_data_a_run_shows_predictions_and_says_why(make_run: Make, tmp_path: Path) -> None:
    make_run("good", good, source="LaMP_3")
    content = read_embedded_json(write_page(tmp_path / "runs"))
    first = read_entries(content)[0]

    assert first["prediction"] in "12345" and first["input"] is None
    assert "say where that folder is with --data" in content["runs"][0]["note"]


def entry(number: int, text: str) -> dict[str, Any]:
    texts = dict.fromkeys(("input", "draft", "prediction", "target", "trajectory"), text)
    return {"example": f"e{number}", "user": "u", **texts, "failure": None, "evidence": [text], "score": number / 100,
            "length": len(text)}  # fmt: skip


def test_long_texts_and_lists_are_cut_with_a_word() -> None:
    long_entries = [entry(number, f"{number}" + "x" * 2000) for number in range(100)]
    whole = json.loads(browser_json([BrowsedRun("run", long_entries)], 2_000_000))

    assert whole["runs"][0]["total"] == len(whole["runs"][0]["entries"]) == 100
    assert any(text.endswith("x … [1301 more characters]") for text in whole["texts"])

    cut = json.loads(browser_json([BrowsedRun("run", long_entries)], 50_000))
    scores = [packed[FIELDS.index("score")] for packed in cut["runs"][0]["entries"]]

    assert scores == [*(p / 100 for p in range(5)), *(p / 100 for p in range(95, 100))], "the worst and the best"
    assert cut["runs"][0]["total"] == 100


def test_ten_methods_on_seven_tasks_stay_under_3_mb() -> None:
    rng = Random(0)
    inputs = ["".join(rng.choices("abcdefgh ", k=900)) for _ in range(1400)]

    def answered(run: int) -> list[dict[str, Any]]:
        run_inputs = [inputs[(run % 7) * 200 + index] for index in range(200)]
        return [entry(index, text) | {"prediction": f"{run} {index} " * 9} for index, text in enumerate(run_inputs)]

    browsed_runs = [BrowsedRun(f"run {run}", answered(run)) for run in range(70)]
    figures = list(TRAINING_FIGURES)[:15]
    log = {"sft": [LoggedStep(step, {figure: rng.random() for figure in figures}) for step in range(2000)]}
    html = as_html([], [], PageData(browsed_runs, {f"fit {index}": log for index in range(70)}))
    assert 1_000_000 < len(html.encode()) < 3_000_000
    assert "12 of 70 fits are drawn" in html and len(read_embedded_json(html)["runs"]) == 70
    steps = re.findall(r'class="line" points="(.*?)"', html)
    assert len(steps) == 12 * 15 and max(len(points.split()) for points in steps) <= 101, "long curves are thinned"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_the_json_element(text: str) -> None:
    packed = browser_json([BrowsedRun(text, [entry(0, text)], text)], 10**6)

    assert "<" not in packed and ">" not in packed and "&" not in packed

    packed.encode("utf-8")

    assert len(json.loads(packed)["runs"]) == 1


def test_the_front_is_what_nothing_beats() -> None:
    points = [(1.0, 0.2), (2.0, 0.1), (2.0, 0.5), (3.0, 0.5), (4.0, 0.6)]
    assert pareto_front(points, higher_is_better=True) == [(1.0, 0.2), (2.0, 0.5), (4.0, 0.6)]
    assert pareto_front(points, higher_is_better=False) == [(1.0, 0.2), (2.0, 0.1)]


def test_charts_escape_names_and_bear_equal_values() -> None:
    series = [Series(1, "<b>\u202e", [Point(0.0, 0.0, 0.0, 0.0)])]
    drawn = draw_chart("a & b", series, x_label="<x>", y_label="y")
    assert "<b>" not in drawn and "&lt;b&gt;\\u202e" in drawn and "nan" not in drawn and "a &amp; b" in drawn


def test_rows_that_differ_in_k_are_joined_under_their_numbers(runs: Path) -> None:
    drawn = re.search(r"<svg[^>]*LaMP-3: MAE by k.*?</svg>", write_page(runs), re.S)
    assert drawn and drawn[0].count('class="line"') == 1
    assert re.findall(r'class="mark"[^>]*>(\d)<', drawn[0]) == ["1", "2"]


class Balanced(HTMLParser):
    """Fails where an element is closed that is not open."""

    VOID = ("meta", "link", "input", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", HOSTILE[:6])
def test_hostile_names_leave_the_page_whole(make_run: Make, tmp_path: Path, name: str) -> None:
    make_run(name, good)
    parser = Balanced()
    html = write_page(tmp_path / "runs")
    parser.feed(html)

    assert parser.open == [] and html.count("<script") == 2


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb as WCAG 2 defines it, in [0, 1]."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [r":root \{", r':root\[data-theme="dark"\] \{'])
def test_every_colour_of_text_stands_out_from_its_ground(theme: str) -> None:
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    declared = re.search(theme + r"(.*?)\n\}", style, re.S)

    assert declared

    colours = dict(re.findall(r"--(\w+): (#\w{6})", declared[1]))
    texts = {name for name in colours if name not in ("back", "card", "line", "added", "removed")}
    pairs = [(text, "back") for text in texts] + [("fore", name) for name in ("card", "added", "removed")]
    for pair in [*pairs, ("soft", "card")]:
        dark, light = sorted(luminance(colours[name]) for name in pair)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair

    assert len(texts) == 13
