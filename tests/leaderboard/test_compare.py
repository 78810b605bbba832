"""`rpobench compare`: what it says of a difference, what it refuses, and what it warns of."""

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
from rpobench.leaderboard.compare_command import _range
from rpobench.leaderboard.comparison import compare_runs
from rpobench.leaderboard.formats.blocks import Entry
from run_answers import good, perfect, poor
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.main import app
from rpobench.scoring.selection import RunFilter, RunFolders, choose_runs
from rpobench.scoring.stats import Interval
from rpobench.types import RpobenchError

Make = Callable[..., Path]


def compare_named(tmp_path: Path, *names: str) -> dict[str, Any]:
    return compare_runs(choose_runs(RunFolders([tmp_path / "runs"]), names)).to_json()


def test_a_better_method_is_found_better(make_run: Make, tmp_path: Path) -> None:
    run, rival = make_run("good", good), make_run("poor", poor)
    report = compare_named(tmp_path, run.name, rival.name)
    (mae, rmse) = report["comparisons"]

    assert (mae["task"], mae["metric"], mae["main"], rmse["metric"]) == ("LaMP-3", "MAE", True, "RMSE")
    assert mae["difference"] == pytest.approx(mae["second_value"] - mae["first_value"]), "a lower error is better"
    assert mae["gain"] == mae["difference"] > 0
    assert mae["p"] < 0.01 and 0 < mae["low"] < mae["difference"] < mae["high"]
    assert mae["wins"] > mae["losses"] and mae["wins"] + mae["ties"] + mae["losses"] == mae["users"]
    assert mae["effect_size"] > 0.5 and mae["detectable"] > 0 and mae["equivalence"] is None

    turned = compare_named(tmp_path, rival.name, run.name)["comparisons"][0]

    assert turned["difference"] == pytest.approx(-mae["difference"]) and turned["p"] == mae["p"]


def test_holm_is_over_tasks_and_beating_all_takes_the_largest_p(make_run: Make, tmp_path: Path) -> None:
    for task in ("LaMP-3", "LaMP-2"):
        make_run("good", good if task == "LaMP-3" else lambda p, t, r: t, task=task)
        make_run("poor", poor, task=task)
        make_run("same", lambda p, t, r: t if p % 8 else "3", task=task)
    report = compare_named(tmp_path, "good", "poor", "same")
    main = {
        (comparison["second"], comparison["task"]): comparison
        for comparison in report["comparisons"]
        if comparison["main"]
    }
    ps = sorted(main["same", task]["p"] for task in ("LaMP-2", "LaMP-3"))
    adjusted = sorted(main["same", task]["p_holm"] for task in ("LaMP-2", "LaMP-3"))

    assert adjusted[0] == pytest.approx(min(1, 2 * ps[0])) and adjusted[1] == pytest.approx(max(adjusted[0], ps[1]))

    beaten = {comparison["task"]: comparison for comparison in report["beats_all"]}

    assert beaten["LaMP-2"]["rivals"] == ["poor", "same"]
    assert beaten["LaMP-2"]["p"] == max(main[rival, "LaMP-2"]["p"] for rival in ("poor", "same"))

    least, most = sorted(beaten.values(), key=lambda run: run["p"])

    assert least["p_holm"] == pytest.approx(2 * least["p"]) and most["p_holm"] >= max(most["p"], least["p_holm"])
    assert [comparison["beats"] for comparison in (least, most)] == [
        comparison["p_holm"] <= 0.05 for comparison in (least, most)
    ]


def test_beating_all_on_one_task_is_adjusted_for_all_tasks(make_run: Make, tmp_path: Path) -> None:
    make_run("first", perfect, task="LaMP-2")
    make_run("first", lambda position, target, rng: "[1]", task="LaMP-1")
    for name in ("one", "two"):
        make_run(name, lambda position, target, rng: "comedy", task="LaMP-2")
        make_run(name, perfect, task="LaMP-1")
    verdicts = {verdict["task"]: verdict for verdict in compare_named(tmp_path, "first", "one", "two")["beats_all"]}

    assert not verdicts["LaMP-1"]["beats"] and verdicts["LaMP-1"]["p"] == 1.0
    assert verdicts["LaMP-2"]["beats"] and verdicts["LaMP-2"]["p_holm"] == pytest.approx(2 * verdicts["LaMP-2"]["p"])


