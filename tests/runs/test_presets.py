"""Presets: one place for what is shown, scored and trained on; those of papers draw users of official folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import CommandResult, run_rpobench
from official_files import write_official_split

from rpobench.cli.options import PRESETS as COMPLETED
from rpobench.data.synth.world import generate
from rpobench.method.presets import PRESETS
from rpobench.runs.plan import configure_methods, make_plan
from rpobench.store.result_store import ResultStore
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError

USERS = {"train": 130, "dev": 70}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An official folder with more users than HYDRA's protocol draws."""
    root: Path = tmp_path_factory.mktemp("official") / "lamp"
    for split, count in USERS.items():
        write_official_split(root, "LaMP-3", split, generate("LaMP-3", split, count).labelled)
    write_official_split(root, "LaMP-7", "dev", generate("LaMP-7", "dev", 4).labelled)
    return root


def run(folder: Path, out: Path, *options: str) -> CommandResult:
    what = ("run", "--task", "LaMP-3", "--data", folder, "--base-model", "scripted:echo", "--no-swap")
    return run_rpobench(*what, "--out", out, *options)


def find_runs(out: Path, method: str) -> list[StoredRun]:
    return sorted(ResultStore(out).find_runs(method=method), key=lambda run: run.spec.data.seed)


def config_of(data: str, preset: str | None = None) -> dict[str, object]:
    (method,) = configure_methods(make_plan(method="rag-bm25", task="LaMP-3", data=data, preset=preset))
    return dict(method.config)


def test_the_default_is_quick_on_a_world_and_full_on_a_folder(folder: Path) -> None:
    quick = {"k": 8, "max_prompt_tokens": 256, "max_evidence_tokens": 110}
    full = {"k": 4, "max_prompt_tokens": 512, "max_evidence_tokens": None}

    assert config_of("synth") == quick and config_of("synth:3?noise=0.1") == quick
    assert config_of(str(folder)) == full
    assert config_of(str(folder), "quick") == quick


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), "preset full (the default on folders): methods show up to 4 items of a history, cut to a prompt of 512"),
        (("--preset", "quick"), "preset quick: methods show up to 8 items of a history, of 110 tokens together"),
        (("--preset", "paper-lamp"), "preset paper-lamp: methods show one item of a history, cut to a prompt of 512"),
        (("--preset", "paper-lamp", "--set", "k=2"), "preset paper-lamp: methods show up to 2 items"),
    ],
)
def test_a_run_on_a_folder_says_what_is_shown(
    folder: Path, tmp_path: Path, options: tuple[str, ...], line: str
) -> None:
    done = run(folder, tmp_path, "--method", "rag-bm25", "--dry-run", *options)

    assert done.returncode == 0 and done.stderr.count(line) == 1


def test_a_world_needs_no_such_line(tmp_path: Path) -> None:
    done = run_rpobench(
        *("run", "--method", "rag-bm25", "--task", "LaMP-3", "--base-model", "scripted:echo", "--dry-run"),
        *("--out", tmp_path),
    )

    assert "preset" not in done.stderr


def test_on_a_folder_everything_is_scored(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "--method", "majority")

    (stored,) = find_runs(tmp_path, "majority")
    assert stored.result.n == 70 and stored.spec.data.sample is None
    assert stored.fit_spec is not None and stored.fit_spec.data[0].limit == 130


def test_lamps_setting_names_its_retrievers() -> None:
    methods = configure_methods(
        make_plan(method="rag-bm25,rag-dense,rag-recency", task="LaMP-3", data="lamp", preset="paper-lamp")
    )

    assert [method.retrievers() for method in methods] == [("bm25",), ("dense:facebook/contriever",), ("recency",)]
    assert {(method.config.k, method.config.max_prompt_tokens) for method in methods} == {(1, 512)}


def test_an_option_goes_before_the_preset() -> None:
    (method,) = configure_methods(
        make_plan(
            method="rag-dense",
            task="LaMP-3",
            data="lamp",
            preset="paper-lamp",
            settings={"k": 4, "encoder": "all-minilm-l6-v2"},
        )
    )

    assert (method.config.k, method.config.encoder) == (4, "all-minilm-l6-v2")


def test_hydras_setting_draws_users_three_times(folder: Path, tmp_path: Path) -> None:
    done = run(folder, tmp_path, "--method", "rag-bm25,majority", "--preset", "paper-hydra")
    runs = find_runs(tmp_path, "rag-bm25")

    assert done.returncode == 0, done.stderr
    assert [stored.spec.data.seed for stored in runs] == [0, 1, 2]
    assert {(stored.user_count, stored.spec.data.users, stored.spec.data.sample) for stored in runs} == {
        (50, 50, "users")
    }
    assert len({stored.spec.data.sha256 for stored in runs}) == 3
    assert {(stored.spec.config["k"], stored.spec.config["max_prompt_tokens"]) for stored in runs} == {(4, 1024)}

    fits = [stored.fit_spec for stored in find_runs(tmp_path, "majority")]
    assert [(fit.data[0].users, fit.data[0].limit, fit.data[0].seed) for fit in fits if fit] == [
        (100, 100, 0),
        (100, 100, 1),
        (100, 100, 2),
    ]


