"""What `run` refuses before any model works, and what its options mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from official_files import write_official_split

import rpobench
from rpobench import registry
from rpobench.data.sources import Source
from rpobench.data.synth.knobs import Knobs, format_knobs, parse_knobs
from rpobench.data.synth.world import SYNTH_VERSION, generate
from rpobench.method.config import MethodConfig
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_method, get_task, list_names
from rpobench.runs.benchmark import run
from rpobench.runs.examples import find_entries
from rpobench.runs.plan import make_plan, parse_method_names, parse_task_names
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError

pytestmark = pytest.mark.usefixtures("model")


def write_data(root: Path, *splits: str) -> Path:
    """Write an official folder of LaMP-3 whose splits all hold the same six examples."""
    labelled = generate("LaMP-3", "dev", 6).labelled
    for split in splits:
        write_official_split(root / "lamp", "LaMP-3", split, labelled)
    return root / "lamp"


def check_refusal(model: ScriptedModel, out: Path, fault: str, **options: Any) -> None:
    with pytest.raises(RpobenchError, match=fault) as error:
        rpobench.run(**{"method": "zero-shot", "task": "LaMP-3", "limit": 4, "out": out / "runs", **options})

    assert "\n" not in str(error.value)
    assert model.calls == 0 and not (out / "runs").exists(), "nothing worked and nothing is written"


@pytest.mark.parametrize("data", ["synth", "folder"])
def test_nothing_is_scored_that_was_trained_on(tmp_path: Path, model: ScriptedModel, data: str) -> None:
    source = str(write_data(tmp_path, "train", "dev")) if data == "folder" else data
    fault = "--split train: learner trains on this split: score dev or test"

    check_refusal(model, tmp_path, fault, method="zero-shot,learner", split="train", data=source)

    rpobench.run("zero-shot", "LaMP-3", split="train", data=source, limit=2, out=tmp_path / "runs")


def test_a_split_that_holds_training_examples_is_refused(tmp_path: Path, model: ScriptedModel) -> None:
    folder = write_data(tmp_path, "train", "dev")
    fault = "--split dev: id 'lamp-3-dev-.-dev' of LaMP-3 is trained on"

    check_refusal(model, tmp_path, fault, method="learner", data=folder)

    rpobench.run("learner", "LaMP-3", split="train", holdout=0.5, data=folder, out=tmp_path / "runs")


def test_holdout_means_nothing_on_synth(tmp_path: Path, model: ScriptedModel) -> None:
    fault = r"--holdout 0.5: synth:3 has training users of its own"

    check_refusal(model, tmp_path, fault, data="synth:3", holdout=0.5)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"limit": 0}, "--limit 0: .*greater"),
        ({"limit": -3}, "--limit -3: .*greater"),
        ({"profiles": "both"}, "--profiles both: .*'own' or 'swapped'"),
        ({"seeds": (-1,)}, "--seed -1: .*greater"),
        ({"seeds": (2**32,)}, "--seed 4294967296: .*less"),
        ({"seeds": ()}, "--seed .*at least 1"),
        ({"seeds": 0}, "--seed 0: .*tuple"),
        ({"seeds": ("x",)}, "--seed x: .*integer"),
        ({"holdout": float("nan")}, "--holdout nan"),
        ({"holdout": 2}, "--holdout 2"),
        ({"method": ["peek"]}, "--method .*string"),
        ({"settings": "k=1"}, "--settings k=1"),
        ({"limmit": 3}, "run has no option 'limmit': did you mean limit"),
        ({"base_mode": "x"}, "did you mean base_model"),
        ({"data": "synth-v9:1"}, "synth-v9:1: no such version: choose one of synth-v1, synth-v2"),
        ({"data": "synth:²"}, "synth:²: the world seed"),
        ({"data": "synth:" + "9" * 5000}, "the world seed .* at most 18 digits"),
        ({"data": "synth:7?nois=1"}, "synth knob nois: no such knob: did you mean noise"),
        ({"data": "synth:7?noise=x"}, "synth knob noise=x: give a number"),
        ({"data": "synth:7?noise=nan"}, "synth knob noise=nan: give a share"),
        ({"data": "synth?profile_items=4"}, "synth knob profile_items=4: give two whole numbers"),
        ({"data": "synth?profile_items=70000,70000"}, "give two numbers, 1 <= low <= high <= 10000"),
        ({"data": "synth?split=day"}, "synth knob split=day: give user or time"),
        ({"method": "learner", "data": "FOLDER"}, "no train split of LaMP-3"),
        ({"method": "zero-shot,learner", "data": "FOLDER"}, "no train split of LaMP-3"),
        ({"method": "zero-shot,rpo", "settings": {"retriever": "bm52"}}, "unknown retriever 'bm52': did you mean bm25"),
        ({"method": "zero-shot,rpo", "settings": {"reflection_model": "hf:no/where/x"}}, "hf:no/where/x"),
        ({"method": "zero-shot,rpo", "settings": {"reflection_model": "scripted:echo"}}, "scripted:echo' cannot be"),
        ({"method": "zero-shot,rpo", "settings": {"sft_learning_rate": "inf"}}, "sft_learning_rate=inf: .*finite"),
        ({"method": "rpo", "settings": {"rl_beta": "nan"}}, "rl_beta=nan: .*finite"),
        ({"method": "peek", "profiles": "swapped", "limit": 1}, "two users with a profile: score more examples"),
        ({"task": "LaMP-3,"}, "unknown task '': choose one of LaMP-1, "),
        ({"task": "summary"}, "unknown task 'summary': choose one of LaMP-1, "),
        ({"task": "LaMP-3,LaMP-2N"}, "LaMP-2N"),
    ],
)
def test_refused_before_any_work(
    tmp_path: Path, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], fault: str
) -> None:
    monkeypatch.setattr("rpobench.rpo.method.get_model", registry.get_model)
    if options.get("data") == "FOLDER":
        options = {**options, "data": write_data(tmp_path, "dev")}

    check_refusal(model, tmp_path, fault, **options)


def test_an_unknown_base_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: ScriptedModel
) -> None:
    monkeypatch.setattr("rpobench.runs.prepare.get_model", registry.get_model)

    fault = "unknown model 'scritped': did you mean scripted"
    check_refusal(model, tmp_path, fault, base_model="scritped:echo")


def test_from_python_paths_and_values_may_be_of_either_kind(tmp_path: Path) -> None:
    folder = write_data(tmp_path, "dev")
    out = tmp_path / "runs"

    (run_object,) = rpobench.run("peek", "LaMP-3", data=folder, out=str(out), settings={"index": 1}, swap=False)

    assert read_json(out / run_object["run"] / "spec.json")["config"] == {"index": 1}


def test_names_and_groups_may_be_mixed() -> None:
    assert list(parse_task_names("all,LaMP-2N")) == [*(f"LaMP-{n}" for n in range(1, 8)), "LaMP-2N"]
    assert parse_task_names("LaMP-2N, all,LaMP-3")["LaMP-3"] and not parse_task_names("LaMP-2N,all")["LaMP-3"]
    assert parse_method_names("peek,trained,rpo")[0] == "peek"
    assert parse_method_names("peek,trained").count("rpo") == 1


def test_groups_of_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only counts is untrained, and what runs by name alone is of no group."""
    groups = {name: parse_method_names(name) for name in ("all", "trained", "untrained")}

    assert "majority" in groups["untrained"] and "majority" not in groups["trained"] and "rpo" in groups["trained"]
    by_name_only = {name for name in list_names("methods") if get_method(name).by_name_only}
    assert by_name_only == {"hydra", "per-user-lora"}
    grouped = sorted(groups["trained"] + groups["untrained"])
    assert grouped == groups["all"] == sorted({*list_names("methods")} - by_name_only)

    monkeypatch.setattr(get_method("learner"), "by_name_only", True)
    for name, members in groups.items():
        assert parse_method_names(name) == [member for member in members if member != "learner"]
    assert parse_method_names("learner") == ["learner"]