def test_a_folder_of_several_data_sets_is_narrowed(make_run: Make, tmp_path: Path) -> None:
    for name, answer in (("good", good), ("poor", poor)):
        make_run(name, answer)
        make_run(name, answer, split="test", limit=24)

    with pytest.raises(RpobenchError, match="choose those that were by --base-model, --data, --split, --limit or name"):
        compare_named(tmp_path, "good", "poor")

    store = RunFolders([tmp_path / "runs"])
    by_split, by_limit = (
        compare_runs(choose_runs(store, ("good", "poor"), data_filter)).to_json()
        for data_filter in (RunFilter(split="test"), RunFilter(limit=24))
    )

    assert by_split == by_limit and len(by_split["comparisons"]) == 2

    unlimited_runs = choose_runs(store, ("good", "poor"), RunFilter(limit=0))

    assert [run.spec.data.limit for run in unlimited_runs] == [None, None]

    command = ["compare", "good", "poor", "--runs", str(tmp_path / "runs"), "--json"]

    assert json.loads(CliRunner().invoke(app, [*command, "--split", "test"]).stdout) == by_split
    assert json.loads(CliRunner().invoke(app, [*command, "--limit", "24"]).stdout) == by_split

    refused = CliRunner().invoke(app, [*command, "--split", "train"])

    assert refused.exit_code == 1 and "--split train: no finished run here; choose one of dev, test" in str(
        refused.exception
    )


def test_a_folder_of_several_worlds_is_narrowed_by_data(make_run: Make, tmp_path: Path) -> None:
    for name, answer in (("good", good), ("poor", poor)):
        make_run(name, answer)
        make_run(name, answer, source="synth-v1", seed=0)
        make_run(name, answer, source="LaMP")
    command = ["compare", "good", "poor", "--runs", str(tmp_path / "runs"), "--json"]

    assert CliRunner().invoke(app, command).exit_code == 1

    for data in ("synth-v1", "synth-v1:0", "LaMP"):
        done = CliRunner().invoke(app, [*command, "--data", data])
        assert done.exit_code == 0 and len(json.loads(done.stdout)["comparisons"]) == 2, data

    assert CliRunner().invoke(app, [*command, "--data", "synth-v1:1"]).exit_code == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"split": "test"}, "data sha256"), ({"limit": 24}, "limit"), ({"n": 12}, "data sha256")],
)
def test_runs_on_other_questions_are_refused(make_run: Make, tmp_path: Path, changes: Any, what: str) -> None:
    run, rival = make_run("good", good), make_run("poor", poor, **changes)
    with pytest.raises(RpobenchError, match=f"^LaMP-3: {run.name} and {rival.name} differ in {what}"):
        compare_named(tmp_path, run.name, rival.name)


def test_another_split_or_other_ids_of_one_hash_are_refused(make_run: Make, tmp_path: Path) -> None:
    run, rival = make_run("good", good), make_run("poor", poor)
    result = json.loads((rival / "result.json").read_text())
    result["scores"]["another"] = result["scores"].pop(next(iter(result["scores"])))
    (rival / "result.json").write_text(json.dumps(result))

    with pytest.raises(RpobenchError, match="differ in example ids: run both"):
        compare_named(tmp_path, run.name, rival.name)

    spec = (rival / "spec.json").read_text()
    (rival / "spec.json").write_text(spec.replace('"dev"', '"test"'))

    with pytest.raises(RpobenchError, match=re.escape("differ in split (dev and test)")):
        compare_named(tmp_path, run.name, rival.name)


