"""What version 0.1 trained is found: fits, also unfinished ones, and parts of users. The store here was made by it.

The store was made by version 0.1 with `scripted:echo` as base model, the tiny model of conftest.py as reflection model,
and hashes in place of sentence vectors. It holds finished runs, one fit that was killed after stage 1, and an import.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from paths import STORED
from stored_runs import list_run_names
from words import Hashes

import rpobench
from rpobench import get_method
from rpobench.data.official.writer import write_official
from rpobench.data.synth.world import generate
from rpobench.models.encoder import Encoder
from rpobench.models.scripted import ScriptedModel
from rpobench.submissions.check import check_runs
from rpobench.submissions.reparsed_sets import reparse_runs

KILLED_FIT = "bd3aa215baa4"
MODULE_KNOBS: dict[str, Any] = {
    "reflection_model": "hf:tiny",
    "lora_rank": 1,
    "sft_epochs": 1.0,
    "max_new_tokens": 8,
    "rl_steps": 1,
    "rl_group": 2,
    "rl_prompts": 1,
    "validation": 0.0,
    "user_rank": 1,
    "user_items": 2,
    "user_epochs": 1.0,
}
HYDRA_KNOBS = {"width": 1, "history": 1, "n": 2, "shortlist": 2}


def module_knobs(method: str) -> dict[str, Any]:
    fields = get_method(method).Config.model_fields
    return {name: value for name, value in MODULE_KNOBS.items() if name in fields}


TRAINED: dict[str, dict[str, Any]] = {
    "rpo": {"task": "LaMP-7", "limit": 2, "settings": module_knobs("rpo")},
    "per-user-lora": {"task": "LaMP-7", "limit": 2, "settings": module_knobs("per-user-lora")},
    "hydra": {"task": "LaMP-7", "limit": 2, "settings": HYDRA_KNOBS},
}
RUNS: dict[str, dict[str, Any]] = {
    **TRAINED,
    "hydra": {**TRAINED["hydra"], "task": "LaMP-2"},  # on texts its judge read candidates that are not stored
    "majority": {"task": "LaMP-2", "data": "world", "holdout": 0.5, "swap": False},
}


@pytest.fixture
def store(tmp_path: Path, tiny_checkpoint: Path, other_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the store, in a working folder that holds what the runs named: the tiny model and a data folder."""
    folder = Path(shutil.copytree(STORED / "version_0_1_trained", tmp_path / "runs"))
    shutil.copytree(tiny_checkpoint, tmp_path / "tiny")
    write_official(generate("LaMP-2", "dev", 6), tmp_path / "world")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Encoder, "_model", Hashes())
    # Other versions of torch may draw other weights: then the tiny model only bears the name of the one of then.
    spec = json.loads((folder / "fits" / KILLED_FIT / "spec.json").read_text())
    revision = spec["models"]["reflection"].split("@")[1].split("+")[0]
    monkeypatch.setattr("rpobench.models.local.transformers.checkpoint_sha256", lambda checkpoint: revision)
    return folder


def run(method: str, store: Path, **options: Any) -> list[dict[str, Any]]:
    return list(rpobench.run(**{"method": method, "base_model": "scripted:echo", "out": store, **options}))


def read_as_today(store: Path) -> None:
    """Let the tasks of today read the answers of the runs."""
    left = [report.name for report in reparse_runs(store) if report.reason]
    assert all(name.startswith("LaMP-7-hydra-") for name in left)


def stored_metrics(store: Path) -> dict[str, Any]:
    return {
        file.parent.name: json.loads(file.read_text())["metrics"]
        for file in store.glob("*/result.json")
        if "-swapped-" not in file.parent.name
    }


def trained_files(store: Path) -> dict[Path, bytes]:
    """All that was learned, and all that the base model wrote for it."""
    folders = [store / name for name in ("fits", "users", "drafts", "written")]

    contents = {}
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and ".locks" not in file.parts:
                contents[file] = file.read_bytes()
    return contents


