"""CONTRIBUTING: every block of Python runs as it stands, and what it declares does what the text says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

import pytest
import rpobench.leaderboard.columns
from paths import ROOT
from rpobench.leaderboard.cell_stats import compute_sheets
from rpobench.leaderboard.formats import blocks, csv_json
from rpobench.leaderboard.formats.csv_json import as_csv
from rpobench.leaderboard.formats.latex import as_latex
from rpobench.leaderboard.formats.markdown import as_markdown
from rpobench.leaderboard.html import panels
from rpobench.leaderboard.html.page import PageData, as_html
from rpobench.leaderboard.rows import group_runs
from run_answers import good

from rpobench import api
from rpobench.method.config import QUICK_EVIDENCE, EvidenceConfig
from rpobench.method.presets import choose_preset_evidence
from rpobench.store.result_store import ResultStore

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the blocks define, one after another, as a reader would run them."""
    namespace: dict[str, Any] = {"__name__": "contributing"}
    for number, block in enumerate(BLOCKS, 1):
        exec(compile(block, f"CONTRIBUTING.md, block {number}", "exec"), namespace)
    return namespace


def test_every_block_runs(names: dict[str, Any]) -> None:
    assert len(BLOCKS) >= 7
    assert {
        "LatestItem",
        "LatestItems",
        "UsualAnswer",
        "RecipeName",
        "ScorerWithLength",
        "ShortestFirst",
        "answered",
    } <= names.keys()


def test_a_method_is_about_25_lines() -> None:
    assert len(BLOCKS[0].strip().splitlines()) <= 25


def test_everything_for_authors_comes_from_the_api() -> None:
    imports = re.findall(r"^from (rpobench[\w.]*) import", "\n".join(BLOCKS), re.M)

    # A column is added to the project itself, not by a plugin.
    assert set(imports) - {"rpobench.leaderboard.columns"} == {"rpobench.api", "rpobench.testing"}


def test_entry_points_name_what_the_blocks_define(names: dict[str, Any]) -> None:
    groups = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```$", TEXT, re.M | re.S)]

    assert groups
    for group in groups:
        for points in group["project"]["entry-points"].values():
            for name, target in points.items():
                assert names[target.partition(":")[2]].name == name


def test_a_copied_method_has_the_budget_of_its_rivals(names: dict[str, Any]) -> None:
    for method_class in (names["LatestItem"], names["LatestItems"]):
        assert choose_preset_evidence(method_class.Config, "quick") == QUICK_EVIDENCE
        assert isinstance(method_class(method_class.Config()).evidence_limits, EvidenceConfig)


def test_the_api_documents_what_it_exports() -> None:
    assert "What is promised" in (api.__doc__ or "")
    for name in api.__all__:
        exported = getattr(api, name)
        if isclass(exported) or isfunction(exported):
            assert exported.__doc__, f"{name} has no docstring"


def test_a_metric_stands_in_sums_and_intervals(names: dict[str, Any]) -> None:
    import numpy as np

    from rpobench.scoring.stats import interval

    task = names["MeasuredRecipeName"]()
    pairs = [("a b", "c d"), ("a", "c d"), ("a b c", "c d e"), ("a b", "c")]
    measures = np.array([task.measure(text, target) for text, target in pairs])
    sums = task.summands(measures)[np.newaxis]

    estimate = interval(lambda drawn: task.metrics_of(drawn)["same-length"], sums)

    assert estimate.value == 0.5 and estimate.low < 0.5 < estimate.high


def test_a_column_is_one_declaration(
    make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, Any]
) -> None:
    """It stands in CSV, JSON, Markdown, LaTeX and on the page, and nothing else was touched."""
    make_run("good", good)
    columns = (*rpobench.leaderboard.columns.COLUMNS, replace(names["answered"]))
    monkeypatch.setattr(csv_json, "COLUMNS", columns)
    monkeypatch.setattr(csv_json, "NAMES", tuple(column.name for column in columns if column.in_csv))
    monkeypatch.setattr(blocks, "COLUMNS", columns)
    monkeypatch.setattr(panels, "PAGE_COLUMNS", tuple(column for column in columns if column.page_title))
    monkeypatch.setattr("rpobench.leaderboard.html.page.PAGE_COLUMNS", panels.PAGE_COLUMNS)

    sheets = compute_sheets(group_runs(ResultStore(tmp_path / "runs").find_runs()))

    assert as_csv(sheets).splitlines()[0].endswith(",answered") and as_csv(sheets).splitlines()[1].endswith(",24")
    assert '"answered": 24' in csv_json.as_json(sheets)
    for text in (as_markdown(sheets), as_latex(sheets)):
        assert "Examples that the model answered" in text
    page = as_html(sheets, [], PageData())
    assert 'data-column="answered"' in page and 'data-answered="24"' in page
