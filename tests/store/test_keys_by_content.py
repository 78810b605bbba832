"""Data and local models are known by what is in them: where a folder lies and what it is called names nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from rpobench.leaderboard.rows import group_runs
from stored_runs import list_run_names

import rpobench
from rpobench.data.official.writer import write_official
from rpobench.data.synth.world import generate
from rpobench.models.kept_texts import KeptTexts
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.runs.specs import name_folders_by_content
from rpobench.store.identity import comparable_identity, content_of, former_identity, identify_folder
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_run_spec
from rpobench.types import Decoding, Message

SHA = "0123456789ab"
MODULE: dict[str, Any] = {
    "lora_rank": 1,
    "sft_epochs": 1.0,
    "max_new_tokens": 8,
    "rl": "none",
    "validation": 0.0,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An official folder with a train split."""
    folder = tmp_path / "reviews"
    for split in ("train", "dev"):
        write_official(generate("LaMP-3", split, 6), folder)
    return folder


@pytest.fixture
def run(tmp_path: Path, other_cache: Path) -> Callable[..., str]:
    """Runs one method on LaMP-3 and returns the name of its run."""

    def run_one(method: str, data: Path, **options: Any) -> str:
        plan = {"base_model": "scripted:echo", "out": tmp_path / "runs", "swap": False, **options}
        (summary,) = rpobench.run(method=method, task="LaMP-3", data=data, **plan)
        return str(summary["run"])

    return run_one


def rename_folder(folder: Path, name: str) -> Path:
    return folder.rename(folder.with_name(name))


def forbid_questions(monkeypatch: pytest.MonkeyPatch, model: type) -> None:
    for name in ("generate", "choose"):
        monkeypatch.setattr(model, name, lambda *arguments, **options: pytest.fail("a model was asked"))


def test_the_name_of_a_folder_is_no_part_of_what_is_hashed() -> None:
    identity = f"{identify_folder('a+b@c:d', SHA)}+float32"

    assert identity == f"a-b-c-d@sha256:{SHA}+float32"
    assert content_of(f"dense-1+{identify_folder('mine', SHA)}") == f"dense-1+sha256:{SHA}"
    assert content_of(identify_folder("one", SHA)) == content_of(identify_folder("two", SHA))
    assert former_identity(identify_folder("one", SHA)) == f"one@{SHA}"


@pytest.mark.parametrize("identity", ["org/name@0123456789abcdef+float32", f"smollm2-135m@{SHA}", "openai:m@sha256:0"])
def test_other_names_stay(identity: str) -> None:
    assert content_of(identity) == identity


def test_identities_of_all_versions_can_be_compared() -> None:
    assert comparable_identity(f"one@{SHA}+float32") == comparable_identity(f"two@sha256:{SHA}+float32")
    assert comparable_identity(f"one@{SHA}") != comparable_identity("one@ffffffffffff")


def test_knobs_name_a_folder_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    identity = identify_folder("mine", SHA)
    knobs = {"reflection_model": f"hf:{tmp_path / 'mine'}", "k": 2, "retriever": "mine"}

    assert name_folders_by_content(knobs, {"reflection": f"{identity}+float32"}) == {
        "reflection_model": f"hf:{identity}",
        "k": 2,
        "retriever": "mine",
    }
    assert name_folders_by_content(knobs, {}) == knobs