def test_draws_are_found_finished_checked_and_shown(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "--method", "zero-shot", "--preset", "paper-hydra")

    again = run(folder, tmp_path, "--method", "zero-shot", "--preset", "paper-hydra")
    checked = run_rpobench("check", tmp_path, "--data", folder)
    name = find_runs(tmp_path, "zero-shot")[2].name
    shown = run_rpobench("show", name, "--runs", tmp_path, "--data", folder, "--json")

    assert again.stderr.count("finished before") == 3
    assert checked.returncode == 0 and "not scored anew" not in checked.stdout + checked.stderr
    assert len(json.loads(shown.stdout)) == 50


def test_seeds_choose_among_the_draws(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "--method", "zero-shot", "--preset", "paper-hydra", "--seed", "1")

    assert [stored.spec.data.seed for stored in find_runs(tmp_path, "zero-shot")] == [1]


def test_limits_go_before_a_presets_users(folder: Path, tmp_path: Path) -> None:
    options = ("--preset", "paper-hydra", "--seed", "0", "--limit", "9", "--train-limit", "20")
    run(folder, tmp_path, "--method", "majority", *options)

    (stored,) = find_runs(tmp_path, "majority")
    assert (stored.result.n, stored.spec.data.limit, stored.spec.data.users) == (9, 9, None)
    assert stored.fit_spec is not None and stored.fit_spec.data[0].limit == 20


def test_a_folder_with_fewer_users_has_no_draws(tmp_path: Path) -> None:
    folder = write_official_split(tmp_path / "lamp", "LaMP-3", "dev", generate("LaMP-3", "dev", 8).labelled)

    done = run(folder, tmp_path / "runs", "--method", "zero-shot", "--preset", "paper-hydra")

    (stored,) = find_runs(tmp_path / "runs", "zero-shot")
    assert done.returncode == 0 and (stored.result.n, stored.spec.data.seed, stored.spec.data.users) == (8, 0, None)


def test_all_means_the_tasks_of_the_protocol(folder: Path, tmp_path: Path) -> None:
    options = ("--method", "zero-shot", "--preset", "paper-hydra", "--dry-run")

    every = run(folder, tmp_path, *options, "--task", "all")
    other = run(folder, tmp_path, *options, "--task", "LaMP-3,LaMP-7")

    assert "LaMP-2: skipped" in every.stderr and "LaMP-7" not in every.stderr and "LaMP-1" not in every.stderr
    assert other.returncode == 0 and "preset paper-hydra: LaMP-7 is no task of its protocol" in other.stderr


@pytest.mark.parametrize("preset", ["paper-lamp", "paper-hydra"])
def test_a_papers_protocol_is_not_for_worlds(preset: str) -> None:
    with pytest.raises(RpobenchError, match=f"--preset {preset}: is for official folders: give --data DIR"):
        configure_methods(make_plan(method="zero-shot", task="LaMP-3", preset=preset))


def test_what_does_not_apply_is_said_once_for_all_draws(folder: Path, tmp_path: Path) -> None:
    done = run(folder, tmp_path, "--method", "zero-shot,rag-recency", "--preset", "paper-hydra", "--dry-run")

    assert done.stderr.count("rag-recency needs dates") == 1


def test_a_report_of_draws_ends_with_their_mean(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "--method", "zero-shot,majority", "--preset", "paper-hydra")
    values = [stored.main_value for stored in find_runs(tmp_path, "majority")]

    report = run_rpobench("report", "--runs", tmp_path, "--format", "md").stdout
    latex = run_rpobench("report", "--runs", tmp_path, "--format", "latex").stdout
    tables, over_draws = report.split("## Over draws of users")

    assert [f"(a sample of users{draw})" in tables for draw in ("", ", draw 1", ", draw 2")] == [True] * 3
    assert "lamp, split dev, 50 users, 3 draws" in over_draws
    mean = sum(value for value in values if value is not None) / 3
    assert f"| majority | {mean:.3f} |" in over_draws
    assert "tab:rpobench-draws-1" in latex


def test_one_draw_is_compared_at_a_time(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path, "--method", "zero-shot,majority", "--preset", "paper-hydra")

    mixed = run_rpobench("compare", "zero-shot", "majority", "--runs", tmp_path)
    one_draw = run_rpobench("compare", "zero-shot", "majority", "--runs", tmp_path, "--data", "lamp:1")

    assert mixed.returncode == 1 and "--data" in mixed.stderr
    assert one_draw.returncode == 0, one_draw.stderr


def test_the_table_of_a_run_has_a_column_for_draws(folder: Path, tmp_path: Path) -> None:
    drawn = run(folder, tmp_path / "a", "--method", "zero-shot", "--preset", "paper-hydra")
    whole = run(folder, tmp_path / "b", "--method", "zero-shot")

    assert "draw" in drawn.stdout and "users drawn with seed 2" in drawn.stdout
    assert "draw" not in whole.stdout.replace("drawn", "")


def test_holdout_says_that_it_overrides_a_train_split(folder: Path, tmp_path: Path) -> None:
    line = "--holdout 0.5: overrides the train split of LaMP-3: methods train on the other users of dev"

    with_train = run(folder, tmp_path, "--method", "majority", "--holdout", "0.5", "--dry-run")
    without = run(folder, tmp_path, "--method", "majority", "--holdout", "0.5", "--dry-run", "--task", "LaMP-7")

    assert line in with_train.stderr and "overrides" not in without.stderr


def test_presets_are_listed_and_completed() -> None:
    listed = run_rpobench("list", "presets")
    names = json.loads(run_rpobench("list", "presets", "--json").stdout)

    assert names == list(PRESETS) == list(COMPLETED)
    assert "paper-hydra\tup to 4 items of a history, cut to a prompt of 1024 tokens\t50 users scored" in listed.stdout
