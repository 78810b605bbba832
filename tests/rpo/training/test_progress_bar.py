"""Loss and reward stand beside the steps of a training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rpobench.rpo.training.progress_bar import TrainingProgress


def test_loss_and_reward_stand_beside_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Any = TrainingProgress("GRPO steps")
    state = SimpleNamespace(global_step=0, max_steps=1)

    progress.on_train_begin(None, state, None)
    state.global_step = 1
    progress.on_step_end(None, state, None)
    progress.on_log(None, state, None, logs={"loss": 0.25, "reward": 0.5, "learning_rate": 1e-4})
    progress.on_log(None, state, None, logs={"eval_reward": 0.75})
    progress.on_train_end(None, state, None)

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("GRPO steps: 1/1") and line.endswith("loss 0.250, reward 0.500, eval_reward 0.750")