def refuse(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """From now on the functions with these names must not be called."""

    def fail(*arguments: object, **options: object) -> None:
        pytest.fail("it was made before")

    for name in names:
        monkeypatch.setattr(name, fail)


def refuse_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate rehearses HYDRA, so its judges may be trained; `trained_files` tells whether they were kept."""
    refuse(
        monkeypatch,
        "rpobench.rpo.training.stages.train_sft",
        "rpobench.rpo.training.stages.train_grpo",
        "rpobench.baselines.per_user_lora.lora.UserAdapters._train",
    )


def refuse_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedModel, "generate", lambda *arguments: pytest.fail("the base model was asked"))
    monkeypatch.setattr(ScriptedModel, "choose", lambda *arguments, **options: pytest.fail("the base model was asked"))


def test_finished_runs_answer_at_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_as_today(store)
    runs, metrics, files = list_run_names(store), stored_metrics(store), trained_files(store)
    refuse_training(monkeypatch)
    refuse_questions(monkeypatch)

    summaries = [summary for method, options in RUNS.items() for summary in run(method, store, **options)]

    assert {summary["run"]: summary["metrics"] for summary in summaries} == {
        name: value for name, value in metrics.items() if "elsewhere" not in name and "LaMP-7-hydra" not in name
    }
    assert list_run_names(store) == runs
    assert trained_files(store) == files


@pytest.mark.parametrize("method", TRAINED)
def test_unfinished_runs_go_on_with_what_was_learned(method: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, files = stored_metrics(store), trained_files(store)
    for folder in store.glob(f"*-{method}-*"):
        (folder / "result.json").unlink()
        (folder / "predictions.jsonl").unlink()
    read_as_today(store)
    runs = list_run_names(store)
    refuse_training(monkeypatch)
    refuse_questions(monkeypatch)

    (summary,) = run(method, store, **TRAINED[method])

    assert summary["metrics"] in metrics.values()
    assert list_run_names(store) == runs
    assert trained_files(store) == files


def test_fits_are_used_where_their_runs_are_gone(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, files = stored_metrics(store), trained_files(store)
    for folder in store.glob("*-hydra-*"):
        shutil.rmtree(folder)
    refuse_training(monkeypatch)
    refuse_questions(monkeypatch)

    (summary,) = run("hydra", store, **TRAINED["hydra"])

    assert summary["run"] not in metrics, "a run is named by its spec of today"
    assert summary["metrics"] in metrics.values()
    assert trained_files(store) == files


def test_a_run_of_today_on_an_old_fit_outlives_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in store.glob("*-hydra-*"):
        shutil.rmtree(folder)
    (made,) = run("hydra", store, **TRAINED["hydra"])
    fit = json.loads((store / made["run"] / "spec.json").read_text())["fit"]
    runs = list_run_names(store)
    shutil.rmtree(store / "fits" / fit)
    refuse_training(monkeypatch)
    refuse_questions(monkeypatch)

    (summary,) = run("hydra", store, **TRAINED["hydra"])

    assert summary["run"] == made["run"]
    assert list_run_names(store) == runs


def test_a_killed_fit_goes_on_in_its_folder(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = {folder.name for folder in (store / "fits").glob("*/")}
    refuse(monkeypatch, "rpobench.rpo.training.stages.train_sft")
    refuse_questions(monkeypatch)

    (summary,) = run("rpo", store, **TRAINED["rpo"], seeds=(1,), swap=False)

    spec = json.loads((store / summary["run"] / "spec.json").read_text())
    assert spec["fit"] == KILLED_FIT
    assert (store / "fits" / KILLED_FIT / "checkpoint").is_dir()
    assert not (store / "fits" / KILLED_FIT / "work").exists()
    assert {folder.name for folder in (store / "fits").glob("*/") if folder.name != ".locks"} == fits


def test_an_adapter_is_applied_to_other_data(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (adapter,) = store.glob("LaMP-7-rpo-a*")
    fit = json.loads((adapter / "spec.json").read_text())["fit"]
    refuse_training(monkeypatch)

    (summary,) = run(
        "rpo", store, task="LaMP-7", data="synth:1", limit=2, adapter=adapter.name, swap=False, preset="quick"
    )

    assert json.loads((store / summary["run"] / "spec.json").read_text())["fit"] == fit


def test_an_import_is_recognized(store: Path, tmp_path: Path) -> None:
    read_as_today(store)
    (folder,) = store.glob("LaMP-2-elsewhere-*")
    write_official(generate("LaMP-2", "dev", 2), tmp_path / "small")
    predictions = tmp_path / "small" / "LaMP_2" / "dev_outputs.json"

    result = run_rpobench("import", "--task", "LaMP-2", "--preds", predictions, "--name", "elsewhere", "--out", store)

    assert (result.returncode, Path(result.stdout.strip())) == (0, folder)


def test_runs_of_every_kind_pass_the_check(store: Path) -> None:
    assert [report.faults for report in check_runs(store)] == [[]] * len(list_run_names(store))
