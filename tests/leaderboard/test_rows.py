"""Tables of finished runs: what is compared, what is kept apart, what is marked."""

from __future__ import annotations

import csv
import io
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from rpobench.leaderboard.cell_stats import compute_sheets
from rpobench.leaderboard.formats.csv_json import NAMES
from rpobench.leaderboard.formats.csv_json import as_csv as format_csv
from rpobench.leaderboard.formats.markdown import as_markdown as format_markdown
from rpobench.leaderboard.rows import group_runs

from rpobench.store.results import StoredEnvironment, StoredResult
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.store.stored_run import FolderReader, StoredRun
from rpobench.types import RpobenchError

RATING = {"MAE": "min", "RMSE": "min"}
TEXT = {"rouge-1": "max", "rouge-L": "max"}
FIT = {
    "method": "a",
    "version": "1",
    "config": {},
    "seed": 0,
    "train_tasks": ["LaMP-3@1"],
    "base_model": "m",
    "data": [],
}
LEARNED = {"source": "synth-v1", "split": "train", "sha256": "e" * 64, "limit": 8}


def stored_run(method: str, value: float, **changes: Any) -> StoredRun:
    """A finished run as the store returns it.

    `changes` may name any field of spec, data, environment or result; `world` is the seed of the data, `fit_spec` what
    the run's fit was trained on.
    """
    directions = changes.pop("directions", RATING)
    main, other = directions
    fit_spec, folder = changes.pop("fit_spec", None), changes.pop("folder", f"runs/{method}")
    data = {
        "source": "synth-v1", "split": "dev", "limit": None, "holdout": None, "seed": changes.pop("world", 0),
        "sample": None, "sha256": "d" * 64,
    }  # fmt: skip
    spec = {
        "task": "LaMP-3@1", "profiles": "own", "method": method, "version": "1", "config": {}, "base_model": "m",
        "fit": None, "seed": 0, "prompts": None,
    }  # fmt: skip
    metrics = {main: value, other: value + 1}
    result = {
        "schema": 1, "metrics": metrics, "strict": metrics, "scores": {}, "n": 32, "failed": 0, "unanswered": 0,
        "references": {"oracle": {main: 0.1, other: 0.2}}, "seconds": 2.0, "users": "given", "main_metric": main,
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "dollars": None}, "directions": directions,
        "texts": True, "synthetic": True, "imported": False,
    }  # fmt: skip
    environment = {"data_sha256": "d" * 64, "prompt_sha256": "p" * 64}
    for name, value in changes.items():
        content = next(part for part in (environment, spec, data, result) if name in part)
        content[name] = value

    return StoredRun(
        spec=RunSpec.model_validate({**spec, "data": data}),
        result=StoredResult.model_validate(result),
        environment=StoredEnvironment.model_validate(environment),
        folder=Path(folder),
        fit_folder=None,
        fit_spec=None if fit_spec is None else FitSpec.model_validate({**FIT, **fit_spec}),
        reader=FolderReader(Path(folder), None),
    )


def as_markdown(runs: list[StoredRun]) -> str:
    return format_markdown(compute_sheets(group_runs(runs)))


def as_csv(runs: list[StoredRun]) -> str:
    return format_csv(compute_sheets(group_runs(runs)))


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]


def test_the_best_is_bold_by_direction() -> None:
    text = as_markdown(
        [
            stored_run("a", 1.0),
            stored_run("b", 0.5),
            stored_run("a", 0.2, task="LaMP-7@1", directions=TEXT),
            stored_run("b", 0.1, task="LaMP-7@1", directions=TEXT),
        ]
    )
    table = rows(text)

    assert table[0] == ["method", "seeds", "LaMP-3 MAE ↓", "LaMP-7 rouge-1 ↑", "average rank"]
    assert ["a", "1", "*1.000*", "**0.200**", "1.5"] in table
    assert ["b", "1", "**0.500**", "*0.100*", "1.5"] in table
    assert ["*oracle*", "-", "0.100", "0.100", "-"] in table, "references are shown and never the best"


def test_intervals_of_f1_over_few_users_are_warned_of() -> None:
    label = {"accuracy": "max", "f1": "max"}

    assert "Intervals of f1" in as_markdown([stored_run("a", 1.0, task="LaMP-2@1", directions=label)])
    assert "Intervals of f1" not in as_markdown([stored_run("a", 1.0, task="LaMP-2@1", directions=label, n=100)])
    assert "Intervals of f1" not in as_markdown([stored_run("a", 1.0)])


