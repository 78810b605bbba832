"""RPO with the real embedded model, small: it learns to write trajectories, and GRPO moves the adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from training_jobs import ADAPTER_FILE

from rpobench.rpo.form import Form
from rpobench.store.result_store import ResultStore

pytestmark = pytest.mark.slow


def test_the_embedded_model_learns_the_form_and_answers_in_it(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-c", "from rpobench.cli.main import main; main()", "run", "--method", "rpo"),
        *("--task", "LaMP-2,LaMP-3,LaMP-7", "--limit", "12", "--no-swap", "--out", str(tmp_path), "--json"),
        *("--set", "rl_steps=2", "--set", "k=2", "--set", "sft_epochs=4"),  # 32 steps: at 16 the form is half learned
    ]

    process = subprocess.run(command, stdout=subprocess.PIPE, check=True)

    summaries = json.loads(process.stdout)
    assert [summary["task"] for summary in summaries] == ["LaMP-2", "LaMP-3", "LaMP-7"]

    trajectory_count = 0
    for run in ResultStore(tmp_path).find_runs():
        predictions = run.predictions().values()
        assert len(predictions) == 12
        for prediction in predictions:
            trajectory_count += Form().parse(prediction.trajectory or "") is not None
            if run.task_name == "LaMP-3":
                assert prediction.text in tuple("12345")
    assert trajectory_count >= 18, "fewer than half of the texts are trajectories"

    (spec_file,) = (tmp_path / "fits").glob("*/spec.json")
    checkpoint = spec_file.parent / "checkpoint"
    weights = load_file(checkpoint / "adapter" / ADAPTER_FILE)
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert (checkpoint / "sft.jsonl").exists() and (checkpoint / "trajectories.jsonl").exists()

    entries = [json.loads(line) for line in (checkpoint / "grpo.jsonl").read_text().splitlines()]
    steps = [entry for entry in entries if "reward" in entry]
    assert len(steps) == 2
    assert all({"frac_reward_zero_std", "kl"} <= step.keys() for step in steps)