def test_renamed_data_is_the_same_data(
    data: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run("rag-bm25", data)
    renamed = rename_folder(data, "other")
    forbid_questions(monkeypatch, ScriptedModel)

    assert run("rag-bm25", renamed) == first
    assert "finished before" in capsys.readouterr().err


def test_a_fit_is_found_under_another_name_of_its_data(data: Path, run: Callable[..., str], tmp_path: Path) -> None:
    run("majority", data)
    run("majority", rename_folder(data, "other"), again=False)

    assert len(list((tmp_path / "runs" / "fits").glob("[0-9a-f]*"))) == 1


def test_other_data_under_the_same_name_is_another_run(data: Path, run: Callable[..., str]) -> None:
    first = run("zero-shot", data)
    for file in data.rglob("dev_outputs.json"):
        golds = json.loads(file.read_text())
        golds["golds"][0]["output"] = "1" if golds["golds"][0]["output"] != "1" else "2"
        file.write_text(json.dumps(golds))

    assert run("zero-shot", data) != first


def test_copies_of_weights_are_one_model(
    data: Path, run: Callable[..., str], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shutil.copytree(tiny_checkpoint, tmp_path / "one")
    two = shutil.copytree(tiny_checkpoint, tmp_path / "deep" / "two")
    first = run("zero-shot", data, base_model=f"hf:{one}", limit=2)
    forbid_questions(monkeypatch, TransformersModel)

    assert run("zero-shot", data, base_model=f"hf:{two}", limit=2) == first


def test_texts_of_a_renamed_model_are_found_by_any_name(tmp_path: Path) -> None:
    """Also those that were begun while the folder's name counted."""
    decoding, chat = Decoding(max_new_tokens=8), (Message("user", "hi"),)
    identities = [f"one@{SHA}", identify_folder("one", SHA), identify_folder("two", SHA)]

    KeptTexts(tmp_path, "texts", ScriptedModel(echo, identity=identities[0]), decoding).generate([chat])
    KeptTexts(tmp_path, "texts", ScriptedModel(echo, identity=identities[1]), decoding).generate([chat])
    assert len(list(tmp_path.glob("*.jsonl"))) == 1

    KeptTexts(tmp_path / "new", "texts", ScriptedModel(echo, identity=identities[1]), decoding).generate([chat])
    KeptTexts(tmp_path / "new", "texts", ScriptedModel(echo, identity=identities[2]), decoding).generate([chat])
    assert len(list((tmp_path / "new").glob("*.jsonl"))) == 1


def test_other_weights_in_a_folder_of_that_name_are_another_model(tiny_checkpoint: Path, tmp_path: Path) -> None:
    one = Path(shutil.copytree(tiny_checkpoint, tmp_path / "one" / "model"))
    two = Path(shutil.copytree(tiny_checkpoint, tmp_path / "two" / "model"))
    (two / "generation_config.json").write_text("{}")

    assert TransformersModel(one).identity != TransformersModel(two).identity


def test_a_moved_reflection_model_is_the_same(
    data: Path, run: Callable[..., str], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shutil.copytree(tiny_checkpoint, tmp_path / "one")
    first = run("sft-rag", data, settings={**MODULE, "reflection_model": f"hf:{one}"})
    two = rename_folder(one, "two")
    forbid_questions(monkeypatch, TransformersModel)
    monkeypatch.setattr("rpobench.rpo.training.stages.train_sft", lambda *arguments: pytest.fail("it was trained"))

    assert run("sft-rag", data, settings={**MODULE, "reflection_model": f"hf:{two}"}) == first


def test_runs_named_by_their_folder_are_found(
    data: Path, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ResultStore(tmp_path / "runs")
    folder = store.root / run("zero-shot", data)
    spec = read_run_spec(folder / "spec.json")
    by_name = spec.with_folder_names(spec.knobs or {})
    (folder / "spec.json").write_text(json.dumps(by_name.content()))
    former_folder = rename_folder(folder, folder.name.replace(spec.digest(), by_name.digest()))
    forbid_questions(monkeypatch, ScriptedModel)

    assert former_folder.name != folder.name
    assert run("zero-shot", data) == former_folder.name
    assert list_run_names(store.root) == {former_folder.name}


def test_two_names_of_the_same_data_stand_in_one_table(data: Path, run: Callable[..., str], tmp_path: Path) -> None:
    run("zero-shot", data)
    run("rag-bm25", rename_folder(data, "other"))

    (section,) = group_runs(ResultStore(tmp_path / "runs").find_runs())

    assert set(section.cells) == {"zero-shot", "rag-bm25"}


def test_runs_on_renamed_data_pass_the_check(data: Path, run: Callable[..., str], tmp_path: Path) -> None:
    run("zero-shot", data)
    renamed = rename_folder(data, "other")

    result = run_rpobench("check", tmp_path / "runs", "--data", renamed)

    assert result.returncode == 0, result.stdout
