"""RPO with the real embedded model, small: it learns to write trajectories, and GRPO moves the adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from rpobench.rpo.form import Form
from rpobench.store.result_store import ResultStore

pytestmark = pytest.mark.slow


def test_the_embedded_model_learns_the_form_and_ends_in_each_tasks_answers(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-c", "from rpobench.cli.main import main; main()", "run", "--method", "rpo"),
        *("--task", "LaMP-2,LaMP-3,LaMP-7", "--limit", "12", "--no-swap", "--out", str(tmp_path), "--json"),
        *("--set", "rl_steps=2", "--set", "k=2", "--set", "sft_epochs=4"),  # 32 steps: at 16 the form is half learned
    ]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert [one["task"] for one in found] == ["LaMP-2", "LaMP-3", "LaMP-7"]

    parsed = 0
    for run in ResultStore(tmp_path).results():
        predictions = run.predictions().values()
        assert len(predictions) == 12
        for prediction in predictions:
            parsed += Form().parse(prediction.trajectory or "") is not None
            if run.task_name == "LaMP-3":
                assert prediction.text in tuple("12345")
    assert parsed >= 18, "fewer than half of the texts are trajectories"

    (fit,) = (spec.parent for spec in (tmp_path / "fits").glob("*/spec.json"))
    weights = load_file(fit / "checkpoint" / "adapter" / "adapter_model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert (fit / "checkpoint" / "sft.jsonl").exists() and (fit / "checkpoint" / "trajectories.jsonl").exists()
    steps = [json.loads(line) for line in (fit / "checkpoint" / "grpo.jsonl").read_text().splitlines()]
    rewards = [step["reward"] for step in steps if "reward" in step]
    assert len(rewards) == 2 and all(
        {"frac_reward_zero_std", "kl"} <= step.keys() for step in steps if "reward" in step
    )
