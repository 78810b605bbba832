"""A finished run as everybody reads it: typed, validated when it enters, and independent of how it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rpobench.store.files import read_json
from rpobench.store.predictions import read_predictions, read_seconds
from rpobench.store.results import StoredEnvironment, StoredResult
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.store.training_logs import TrainingLogs, read_training_logs
from rpobench.types import Prediction

FIT_COST = "fit.json"  # beside the spec of a fit: what it took


class RunReader(Protocol):
    """Reads what is large of one run, when it is asked for. Another way to store runs is another class like this."""

    def predictions(self) -> dict[str, Prediction]:
        """Return the predictions by example id."""
        ...

    def seconds(self) -> dict[str, float]:
        """Return the seconds that each prediction took, by example id."""
        ...

    def training_logs(self) -> TrainingLogs:
        """Return what the stages of the run's fit logged; empty without a fit, or where its logs are gone."""
        ...

    def fit_cost(self) -> Mapping[str, Any] | None:
        """Return the content of `fit.json`; None without a fit, or where it is gone."""
        ...


@dataclass(frozen=True)
class FolderReader:
    """Reads what is large of a run from its folder.

    Attributes:
        folder: The folder of the run.
        fit_folder: The folder of its fit; None where nothing was trained.
    """

    folder: Path
    fit_folder: Path | None

    def predictions(self) -> dict[str, Prediction]:
        return read_predictions(self.folder / "predictions.jsonl")

    def seconds(self) -> dict[str, float]:
        return read_seconds(self.folder / "predictions.jsonl")

    def training_logs(self) -> TrainingLogs:
        return read_training_logs(self.fit_folder) if self.fit_folder else {}

    def fit_cost(self) -> Mapping[str, Any] | None:
        file = self.fit_folder / FIT_COST if self.fit_folder else None
        return read_json(file) if file and file.exists() else None


@dataclass(frozen=True)
class StoredRun:
    """One finished run.

    Attributes:
        spec: What was run.
        result: What came out: metrics, scores, counts and cost.
        environment: What it was made with.
        folder: Where it stands; its last part is the run's name.
        fit_folder: Where its fit stands, or stood: packed runs may come without it. None for an untrained method.
        fit_spec: What was trained; None for an untrained method, and where the fit is gone.
        reader: Reads predictions and training logs.
    """

    spec: RunSpec
    result: StoredResult
    environment: StoredEnvironment
    folder: Path
    fit_folder: Path | None
    fit_spec: FitSpec | None
    reader: RunReader

    @property
    def unanswered_note(self) -> str | None:
        """How many of its examples have no answer, in words; None where all have one."""
        count = self.result.unanswered
        return f"{count} of {self.result.n} examples have no answer and count as wrong" if count else None

    @property
    def name(self) -> str:
        """The run's name, which the command line takes."""
        return self.folder.name

    @property
    def task_name(self) -> str:
        """The task without its version."""
        return self.spec.task.split("@")[0]

    @property
    def has_own_profiles(self) -> bool:
        """Whether the examples had their own users' profiles, not swapped ones."""
        return self.spec.profiles == "own"

    @property
    def is_scored(self) -> bool:
        """Whether there are scores: the split of an unscored run has no targets."""
        return not self.result.unscored

    @property
    def example_ids(self) -> list[str]:
        """The ids of the examples that were answered, in order."""
        is_kept_by_scores = self.is_scored or self.result.examples is None
        return list(self.result.scores if is_kept_by_scores else self.result.examples or ())

    @property
    def main_metric(self) -> str:
        """The name of the task's main metric."""
        return self.result.main_metric

    @property
    def main_value(self) -> float | None:
        """The main metric; None of an unscored run."""
        return self.result.metrics[self.main_metric] if self.is_scored else None

    @property
    def metric_names(self) -> list[str]:
        """Every metric of the task, in its order."""
        return list(self.result.directions)

    def higher_is_better(self, metric: str) -> bool:
        """Say whether more of this metric is better."""
        return self.result.directions[metric] == "max"

    def reference(self, name: str, metric: str) -> float | None:
        """Return the metric of a reference, such as `draft` or `oracle`; None where the run has no such reference."""
        return self.result.references.get(name, {}).get(metric)

    @property
    def user_by_example(self) -> Mapping[str, str] | None:
        """The user of each example, by example id; None in results of schema 1, which do not say."""
        if self.result.examples is None:
            return None
        return {example_id: example.user for example_id, example in self.result.examples.items()}

    @property
    def user_count(self) -> int | None:
        """How many users the examples are of; None in results of schema 1, which do not say."""
        users = self.user_by_example
        return None if users is None else len(set(users.values()))

    def predictions(self) -> dict[str, Prediction]:
        """Read the predictions, by example id."""
        return self.reader.predictions()

    def training_logs(self) -> TrainingLogs:
        """Read what the stages of the run's fit logged; empty without a fit, or where its logs are gone."""
        return self.reader.training_logs()