@pytest.mark.parametrize(("split", "fault"), [("train", "counts on --split train"), ("dev", "no train split")])
def test_what_only_counts_is_left_out_without_training_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str, fault: str
) -> None:
    folder = write_data(tmp_path, split)

    objects = rpobench.run("zero-shot,majority", "LaMP-3", data=folder, split=split, out=tmp_path / "runs", swap=False)

    assert [run_object["method"] for run_object in objects] == ["zero-shot"]
    assert fault in capsys.readouterr().err


def test_with_all_only_a_named_task_must_have_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: ScriptedModel
) -> None:
    folder = write_data(tmp_path, "dev")

    objects = rpobench.run("zero-shot", "all,LaMP-3", data=folder, out=tmp_path / "runs")

    assert [run_object["task"] for run_object in objects] == ["LaMP-3"]
    assert "LaMP-7: skipped" in capsys.readouterr().err

    calls = model.calls
    with pytest.raises(RpobenchError, match="LaMP_2N"):
        rpobench.run("zero-shot", "all,LaMP-2N", data=folder, out=tmp_path / "runs")
    assert model.calls == calls


@pytest.mark.parametrize(
    ("data", "source", "world"),
    [
        ("synth:7?split=time&noise=0.5", "synth-v2?noise=0.5&split=time", {"knobs": Knobs(noise=0.5, split="time")}),
        ("synth-v1:7", "synth-v1", {"version": "synth-v1"}),
    ],
)
def test_knobs_and_version_of_the_world_name_a_run(
    tmp_path: Path, data: str, source: str, world: dict[str, Any]
) -> None:
    runs = tmp_path / "runs"

    (plain,) = rpobench.run("zero-shot", "LaMP-7", data="synth:7", limit=3, out=runs)
    (other,) = rpobench.run("zero-shot", "LaMP-7", data=data, limit=3, out=runs)

    assert plain["run"] != other["run"]
    assert read_json(runs / other["run"] / "spec.json")["data"]["source"] == source

    targets = [labelled.target for labelled in generate("LaMP-7", "dev", 3, seed=7, **world).labelled]
    assert [entry.target for entry in find_entries(runs, other["run"])] == targets
    assert [entry.target for entry in find_entries(runs, plain["run"])] != targets


