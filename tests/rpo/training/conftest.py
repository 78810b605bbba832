"""The adapter that every second stage starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_jobs import demonstrate, make_rows, run_sft

from rpobench.rpo.training.job import TrainingData


@pytest.fixture(scope="session")
def sft_adapter(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stage-1 adapter, trained on four tweets. Shared by all tests, which only read it."""
    data = TrainingData(demonstrate(make_rows(4)))
    return run_sft(tiny_checkpoint, tmp_path_factory.mktemp("sft"), data, sft_epochs=1)