def test_what_makes_a_comparison_unfair_is_named(make_run: Make, tmp_path: Path) -> None:
    run = make_run("good", good, config={"k": 2, "max_prompt_tokens": 512}, base_model="big")
    rival = make_run("poor", poor, config={"k": 1, "max_prompt_tokens": 256})
    warnings = compare_named(tmp_path, run.name, rival.name)["comparisons"][0]["warnings"]

    assert "base model differs: big and m" in warnings
    assert "k differs: 2 and 1" in warnings and "max_prompt_tokens differs: 512 and 256" in warnings
    assert any(re.fullmatch(r"evidence differs on \d+ of 24 examples", line) for line in warnings)

    alike = [make_run("good", good, config={"k": 2}), make_run("poor", poor, config={"k": 2})]

    assert compare_named(tmp_path, *(run.name for run in alike))["comparisons"][0]["warnings"] == []


def test_another_method_with_other_profiles_is_warned_of(make_run: Make, tmp_path: Path) -> None:
    make_run("good", good)
    control = make_run("poor", poor, profiles="swapped")
    (warning,) = compare_named(tmp_path, "good", control.name)["comparisons"][0]["warnings"]

    assert warning == "profiles differs: own and swapped"


def test_a_control_is_tested_for_equivalence(make_run: Make, tmp_path: Path) -> None:
    own_run = make_run("good", lambda p, t, r: "3")
    swapped = make_run("good", lambda p, t, r: "3", profiles="swapped")
    same = compare_named(tmp_path, own_run.name, swapped.name)["comparisons"][0]

    assert same["second"] == "good (swapped)" and same["p"] == 1.0
    assert same["equivalence"] == {"margin": 0.08, "p": pytest.approx(0.98**24), "equivalent": False}

    other_run = make_run("good", lambda p, t, r: "3", profiles="swapped", config={"k": 8})

    assert compare_named(tmp_path, own_run.name, other_run.name)["comparisons"][0]["equivalence"] is None, (
        "another config"
    )

    own_run = make_run("poor", good)
    swapped = make_run("poor", poor, profiles="swapped")

    assert not compare_named(tmp_path, own_run.name, swapped.name)["comparisons"][0]["equivalence"]["equivalent"]


def test_seeds_count_as_a_source_of_variance(make_run: Make, tmp_path: Path) -> None:
    def steady(position: int, target: str, rng: Random) -> str:
        return "3"

    for seed in range(3):
        make_run("lucky", good if seed else poor, seed=seed)
        make_run("steady", steady, seed=seed)
    several = compare_named(tmp_path, "lucky", "steady")["comparisons"][0]
    alone = compare_named(
        tmp_path, *(f.name for f in (tmp_path / "runs").iterdir() if '"seed": 1' in (f / "spec.json").read_text())
    )
    assert several["seeds"] == [3, 3]
    assert several["p"] > 0.05 > alone["comparisons"][0]["p"], "one bad seed of three leaves doubt"
    make_run("single", steady)
    assert compare_named(tmp_path, "lucky", "single")["comparisons"][0]["seeds"] == [3, 1]


def test_two_runs_of_one_row_and_seed_are_refused(make_run: Make, tmp_path: Path) -> None:
    for base_model in ("small", "big"):
        make_run("good", good, base_model=base_model)
        make_run("poor", poor, base_model=base_model)

    with pytest.raises(RpobenchError, match="are both good and differ in base model"):
        compare_named(tmp_path, "good", "poor")

    make_run("two", good, base_model="small", seed=0)
    make_run("two", good, base_model="big", seed=1)

    with pytest.raises(RpobenchError, match="are both two and differ in base model"):
        compare_named(tmp_path, "two", "two")


@pytest.mark.parametrize("number", range(6))
def test_several_data_sets_are_refused_whatever_their_digests(make_run: Make, tmp_path: Path, number: int) -> None:
    for name, answer in ((f"g{number}", good), (f"p{number}", poor)):
        make_run(name, answer)
        make_run(name, answer, split="test", limit=24)
    with pytest.raises(RpobenchError, match="choose those that were by --base-model, --data, --split, --limit or name"):
        compare_named(tmp_path, f"g{number}", f"p{number}")


