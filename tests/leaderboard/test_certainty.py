"""What a table's users can tell: tie groups, the smallest difference, seeds alone, and what is never marked."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rpobench.leaderboard.cell_stats import Sheet, compute_sheets
from rpobench.leaderboard.columns import csv_lines
from rpobench.leaderboard.formats.blocks import SMALLEST, arrange_blocks, sheet_caption
from rpobench.leaderboard.formats.csv_json import as_csv
from rpobench.leaderboard.formats.markdown import as_markdown
from rpobench.leaderboard.pairing import compare_rows
from rpobench.leaderboard.rows import group_runs
from run_answers import good, poor

from rpobench.store.result_store import ResultStore

Make = Callable[..., Path]
NEVER_MARKED = "One seed of a trained method is never marked"


def read_sheet(folder: Path) -> Sheet:
    (sheet,) = compute_sheets(group_runs(ResultStore(folder).find_runs()))
    return sheet


def main_row(sheet: Sheet, label: str) -> list[Any]:
    return list(arrange_blocks(sheet)[0].rows[label])


def test_rows_that_cannot_be_told_apart_share_a_group(make_run: Make, tmp_path: Path) -> None:
    make_run("best", lambda position, target, rng: target)
    make_run("nearly", lambda position, target, rng: target if position else "3")
    make_run("middle", lambda position, target, rng: str(min(5, int(target) + 1)))
    make_run("last", lambda position, target, rng: "no rating")

    sheet = read_sheet(tmp_path / "runs")

    groups = sheet.certainty["LaMP-3"].groups
    assert groups["best"] == groups["nearly"] == 1 < groups["middle"] < groups["last"]
    assert "Tie groups in the main metric" in as_markdown([sheet])
    csv_groups = {
        line["method"]: line["tie_group"]
        for line in csv.DictReader(io.StringIO(as_csv([sheet])))
        if line["metric"] == "MAE"
    }
    assert csv_groups == {label: str(group) for label, group in groups.items()}


def test_tie_groups_stand_beside_ranks(make_run: Make, tmp_path: Path) -> None:
    for task in ("LaMP-3", "LaMP-2"):
        make_run("best", lambda position, target, rng: target, task=task)
        make_run("wrong", lambda position, target, rng: "no answer", task=task)

    block = arrange_blocks(read_sheet(tmp_path / "runs"))[0]

    assert list(block.heads[-2:]) == ["average rank", "average tie group"]
    assert [entry.figure() for entry in block.rows["best"][-2:]] == ["1.0", "1.0"]
    assert [entry.figure() for entry in block.rows["wrong"][-2:]] == ["2.0", "2.0"]


def test_the_smallest_difference_stands_under_every_table(make_run: Make, tmp_path: Path) -> None:
    make_run("good", good)
    make_run("good", poor, profiles="swapped")
    make_run("poor", poor)
    sheet = read_sheet(tmp_path / "runs")
    runs = {label: row["LaMP-3"].own_runs for label, row in sheet.section.cells.items()}

    blocks = {block.title.split(" (")[0]: block for block in arrange_blocks(sheet)}

    comparison = compare_rows(runs["good"], runs["poor"], "MAE")
    assert comparison and blocks[""].references[SMALLEST][1].value == pytest.approx(comparison.detectable)
    assert blocks["Other official metrics"].references[SMALLEST][1].value > 0
    assert blocks["Personalization gain"].references[SMALLEST][0].value > 0
    assert "Smallest difference told: the true difference that a paired test" in sheet_caption(sheet)


def test_more_users_tell_a_smaller_difference(make_run: Make, tmp_path: Path) -> None:
    for n in (24, 96):
        make_run("good", good, n=n)
        make_run("poor", poor, n=n)

    sheets = compute_sheets(group_runs(ResultStore(tmp_path / "runs").find_runs()))

    few, many = sorted(sheets, key=lambda sheet: sheet.section.sample("LaMP-3").result.n)
    ratio = few.certainty["LaMP-3"].smallest["MAE"] / many.certainty["LaMP-3"].smallest["MAE"]
    assert 1.4 < ratio < 3, "twice as many users tell about half"


def test_a_table_of_one_row_claims_nothing(make_run: Make, tmp_path: Path) -> None:
    make_run("good", good)

    sheet = read_sheet(tmp_path / "runs")

    assert (sheet.certainty["LaMP-3"].groups, sheet.certainty["LaMP-3"].smallest) == ({}, {})
    assert SMALLEST not in arrange_blocks(sheet)[0].references and "Tie groups" not in as_markdown([sheet])


@pytest.mark.parametrize(
    ("method", "seeds", "fit", "rank"),
    [
        ("rpo", 1, "f" * 12, 0),
        ("rpo", 2, "f" * 12, 1),
        ("not-installed", 1, "f" * 12, 0),
        ("majority", 1, "f" * 12, 1),
        ("zero-shot", 1, None, 1),
    ],
)
def test_one_seed_of_a_trained_method_is_never_marked(
    make_run: Make, tmp_path: Path, method: str, seeds: int, fit: str | None, rank: int
) -> None:
    for seed in range(seeds):
        make_run(method, good, seed=seed, fit=fit)
    make_run("rag-bm25", poor)

    sheet = read_sheet(tmp_path / "runs")

    entries = {label: main_row(sheet, label)[1] for label in sheet.cells}
    assert entries[method].rank == rank and entries["rag-bm25"].rank == 2
    assert (NEVER_MARKED in sheet_caption(sheet)) is (rank == 0)


def test_seeds_alone_stand_beside_users_alone(make_run: Make, tmp_path: Path) -> None:
    for seed in range(3):
        make_run("good", good if seed else poor, seed=seed)
    make_run("poor", poor)

    sheet = read_sheet(tmp_path / "runs")

    titles = [block.title.split(":")[0] for block in arrange_blocks(sheet)]
    assert titles[titles.index("Over users alone") + 1] == "Over seeds alone"
    lines = {line.label: line for line in csv_lines([sheet]) if line.metric == "MAE"}
    values = {}
    for line in csv.DictReader(io.StringIO(as_csv([sheet]))):
        if line["metric"] == "MAE":
            values[line["method"]] = [line[name] for name in ("users_low", "users_high", "seeds_low", "seeds_high")]
    users_low, users_high, seeds_low, seeds_high = map(float, values["good"])
    mae = lines["good"].stats.values["MAE"]
    assert 0 <= seeds_low <= users_low < mae < users_high < seeds_high <= 4
    assert values["poor"] == [""] * 4