def test_a_knob_at_its_default_is_not_part_of_the_name() -> None:
    assert Source("synth:7?noise=0.05").load_scored(get_task("LaMP-3")).source == SYNTH_VERSION


def test_knobs_come_back_from_their_text() -> None:
    knobs = Knobs(noise=0.25, profile_items=(4, 8), traits=2, drift=1.0, cold_start=0.5, split="time")

    assert parse_knobs(format_knobs(knobs)) == knobs
    assert parse_knobs("") == Knobs() and format_knobs(Knobs()) == ""


def test_every_methods_config_inherits_what_a_knob_may_be() -> None:
    for name in list_names("methods"):
        assert issubclass(get_method(name).Config, MethodConfig), name


def test_the_swap_is_tried_before_a_folder_is_begun(tmp_path: Path) -> None:
    run(make_plan(method="peek", task="LaMP-3", limit=1, out=tmp_path / "runs"))

    assert [path.name for path in (tmp_path / "runs").glob("*-swapped-*")] == []
    assert len(ResultStore(tmp_path / "runs").find_runs()) == 1


def test_what_needs_dates_is_not_applicable_on_data_without(
    tmp_path: Path, model: ScriptedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_data(tmp_path, "dev")

    objects = rpobench.run("rag-recency,zero-shot", "LaMP-3", data=folder, out=tmp_path / "runs")

    assert [run_object["method"] for run_object in objects] == ["zero-shot"]
    assert "LaMP-3: rag-recency needs dates, which this data has not, n/a" in capsys.readouterr().err


def test_methods_that_apply_to_no_task_are_refused(tmp_path: Path, model: ScriptedModel) -> None:
    folder = write_data(tmp_path, "dev")

    check_refusal(
        model,
        tmp_path,
        "no method applies to any task here: choose others",
        method="copy-input,rag-recency",
        data=folder,
    )