def test_seeds_that_both_have_are_held_against_each_other(make_run: Make, tmp_path: Path) -> None:
    for seed in range(3):
        make_run("one", good if seed else poor, seed=seed)
        if seed:
            make_run("two", good, seed=seed)
    comparison = compare_named(tmp_path, "one", "two")["comparisons"][0]

    assert comparison["seeds"] == [2, 2] and comparison["difference"] == pytest.approx(
        comparison["second_value"] - comparison["first_value"]
    )

    for seed in (7, 8):
        make_run("three", good, seed=seed)

    with pytest.raises(RpobenchError, match="share none"):
        compare_named(tmp_path, "one", "three")


def test_a_rival_that_was_not_tested_leaves_no_verdict(make_run: Make, tmp_path: Path) -> None:
    make_run("mine", good)
    make_run("poor", poor)
    untested = make_run("best", lambda position, target, rng: target)
    result = json.loads((untested / "result.json").read_text())
    del result["examples"]
    (untested / "result.json").write_text(json.dumps(result | {"schema": 1}))

    assert compare_named(tmp_path, "mine", "poor", "best")["beats_all"] == []


def test_other_users_under_the_same_ids_are_refused(make_run: Make, tmp_path: Path) -> None:
    run, rival = make_run("good", good), make_run("poor", poor)
    result = json.loads((rival / "result.json").read_text())
    first, second, *_ = result["examples"].values()
    first["user"], second["user"] = second["user"], first["user"]
    (rival / "result.json").write_text(json.dumps(result))

    with pytest.raises(RpobenchError, match="differ in the users of their examples"):
        compare_named(tmp_path, run.name, rival.name)


def test_old_results_are_shown_and_not_tested(tmp_path: Path, make_run: Make) -> None:
    run, rival = make_run("good", good), make_run("poor", poor)
    result = json.loads((rival / "result.json").read_text())
    del result["examples"]
    (rival / "result.json").write_text(json.dumps(result | {"schema": 1}))
    comparison = compare_named(tmp_path, run.name, rival.name)["comparisons"][0]

    assert (
        comparison["p"] is None
        and comparison["p_holm"] is None
        and comparison["second_value"] > comparison["first_value"]
    )

    printed = CliRunner().invoke(app, ["compare", "good", "poor", "--runs", str(tmp_path / "runs")])

    assert printed.exit_code == 0 and "keep no measures" in " ".join(printed.stdout.split())


def test_nothing_to_compare_is_said(make_run: Make, tmp_path: Path) -> None:
    run, rival = make_run("good", good), make_run("poor", poor, task="LaMP-2")

    with pytest.raises(RpobenchError, match="nothing to compare good with"):
        compare_named(tmp_path, run.name, rival.name)
    with pytest.raises(RpobenchError, match="nothing to compare good with"):
        compare_named(tmp_path, run.name)
    with pytest.raises(RpobenchError, match="no run named 'absent'"):
        compare_named(tmp_path, "absent")

    (rival / "result.json").unlink()

    with pytest.raises(RpobenchError, match="not finished"):
        compare_named(tmp_path, rival.name)


@pytest.mark.parametrize(("task", "warned"), [("LaMP-2", True), ("LaMP-3", False)])
def test_intervals_of_f1_over_few_users_are_warned_of(make_run: Make, tmp_path: Path, task: str, warned: bool) -> None:
    make_run("one", lambda position, target, rng: target, task=task)
    make_run("two", lambda position, target, rng: get_task(task).labels[0], task=task)
    printed = CliRunner().invoke(app, ["compare", "one", "two", "--runs", str(tmp_path / "runs")]).stdout

    assert ("f1 over fewer" in " ".join(printed.split())) is warned


def test_a_bound_that_excludes_zero_is_not_shown_as_zero() -> None:
    assert _range(0.0004, 0.1) == "+0.0004 to +0.100"
    assert _range(-0.1, -0.0004) == "-0.100 to -0.0004"
    assert _range(-0.0004, 0.1) == "+0.000 to +0.100"


