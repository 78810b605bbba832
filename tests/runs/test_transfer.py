"""`rpobench transfer`: the matrix of modules and base models, made of ordinary runs, for programs and for people."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from command_line import run_rpobench

from rpobench.evidence.reference_tokenizer import ReferenceTokenizer
from rpobench.store.files import read_json

TASKS = ["LaMP-3", "LaMP-7"]
MODELS = ["scripted:echo", "scripted:generic"]
TINY = ["k=1", "lora_rank=2", "sft_epochs=1", "rl=none", "validation=0", "max_new_tokens=4", "sft_batch=4"]


def transfer_command(checkpoint: Path, out: Path, *options: str) -> list[str]:
    settings = []
    for setting in (f"reflection_model=hf:{checkpoint}", *TINY):
        settings += ["--set", setting]
    return ["transfer", "--task", ",".join(TASKS), "--limit", "4", "--out", str(out), "--no-swap", *settings, *options]


def run_json(*arguments: str) -> list[dict[str, Any]]:
    """Run a command that ends well, and return what it prints with `--json`."""
    result = run_rpobench(*arguments, "--json")
    assert result.returncode == 0, result.stderr

    content: list[dict[str, Any]] = json.loads(result.stdout)
    return content


def test_the_runs_of_the_matrix_share_a_training_a_base_model(tiny_checkpoint: Path, tmp_path: Path) -> None:
    prompted = f"hf:{tiny_checkpoint}?system=Be+brief"
    models = ("--train-on", ",".join(MODELS), "--apply-to", ",".join([*MODELS, prompted]))
    command = transfer_command(tiny_checkpoint, tmp_path / "runs", *models)

    cells = run_json(*command)

    positions = [(cell["trained_on"], cell["applied_to"], cell["task"]) for cell in cells]
    assert positions == [(home, other, task) for home in MODELS for other in (*MODELS, prompted) for task in TASKS]
    fits_by_home = defaultdict(set)
    for cell in cells:
        spec = read_json(tmp_path / "runs" / cell["run"] / "spec.json")
        assert spec["base_model"].startswith(cell["applied_to"].split("?")[0].replace(f"hf:{tiny_checkpoint}", "tiny"))
        fits_by_home[cell["trained_on"]].add(spec["fit"])
    assert len({cell["run"] for cell in cells}) == len(cells)
    assert sorted(map(len, fits_by_home.values())) == [1, 1], "the quick preset shares one module among the tasks"
    assert len(list((tmp_path / "runs" / "fits").glob("*/checkpoint"))) == 2

    table = run_rpobench(*command)

    assert table.returncode == 0
    rows = [line.split("\t") for line in table.stdout.splitlines()]
    assert rows[0] == ["task", "metric", "trained on", *MODELS, prompted]
    metrics = {"LaMP-3": "MAE ↓", "LaMP-7": "rouge-1 ↑"}
    assert [row[:3] for row in rows[1:]] == [[task, metrics[task], home] for task in TASKS for home in MODELS]
    foreign = next(cell for cell in cells if (cell["applied_to"], cell["task"]) == (MODELS[1], "LaMP-3"))
    assert rows[1][4] == f"{foreign['metrics']['MAE']:.3f} ({foreign['references']['draft']:.3f})"


def test_a_module_rewrites_the_drafts_of_a_served_model(
    tiny_checkpoint: Path, tmp_path: Path, server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    tokenizer = ReferenceTokenizer(tiny_checkpoint / "tokenizer.json")  # the test's own cache holds no embedded model
    monkeypatch.setattr("rpobench.runs.runner._load_reference_tokenizer", lambda: tokenizer)
    served, out = "openai:tiny", tmp_path / "runs"

    matrix = ("--task", "LaMP-7", "--train-on", MODELS[0], "--apply-to", f"{MODELS[0]},{served}")
    home, away = (cell["run"] for cell in run_json(*transfer_command(tiny_checkpoint, out, *matrix)))

    predictions = [json.loads(line) for line in (out / away / "predictions.jsonl").read_text().splitlines()]
    answers = {" ".join(body["messages"][-1]["content"].split()[-4:]) for body in server.bodies}
    assert len(server.bodies) == 4 and {prediction["draft"] for prediction in predictions} == answers

    command = ["run", "--method", "rpo", "--task", "LaMP-7", "--limit", "4", "--no-swap", "--out", str(out)]
    new_settings = ("--adapter", home, "--base-model", served, "--set", "n=2", "--set", "gate=-9999")
    (gated,) = run_json(*command, *new_settings)

    result, spec = (read_json(out / gated["run"] / f"{name}.json") for name in ("result", "spec"))
    tokens_written = read_json(out / away / "result.json")["usage"]["completion_tokens"]
    assert (spec["config"]["n"], spec["config"]["gate"], gated["run"] != away) == (2, -9999, True)
    assert "kept" in result and result["usage"]["completion_tokens"] > tokens_written and len(server.bodies) == 4


def test_an_adapter_of_which_only_logs_are_left_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    (home, *_) = run_json(*transfer_command(tiny_checkpoint, out, "--train-on", MODELS[0], "--apply-to", MODELS[0]))
    (adapter,) = out.glob("fits/*/checkpoint/adapter")
    shutil.rmtree(adapter)
    drafts = sorted(out.glob("drafts/*"))

    options = ["--task", "LaMP-3", "--limit", "4", "--adapter", home["run"], "--out", str(out)]
    refusal = run_rpobench("run", "--method", "rpo", *options, "--base-model", MODELS[1])

    assert refusal.returncode == 1 and refusal.stdout == ""
    assert refusal.stderr == f"rpobench: {adapter}: not there: move {adapter.parents[1]} away and train it again\n"
    assert sorted(out.glob("drafts/*")) == drafts, "refused before anything is drafted"


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
def test_a_wrong_option_is_one_line_before_any_training(options: tuple[str, str], words: str, tmp_path: Path) -> None:
    command = ["transfer", "--train-on", "scripted:echo", "--apply-to", "scripted:echo"]

    refusal = run_rpobench(*command, "--out", tmp_path / "runs", *options)

    assert refusal.returncode == 1 and refusal.stdout == ""
    assert len(refusal.stderr.splitlines()) == 1 and words in refusal.stderr
    assert not (tmp_path / "runs").exists()
