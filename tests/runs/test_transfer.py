"""`rpobench transfer`: the matrix of modules and base models, made of ordinary runs, for programs and for people."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from chat_server import ChatServer

from rpobench.cli.main import main
from rpobench.evidence.reference_tokenizer import ReferenceTokenizer
from rpobench.store.files import read_json

TASKS = ["LaMP-3", "LaMP-7"]
MODELS = ["scripted:echo", "scripted:generic"]
TINY = ["k=1", "lora_rank=2", "sft_epochs=1", "rl=none", "validation=0", "max_new_tokens=4", "sft_batch=4"]


def rpobench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["rpobench", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def transfer(checkpoint: Path, out: Path, *more: str) -> list[str]:
    settings = [f"reflection_model=hf:{checkpoint}", *TINY]
    given = [word for pair in settings for word in ("--set", pair)]
    return ["transfer", "--task", ",".join(TASKS), "--limit", "4", "--out", str(out), "--no-swap", *given, *more]


def test_the_matrix_is_made_of_runs_that_share_one_training_a_base_model(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompted = f"hf:{tiny_checkpoint}?system=Be+brief"
    models = ("--train-on", ",".join(MODELS), "--apply-to", ",".join([*MODELS, prompted]))
    asked = transfer(tiny_checkpoint, tmp_path / "runs", *models)
    assert rpobench(monkeypatch, *asked, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    places = [(one["trained_on"], one["applied_to"], one["task"]) for one in found]
    assert places == [(home, other, task) for home in MODELS for other in (*MODELS, prompted) for task in TASKS]
    fits = {}
    for one in found:
        made = read_json(tmp_path / "runs" / one["run"] / "spec.json")
        assert made["base_model"].startswith(one["applied_to"].split("?")[0].replace(f"hf:{tiny_checkpoint}", "tiny"))
        fits.setdefault(one["trained_on"], set()).add(made["fit"])
    assert len({one["run"] for one in found}) == len(found)
    assert sorted(map(len, fits.values())) == [1, 1], "the quick preset shares one module among the tasks"
    assert len(list((tmp_path / "runs" / "fits").glob("*/checkpoint"))) == 2

    assert rpobench(monkeypatch, *asked) == 0
    told = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert told[0] == ["task", "metric", "trained on", *MODELS, prompted]
    assert [row[:3] for row in told[1:]] == [
        [task, metric, home] for task, metric in zip(TASKS, ("MAE ↓", "rouge-1 ↑"), strict=True) for home in MODELS
    ]
    foreign = next(one for one in found if (one["applied_to"], one["task"]) == (MODELS[1], "LaMP-3"))
    assert told[1][4] == f"{foreign['metrics']['MAE']:.3f} ({foreign['references']['draft']:.3f})"


def test_a_module_rewrites_the_drafts_of_a_served_model_in_the_way_asked_for(
    tiny_checkpoint: Path,
    tmp_path: Path,
    server: ChatServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    cutter = ReferenceTokenizer(tiny_checkpoint / "tokenizer.json")  # the test's own cache holds no embedded model
    monkeypatch.setattr("rpobench.runs.runner._reference_tokenizer", lambda: cutter)
    served, out = "openai:tiny", tmp_path / "runs"
    matrix = ("--task", "LaMP-7", "--train-on", MODELS[0], "--apply-to", f"{MODELS[0]},{served}", "--json")
    assert rpobench(monkeypatch, *transfer(tiny_checkpoint, out, *matrix)) == 0
    home, away = (one["run"] for one in json.loads(capsys.readouterr().out))
    lines = [json.loads(line) for line in (out / away / "predictions.jsonl").read_text().splitlines()]
    answers = {" ".join(body["messages"][-1]["content"].split()[-4:]) for body in server.bodies}
    assert len(server.bodies) == 4 and {one["draft"] for one in lines} == answers

    asked = ["run", "--method", "rpo", "--task", "LaMP-7", "--limit", "4", "--no-swap", "--out", str(out), "--json"]
    anew = ("--adapter", home, "--base-model", served, "--set", "n=2", "--set", "gate=-9999")
    assert rpobench(monkeypatch, *asked, *anew) == 0
    (made,) = json.loads(capsys.readouterr().out)
    result, config = (read_json(out / made["run"] / f"{name}.json") for name in ("result", "spec"))
    rewritten = read_json(out / away / "result.json")["usage"]["completion_tokens"]
    assert (config["config"]["n"], config["config"]["gate"], made["run"] != away) == (2, -9999, True)
    assert "kept" in result and result["usage"]["completion_tokens"] > rewritten and len(server.bodies) == 4


def test_an_adapter_of_which_only_the_logs_were_kept_is_refused_before_anything_is_drafted(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    home = transfer(tiny_checkpoint, out, "--train-on", MODELS[0], "--apply-to", MODELS[0], "--json")
    assert rpobench(monkeypatch, *home) == 0
    run = json.loads(capsys.readouterr().out)[0]["run"]
    (adapter,) = out.glob("fits/*/checkpoint/adapter")
    shutil.rmtree(adapter)
    drafts = sorted(out.glob("drafts/*"))
    asked = ["run", "--method", "rpo", "--task", "LaMP-3", "--limit", "4", "--adapter", run, "--out", str(out)]
    assert rpobench(monkeypatch, *asked, "--base-model", MODELS[1]) == 1
    told = capsys.readouterr()
    assert (
        told.out == ""
        and told.err == f"rpobench: {adapter}: not there: move {adapter.parents[1]} away and train it again\n"
    )
    assert sorted(out.glob("drafts/*")) == drafts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "zero-shot"), "--method zero-shot: give one method that trains, such as rpo"),
        (("--method", "rpo,sft-rag"), "--method rpo,sft-rag: give one method that trains"),
        (("--apply-to", "scripted:echo,"), "--apply-to scripted:echo,: give base models, comma-separated"),
        (("--apply-to", "scripted:nothing"), "scripted:nothing: unknown rule 'nothing'"),
        (("--set", "k"), "--set k: give key=value"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_trained(
    options: tuple[str, str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["transfer", "--train-on", "scripted:echo", "--apply-to", "scripted:echo", "--out", str(tmp_path / "runs")]
    assert rpobench(monkeypatch, *asked, *options) == 1
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1 and words in told.err
    assert not (tmp_path / "runs").exists()