def test_intervals_of_users_and_of_seeds_stand_side_by_side(make_run: Make, tmp_path: Path) -> None:
    for seed in range(3):
        make_run("good", good, seed=seed)
        make_run("poor", poor if seed else good, seed=seed)

    (mae, _) = compare_named(tmp_path, "good", "poor")["comparisons"]
    printed = CliRunner().invoke(app, ["compare", "good", "poor", "--runs", str(tmp_path / "runs")]).stdout

    for low, high in (mae["users_alone"], mae["seeds_alone"]):
        assert low < mae["difference"] < high
    widths = [high - low for low, high in (mae["users_alone"], mae["seeds_alone"], (mae["low"], mae["high"]))]
    assert widths[0] < widths[1] < widths[2] <= 8, "MAE has a range of 4"
    assert "LaMP-3 MAE: 95% interval over users alone" in printed and "over seeds alone" in printed


def test_a_number_that_rounds_to_zero_has_no_minus_sign(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("good", good)
    make_run("poor", poor)
    report = compare_runs(choose_runs(RunFolders([tmp_path / "runs"]), ("good", "poor")))
    tiny_comparisons = []
    for comparison in report.comparisons:
        assert comparison.difference and comparison.by_user
        difference = replace(comparison.difference, low=-1e-6, high=1e-6, difference=-1e-5)
        by_user = replace(comparison.by_user, effect_size=-1e-4)
        tiny_comparisons.append(replace(comparison, difference=difference, by_user=by_user))
    doctored = replace(report, comparisons=tuple(tiny_comparisons))
    monkeypatch.setattr("rpobench.leaderboard.comparison.compare_runs", lambda _: doctored)
    monkeypatch.setenv("COLUMNS", "300")
    printed = CliRunner().invoke(app, ["compare", "good", "poor", "--runs", str(tmp_path / "runs")]).stdout

    assert "+0.000 to +0.000" in printed and "-0.00" not in printed

    entry = Entry(-1e-6, Interval(0.0, -1e-6, 1e-6, None), signed=True)

    assert entry.figure() + entry.bounds() == "+0.000 [+0.000, +0.000]"


def test_the_command_prints_tables_or_json_and_warns_on_stderr(make_run: Make, tmp_path: Path) -> None:
    make_run("good [bold]", good, config={"k": 1})
    make_run("poor\x1b[2J", poor)
    runs = ["--runs", str(tmp_path / "runs")]
    printed = CliRunner().invoke(app, ["compare", "good [bold]", "poor\x1b[2J", *runs])

    assert printed.exit_code == 0
    assert "good [bold] against poor\\x1b[2J" in printed.stdout and "\x1b" not in printed.stdout
    assert "95% interval" in printed.stdout and "one seed" in printed.stdout
    assert re.search(r"warning: LaMP-3: evidence differs on \d+ of 24 examples", printed.stderr)

    report = json.loads(CliRunner().invoke(app, ["compare", "good [bold]", "poor\x1b[2J", *runs, "--json"]).stdout)

    assert report["first"] == "good [bold]" and len(report["comparisons"]) == 2


def test_a_narrow_window_keeps_the_p_that_belongs_to_the_interval(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task in ("LaMP-3", "LaMP-2"):
        make_run("good", good, task=task)
        make_run("poor", poor, task=task)
    narrow = Console(width=62, file=io.StringIO(), force_terminal=True, no_color=True)
    monkeypatch.setattr("rpobench.terminal.Console", lambda: narrow)

    CliRunner().invoke(app, ["compare", "good", "poor", "--runs", str(tmp_path / "runs")])

    printed = re.sub(r"\x1b\[[0-9;]*m", "", narrow.file.getvalue())
    heads = next(line for line in printed.splitlines() if line.lstrip().startswith("task"))
    assert " p " in f"{heads} " and "p Holm" not in heads, "an adjusted p may contradict the interval beside it"
