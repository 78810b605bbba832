"""What tests write to a store and read from it, beside what the product does."""

from __future__ import annotations

from pathlib import Path

from rpobench.types import Prediction


def make_predictions(*example_ids: str) -> list[Prediction]:
    """A prediction for each example, all with the same text."""
    return [Prediction(example_id, "text", "raw") for example_id in example_ids]


def list_run_names(runs: Path) -> set[str]:
    """The names of all runs in a folder, also of unfinished ones."""
    return {file.parent.name for file in runs.glob("*/spec.json")}