def test_headings_name_world_and_limit_captions_later_versions() -> None:
    text = as_markdown([stored_run("a", 1.0, version="7", limit=100), stored_run("b", 1.0, limit=100)])

    assert "## synth-v1, world 0, 32 examples a task, split dev, limit 100 (synthetic, not LaMP)" in text
    assert "Versions of methods beyond the first: a 7. " in text

    sampled = as_markdown([stored_run("a", 1.0, source="LaMP", synthetic=False, limit=100, sample="users")])
    assert "## LaMP, split dev, limit 100 (a sample of users), base model m" in sampled

    real = as_markdown([stored_run("a", 1.0, source="LaMP", synthetic=False)])

    assert "## LaMP, split dev, base model m" in real and "Versions" not in real


def test_synthetic_data_says_so_and_real_data_does_not() -> None:
    assert "synthetic, not LaMP" in as_markdown([stored_run("a", 1.0)])
    real = as_markdown([stored_run("a", 1.0, synthetic=False, source="lamp", users="inferred")])
    assert "synthetic" not in real and "lamp, split dev" in real and "users inferred" in real


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "e" * 64},
        {"prompt_sha256": "q" * 64},
        {"split": "test"},
        {"base_model": "other"},
        {"source": "lamp"},
        {"holdout": 0.5},
        {"limit": 8},
        {"world": 1},
        {"n": 200},
        {"task": "LaMP-3@2"},
    ],
)
def test_what_cannot_be_compared_has_headings_of_its_own(changes: dict[str, Any]) -> None:
    runs = [stored_run("a", 1.0), stored_run("b", 0.5, **changes)]

    assert len(group_runs(runs)) == 2
    text = as_markdown(runs)
    assert text.count("## ") == 2
    assert "**1.000**" in text and "**0.500**" in text


def test_tasks_of_two_worlds_or_sizes_are_not_in_one_table() -> None:
    """Each task counts its variants by itself, so it must not be they that tell worlds apart."""
    for changes in ({"world": 1, "sha256": "e" * 64}, {"n": 200}):
        runs = []
        for method, task in product("ab", ("LaMP-3@1", "LaMP-4@1", "LaMP-5@1")):
            is_changed = len(runs) % 2 == 1
            runs.append(stored_run(method, 1.0, task=task, **(changes if is_changed else {})))

        for section in group_runs(runs):
            cells = [cell for row in section.cells.values() for cell in row.values()]
            assert len({(cell.sample.spec.data.seed, cell.sample.result.n) for cell in cells}) == 1


def test_seeds_with_other_prompts_are_rows_of_their_own() -> None:
    runs = [stored_run("a", 1.0, prompts="p1"), *(stored_run("a", 1.0, prompts="p2", seed=seed) for seed in (0, 1))]

    assert {"a prompts=p1", "a prompts=p2"} == {row[0] for row in rows(as_markdown(runs)) if row[0].startswith("a ")}

    runs = [stored_run("a", 1.0, prompts="p1"), stored_run("a", 1.0, prompts="p2", seed=1)]

    assert {"a prompts=p1", "a prompts=p2"} == {row[0] for row in rows(as_markdown(runs)) if row[0].startswith("a ")}


def test_what_cannot_be_weighed_is_no_number_in_the_files() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv([stored_run("a", float("inf"), imported=True)]))))
    assert lines[0]["value"] == "" and lines[0]["seconds"] == "" and lines[0]["prompt_tokens"] == ""


def test_seeds_are_averaged_and_counted() -> None:
    table = rows(as_markdown([stored_run("a", 1.0), stored_run("a", 2.0, seed=1)]))
    assert ["a", "2", "**1.500**"] in table


def test_gain_is_positive_where_the_own_profile_is_better() -> None:
    text = as_markdown(
        [
            stored_run("a", 1.0),
            stored_run("a", 1.4, profiles="swapped"),
            stored_run("b", 0.3, task="LaMP-7@1", directions=TEXT),
            stored_run("b", 0.2, task="LaMP-7@1", directions=TEXT, profiles="swapped"),
        ]
    )
    table = rows(text)

    assert ["a", "+0.400", "-"] in table and ["b", "-", "+0.100"] in table
    assert ["a", "1", "**1.000**", "-", "-"] in table, "a swapped run is no row of its own"


def test_prompts_tell_rows_apart_only_where_they_share_a_task() -> None:
    rating, tweet = (
        stored_run("a", 1.0, prompts="p1"),
        stored_run("a", 0.2, task="LaMP-7@1", directions=TEXT, prompts="p2"),
    )

    assert [row[:2] for row in rows(as_markdown([rating, tweet]))[2:4]] == [["a", "1"], ["*oracle*", "-"]]

    changed = [row[0] for row in rows(as_markdown([rating, tweet, stored_run("a", 0.5, prompts="p3")]))]

    assert {"a prompts=p1", "a prompts=p3"} <= set(changed)


