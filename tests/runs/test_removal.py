"""`rm` takes what only the removed runs use, and leaves what others use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from edited_plugin import EditedPlugin
from paths import STORED
from removals import list_paths, read_files, remove_runs

from rpobench.data.sources import Source
from rpobench.models.scripted import ScriptedModel, generic
from rpobench.registry import get_task
from rpobench.runs.benchmark import run
from rpobench.runs.plan import make_plan
from rpobench.runs.transfer import transfer
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore


def make_run(out: Path, method: str, **options: Any) -> str:
    """Run a method on LaMP-3, and return the name of the run."""
    (summary,) = run(make_plan(**{"method": method, "task": "LaMP-3", "out": out / "runs", "limit": 4, **options}))
    return summary.run


def read_answers(out: Path) -> set[str]:
    runs = ResultStore(out / "runs").find_runs()
    return {prediction.text for stored in runs for prediction in stored.predictions().values()}


def list_in(out: Path, folder: str) -> list[str]:
    return sorted(path for path in list_paths(out) if path.startswith(f"{folder}/"))


@pytest.fixture
def two_models(model: ScriptedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {"scripted": model, "other": ScriptedModel(generic, "other")}
    monkeypatch.setattr("rpobench.runs.prepare.get_model", models.__getitem__)
    monkeypatch.setattr("rpobench.runs.transfer.get_model", models.__getitem__)


def test_a_run_goes_with_its_control_and_the_last_drafts(model: ScriptedModel, tmp_path: Path) -> None:
    peek = make_run(tmp_path, "peek")
    assert len(list_paths(tmp_path)) == 3

    remove_runs(tmp_path, peek)

    assert list_paths(tmp_path) == set()


def test_a_control_goes_alone(model: ScriptedModel, tmp_path: Path) -> None:
    peek = make_run(tmp_path, "peek")
    (control,) = list_paths(tmp_path) - {peek, *list_in(tmp_path, "drafts")}

    remove_runs(tmp_path, control)

    assert list_paths(tmp_path) == {peek, *list_in(tmp_path, "drafts")} and list_in(tmp_path, "drafts")


def test_a_control_of_other_knobs_or_seed_stays(model: ScriptedModel, tmp_path: Path) -> None:
    peek = make_run(tmp_path, "peek")
    before = list_paths(tmp_path)
    make_run(tmp_path, "peek", settings={"index": "1"})
    make_run(tmp_path, "peek", profiles="swapped", seeds=(1,))
    others = list_paths(tmp_path) - before

    remove_runs(tmp_path, peek)

    assert list_paths(tmp_path) == {*others, *list_in(tmp_path, "drafts")} and len(others) == 3


def test_a_control_that_names_models_by_content_is_found(model: ScriptedModel, tmp_path: Path) -> None:
    peek = make_run(tmp_path, "peek")
    (control,) = [path for path in list_paths(tmp_path) if "-swapped-" in path]
    for name, base_model, extra in ((peek, "tiny@0123456789ab", {}), (control, "copy@sha256:0123456789ab", {"new": 1})):
        file = tmp_path / "runs" / name / "spec.json"
        spec = read_json(file)
        config = {**spec["config"], **extra, "module": f"hf:{base_model}"}
        write_json(file, {**spec, "base_model": base_model, "config": config})

    remove_runs(tmp_path, peek)

    assert control not in list_paths(tmp_path)


def test_drafts_stay_while_another_run_reads_them(model: ScriptedModel, tmp_path: Path) -> None:
    zero_shot, peek, ponder = make_run(tmp_path, "zero-shot"), make_run(tmp_path, "peek"), make_run(tmp_path, "ponder")
    calls = model.calls

    message = remove_runs(tmp_path, peek)
    (drafts,) = list_in(tmp_path, "drafts")
    assert f"stays: {drafts}, used by {zero_shot}" in message
    make_run(tmp_path, "peek")
    assert model.calls == calls, "the same drafts"

    remove_runs(tmp_path, "--method", "peek,zero-shot")
    assert list_paths(tmp_path) == {ponder}


def test_drafts_of_another_base_model_stay(two_models: None, tmp_path: Path) -> None:
    first = make_run(tmp_path, "zero-shot", base_model="scripted")
    before = list_paths(tmp_path)
    make_run(tmp_path, "zero-shot", base_model="other")
    of_other = list_paths(tmp_path) - before

    remove_runs(tmp_path, first)

    assert list_paths(tmp_path) == of_other


def test_drafts_that_a_fit_read_stay_with_the_fit(model: ScriptedModel, tmp_path: Path) -> None:
    learner, zero_shot = make_run(tmp_path, "learner"), make_run(tmp_path, "zero-shot")

    remove_runs(tmp_path, zero_shot)
    assert len(list_in(tmp_path, "drafts")) == 1

    remove_runs(tmp_path, learner)
    assert list_paths(tmp_path) == set()


def test_texts_stay_while_another_run_reads_them(model: ScriptedModel, tmp_path: Path) -> None:
    plain = make_run(tmp_path, "profile-summary", swap=False)
    make_run(tmp_path, "profile-summary-rag", swap=False)

    remove_runs(tmp_path, plain)
    assert len(list_in(tmp_path, "written")) == 1

    remove_runs(tmp_path, "--method", "profile-summary-rag")
    assert list_paths(tmp_path) == set()


def test_a_fit_stays_while_another_run_stands_on_it(model: ScriptedModel, tmp_path: Path) -> None:
    dev, test = make_run(tmp_path, "learner"), make_run(tmp_path, "learner", split="test")
    (fit,) = list_in(tmp_path, "fits")

    assert f"stays: {fit}, used by {test}" in remove_runs(tmp_path, dev)
    assert run_rpobench("report", "--runs", tmp_path / "runs").returncode == 0

    remove_runs(tmp_path, test)
    assert list_paths(tmp_path) == set()


def test_tasks_that_share_a_fit_go_one_by_one(model: ScriptedModel, tmp_path: Path) -> None:
    plan = make_plan(
        method="learner",
        task="LaMP-2,LaMP-3",
        out=tmp_path / "runs",
        limit=4,
        settings={"scope": "shared"},
    )
    run(plan)
    (fit,) = list_in(tmp_path, "fits")

    remove_runs(tmp_path, "--task", "LaMP-2", "--method", "learner")
    assert fit in list_paths(tmp_path)

    remove_runs(tmp_path, "--method", "learner")
    assert list_paths(tmp_path) == set()


def test_a_removed_method_is_fitted_anew(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    make_run(tmp_path, "edited-learner")
    edited_plugin.edit("learner.py", 'self.rating = "1"', 'self.rating = "5"')

    remove_runs(tmp_path, "--method", "edited-learner")
    make_run(tmp_path, "edited-learner")

    assert read_answers(tmp_path) == {"5"}


def test_a_fit_whose_run_was_deleted_by_hand_goes_with_its_method(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    name = make_run(tmp_path, "edited-learner")
    shutil.rmtree(tmp_path / "runs" / name)
    edited_plugin.edit("learner.py", 'self.rating = "1"', 'self.rating = "5"')

    remove_runs(tmp_path, "--method", "edited-learner")
    assert list_paths(tmp_path) == set()

    make_run(tmp_path, "edited-learner")
    assert read_answers(tmp_path) == {"5"}


def test_a_lone_fit_of_many_tasks_needs_all_of_them_named(model: ScriptedModel, tmp_path: Path) -> None:
    options = {"task": "LaMP-2,LaMP-3", "settings": {"scope": "shared"}, "limit": 4, "out": tmp_path / "runs"}
    for summary in run(make_plan(method="learner", **options)):
        shutil.rmtree(tmp_path / "runs" / summary.run)
    before = list_paths(tmp_path)

    refused = run_rpobench("rm", "--method", "learner", "--task", "LaMP-2", "--yes", "--runs", tmp_path / "runs")
    assert refused.returncode == 1 and "is of other tasks too: name them all" in refused.stderr
    assert list_paths(tmp_path) == before

    remove_runs(tmp_path, "--method", "learner", "--task", "LaMP-2,LaMP-3")
    assert list_paths(tmp_path) == set()


LEARNS_OF_USERS = """        from rpobench.api import keep_part, name_part
        for example in examples:
            keep_part(context.users, name_part([example.id], example.id), lambda path: (path / "a").write_text("b"))
            yield Prediction"""


def test_what_was_learned_of_users_goes_with_the_last_run_of_its_code(
    edited_plugin: EditedPlugin, tmp_path: Path
) -> None:
    edited_plugin.edit("learner.py", "        for example in examples:\n            yield Prediction", LEARNS_OF_USERS)
    first, second = make_run(tmp_path, "edited-learner"), make_run(tmp_path, "edited-learner", seeds=(1,))
    make_run(tmp_path, "zero-shot")
    (parts,) = list_in(tmp_path, "users")
    assert parts.startswith("users/edited-learner-")

    remove_runs(tmp_path, first)
    assert parts in list_paths(tmp_path)

    remove_runs(tmp_path, second)
    assert not list_in(tmp_path, "users")


def test_users_left_by_a_method_go_with_its_name(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    make_run(tmp_path, "edited-learner")
    (tmp_path / "runs" / "users" / "edited-learner-0123456789ab").mkdir(parents=True)
    (tmp_path / "runs" / "users" / "edited-0123456789ab").mkdir()

    remove_runs(tmp_path, "--method", "edited-learner", "--seed", "0")
    assert len(list_in(tmp_path, "users")) == 2
    make_run(tmp_path, "edited-learner")
    remove_runs(tmp_path, "--method", "edited-learner")

    assert list_paths(tmp_path) == {"users/edited-0123456789ab"}


def test_the_home_of_an_adapter_goes_and_its_fit_stays(two_models: None, tmp_path: Path) -> None:
    home = make_run(tmp_path, "learner", base_model="scripted")
    applied = make_run(tmp_path, "learner", base_model="other", adapter=home)

    remove_runs(tmp_path, home)
    assert set(list_in(tmp_path, "fits")) < list_paths(tmp_path)
    assert make_run(tmp_path, "learner", base_model="other", adapter=applied) == applied

    remove_runs(tmp_path, applied)
    assert list_paths(tmp_path) == set()


def test_an_adapter_of_another_folder_stays_there(two_models: None, tmp_path: Path) -> None:
    home = make_run(tmp_path / "home", "learner", base_model="scripted")
    before = read_files(tmp_path / "home")
    options = {"base_model": "other", "adapter": str(tmp_path / "home" / "runs" / home)}
    applied = make_run(tmp_path, "learner", **options)

    remove_runs(tmp_path, applied)

    assert list_paths(tmp_path) == set() and read_files(tmp_path / "home") == before


def test_a_row_of_a_transfer_goes_alone(two_models: None, tmp_path: Path) -> None:
    plan = make_plan(method="learner", task="LaMP-3", out=tmp_path / "runs", limit=4)
    cells = transfer(plan, ["scripted"], ["scripted", "other"])

    remove_runs(tmp_path, "--base-model", "other")

    assert {path for path in list_paths(tmp_path) if "/" not in path} == {cells[0].summary.run}
    assert len(list_in(tmp_path, "fits")) == 1


def test_an_import_goes_alone(model: ScriptedModel, tmp_path: Path) -> None:
    make_run(tmp_path, "zero-shot")
    before = list_paths(tmp_path)
    labelled = Source("synth", "dev", scored_limit=4).load_scored(get_task("LaMP-3")).labelled
    answers = {example.example.id: example.target for example in labelled}
    (tmp_path / "preds.json").write_text(json.dumps(answers))
    options = ("--preds", tmp_path / "preds.json", "--name", "theirs", "--task", "LaMP-3", "--limit", "4")
    assert run_rpobench("import", *options, "--out", tmp_path / "runs").returncode == 0
    assert len(list_paths(tmp_path)) == len(before) + 1

    remove_runs(tmp_path, "--method", "theirs")

    assert list_paths(tmp_path) == before


def test_unfinished_runs_and_fits_go_too(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    make_run(tmp_path, "zero-shot")
    before = list_paths(tmp_path)
    name = make_run(tmp_path, "edited-learner")
    (tmp_path / "runs" / name / "result.json").unlink()
    edited_plugin.edit("learner.py", "        self.rating", "        raise KeyboardInterrupt\n        self.rating")
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, "edited-learner", seeds=(1,))
    assert len(list_in(tmp_path, "fits")) == 2

    remove_runs(tmp_path, "--method", "edited-learner")

    assert list_paths(tmp_path) == before


def test_what_again_left_half_done_goes_with_the_run(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    name = make_run(tmp_path, "edited-learner")
    edited_plugin.edit("learner.py", "        for example", "        raise KeyboardInterrupt\n        for example")
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, "edited-learner", again=True)
    assert f".again/{name}" in list_paths(tmp_path) and list_in(tmp_path, ".again/fits")

    remove_runs(tmp_path, name)

    assert list_paths(tmp_path) == set() and not (tmp_path / "runs" / ".again").exists()


def test_a_run_that_only_again_began_goes_by_its_name(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    edited_plugin.edit("learner.py", "        for example", "        raise KeyboardInterrupt\n        for example")
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, "edited-learner", again=True)
    (folder,) = (tmp_path / "runs" / ".again").glob("LaMP-3-*")

    remove_runs(tmp_path, folder.name)

    assert list_paths(tmp_path) == set()


def test_a_damaged_run_goes_by_its_name_alone(model: ScriptedModel, tmp_path: Path) -> None:
    name, other = make_run(tmp_path, "ponder"), make_run(tmp_path, "zero-shot")
    (tmp_path / "runs" / name / "spec.json").write_text("{")
    before = read_files(tmp_path)

    refused = run_rpobench("rm", "--yes", "--runs", tmp_path / "runs", other)
    assert refused.returncode == 1 and f"{name}/spec.json: not readable as JSON" in refused.stderr
    assert read_files(tmp_path) == before

    remove_runs(tmp_path, name)
    assert name not in list_paths(tmp_path) and other in list_paths(tmp_path)


def test_a_run_without_spec_goes_by_its_name(model: ScriptedModel, tmp_path: Path) -> None:
    name = make_run(tmp_path, "ponder")
    (tmp_path / "runs" / name / "spec.json").unlink()
    assert run_rpobench("report", "--runs", tmp_path / "runs").returncode == 1

    remove_runs(tmp_path, name)

    assert list_paths(tmp_path) == set()


def test_notes_lead_to_nothing_outside_of_the_folder(model: ScriptedModel, tmp_path: Path) -> None:
    name = make_run(tmp_path, "ponder")
    for path in ("fits", "drafts", "elsewhere"):
        (tmp_path / path).mkdir()
        (tmp_path / path / "precious.jsonl").write_text("{}")
    folder = tmp_path / "runs" / name
    notes = ["../drafts/precious.jsonl", "drafts/../../drafts/precious.jsonl", str(tmp_path / "elsewhere")]
    write_json(folder / "environment.json", {**read_json(folder / "environment.json"), "shared_files": notes})
    write_json(folder / "spec.json", {**read_json(folder / "spec.json"), "fit": "../../fits"})

    remove_runs(tmp_path, name)

    assert sorted(path.name for path in tmp_path.glob("*/precious.jsonl")) == ["precious.jsonl"] * 3
    assert list_paths(tmp_path) == set()


def test_a_linked_run_is_unlinked(model: ScriptedModel, tmp_path: Path) -> None:
    name = make_run(tmp_path, "ponder")
    shutil.move(tmp_path / "runs" / name, tmp_path / "archive")
    (tmp_path / "runs" / name).symlink_to(tmp_path / "archive")

    remove_runs(tmp_path, name)

    assert list_paths(tmp_path) == set() and (tmp_path / "archive" / "result.json").exists()


def test_fits_on_another_disk_go(model: ScriptedModel, tmp_path: Path) -> None:
    name = make_run(tmp_path, "learner")
    shutil.move(tmp_path / "runs" / "fits", tmp_path / "disk")
    (tmp_path / "runs" / "fits").symlink_to(tmp_path / "disk")

    remove_runs(tmp_path, name)

    assert [path.name for path in (tmp_path / "disk").iterdir()] == [".locks"]


def test_what_version_0_1_left_stays_as_long_as_anybody_may_use_it(tmp_path: Path) -> None:
    shutil.copytree(STORED / "version_0_1_trained", tmp_path / "runs")
    before = list_paths(tmp_path)

    remove_runs(tmp_path, "--method", "hydra", "--task", "LaMP-2")
    gone = before - list_paths(tmp_path)
    assert gone == {"LaMP-2-hydra-a655e5fdb6b0", "LaMP-2-hydra-swapped-eace67492b92", "fits/9c6013111a5d"}

    remove_runs(tmp_path, "--method", "hydra,per-user-lora,majority,elsewhere")
    left = {path.partition("/")[0] for path in list_paths(tmp_path)}
    assert left == {
        "LaMP-7-rpo-a283bff281b5", "LaMP-7-rpo-swapped-874dd19a00a5", "drafts", "fits", "users", "written"
    }  # fmt: skip

    remove_runs(tmp_path, "--method", "rpo")
    assert list_paths(tmp_path) == set()
