"""What reports and comparisons say of runs in which a model left examples without answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from rpobench.leaderboard.cell_stats import Sheet, compute_sheets
from rpobench.leaderboard.comparison import compare_runs
from rpobench.leaderboard.formats.csv_json import as_csv
from rpobench.leaderboard.formats.markdown import as_markdown
from rpobench.leaderboard.rows import group_runs
from run_answers import perfect

from rpobench.scoring.selection import RunFolders, choose_runs
from rpobench.store.result_store import ResultStore

Make = Callable[..., Path]


def refused(position: int, target: str, rng: Random) -> str | None:
    return None if position % 2 else target


def near(position: int, target: str, rng: Random) -> str:
    return str(max(1, int(target) - position % 2))


def compute_sheet(store: ResultStore) -> Sheet:
    (sheet,) = compute_sheets(group_runs(store.find_runs()), "near")
    return sheet


@pytest.fixture
def store(make_run: Make) -> ResultStore:
    """`mine` is right throughout but for what the server refused; with swapped profiles nothing was refused."""
    make_run("near", near)
    make_run("mine", refused)
    folder = make_run("mine", perfect, profiles="swapped")
    return ResultStore(folder.parent)


def test_a_report_has_neither_gain_nor_test_of_them(store: ResultStore) -> None:
    sheet = compute_sheet(store)

    stats = sheet.cells["mine"]["LaMP-3"]
    assert stats.gain is None and stats.gain_interval is None and stats.versus is None

    report = as_markdown([sheet])
    assert "Examples without answer, own and swapped: mine on LaMP-3 12. They count as wrong" in report
    assert "\u2020 differs" in report and "]\u2020" not in report


def test_the_csv_counts_them(store: ResultStore) -> None:
    lines = csv.DictReader(io.StringIO(as_csv([compute_sheet(store)])))

    rows = {row["method"]: row for row in lines if row["metric"] == "MAE"}
    assert (rows["mine"]["unanswered"], rows["mine"]["failed"], rows["near"]["unanswered"]) == ("12", "12", "0")
    assert rows["mine"]["gain"] == "" and rows["mine"]["p_holm"] == ""


def test_where_all_answered_everything_is_tested(make_run: Make) -> None:
    make_run("near", near)
    make_run("mine", perfect)
    folder = make_run("mine", near, profiles="swapped")

    sheet = compute_sheet(ResultStore(folder.parent))

    assert sheet.cells["mine"]["LaMP-3"].gain and sheet.cells["mine"]["LaMP-3"].versus
    assert "without answer" not in as_markdown([sheet])


def test_a_comparison_warns_and_beats_nobody_with_them(make_run: Make) -> None:
    make_run("third", near)
    make_run("mine", perfect)
    root = make_run("near", refused).parent

    content = compare_runs(choose_runs(RunFolders([root]), ["mine", "near", "third"])).to_json()

    by_rival = {comparison["second"]: comparison for comparison in content["comparisons"] if comparison["main"]}
    assert by_rival["near"]["warnings"] == ["near: 12 examples without answer count as wrong"]
    assert by_rival["near"]["unanswered"] == 12 and by_rival["third"]["unanswered"] == 0
    assert content["beats_all"] == [], "a rival that was not heard is not beaten"