def test_a_gain_pairs_runs_of_one_seed() -> None:
    runs = [stored_run("a", 1.0), stored_run("a", 9.0, seed=1), stored_run("a", 1.5, profiles="swapped")]
    assert ["a", "+0.500"] in rows(as_markdown(runs))


def test_rows_of_one_method_say_how_they_differ() -> None:
    table = rows(
        as_markdown([stored_run("a", 1.0, config={"k": 4, "x": 1}), stored_run("a", 2.0, config={"k": 8, "x": 1})])
    )

    assert {row[0] for row in table} >= {"a k=4", "a k=8"}

    alone = {"data": [LEARNED]}
    shared = {"train_tasks": ["LaMP-3@1", "LaMP-7@1"], "data": [LEARNED, LEARNED]}
    table = rows(as_markdown([stored_run("a", 1.0, fit_spec=alone), stored_run("a", 2.0, fit_spec=shared)]))

    assert {row[0] for row in table} >= {"a", "a trained_on=LaMP-3@1+LaMP-7@1"}


def test_a_module_trained_on_other_drafts_says_so_even_alone() -> None:
    native, foreign = (stored_run("a", 1.0, fit_spec={"base_model": name}) for name in ("m", "other"))

    assert "a drafts_of=other" in {row[0] for row in rows(as_markdown([foreign]))}

    labels = [row[0] for row in rows(as_markdown([native, foreign]))]

    assert {"a", "a drafts_of=other"} <= set(labels)


def test_two_fits_of_one_method_are_two_rows() -> None:
    table = rows(as_markdown([stored_run("a", 1.0, fit="f1"), stored_run("a", 2.0, fit="f2")]))
    assert {row[0] for row in table} >= {"a fit=f1", "a fit=f2"}


def test_a_knob_that_is_none_is_not_a_knob_that_is_not_there() -> None:
    table = rows(
        as_markdown([stored_run("a", 1.0, config={"k": 1}), stored_run("a", 2.0, config={"k": 1, "gate": None})])
    )
    assert {row[0] for row in table} >= {"a", "a gate=None"}


def test_seeds_trained_on_other_data_are_rows_of_their_own() -> None:
    training_data = [
        {**LEARNED, "sha256": digit * 64, "limit": limit} for digit, limit in (("a", 8), ("a", 9), ("b", 9), ("b", 9))
    ]
    runs = [stored_run("a", 1.0, seed=seed, fit_spec={"data": [data]}) for seed, data in enumerate(training_data)]
    seeds_by_label = {row[0]: row[1] for row in rows(as_markdown(runs)) if row[0].startswith("a training=")}

    assert sorted(seeds_by_label.values()) == ["1", "1", "2"]


def test_two_runs_in_one_place_are_refused() -> None:
    runs = [stored_run("a", 1.0, folder="runs/one"), stored_run("a", 2.0, folder="runs/two")]
    with pytest.raises(RpobenchError, match="runs/one and runs/two are both a of LaMP-3, seed 0: move one away"):
        as_markdown(runs)


def test_csv_has_the_columns_and_a_line_for_each_metric() -> None:
    text = as_csv([stored_run("a", 1.0), stored_run("a", 1.4, profiles="swapped"), stored_run("b|\n", 0.5)])
    table = list(csv.DictReader(io.StringIO(text)))

    assert text.startswith("method,task,metric,value,low,high,n,seeds,data,split,base_model,p_holm,")
    assert set(NAMES) <= set(table[0])
    assert [(line["method"], line["metric"], float(line["value"])) for line in table] == [
        ("a", "MAE", 1.0), ("a", "RMSE", 2.0), ("b|\n", "MAE", 0.5), ("b|\n", "RMSE", 1.5),
    ]  # fmt: skip
    assert table[0]["low"] == table[0]["p_holm"] == "" and table[0]["n"] == "32" and table[0]["seeds"] == "1"
    assert float(table[0]["gain"]) == pytest.approx(0.4) and table[1]["gain"] == ""


def test_a_name_cannot_break_the_table() -> None:
    assert "| b\\| |" in as_markdown([stored_run("b|\n", 0.5)])


def test_tasks_stand_in_natural_order() -> None:
    runs = [stored_run("a", 1.0, task=f"LaMP-{number}@1") for number in (10, 2, 1)]
    assert rows(as_markdown(runs))[0][2:5] == ["LaMP-1 MAE ↓", "LaMP-2 MAE ↓", "LaMP-10 MAE ↓"]


def test_nothing_is_marked_second_best() -> None:
    text = {"rouge-1": "max", "rouge-L": "max"}
    runs = [stored_run("a", 0.5, directions=text), stored_run("b", 0.0, directions=text)]

    assert ["b", "1", "0.000", "-"] in rows(as_markdown(runs)) or ["b", "1", "0.000"] in rows(as_markdown(runs))
    assert "*0.000*" not in as_markdown(runs)
