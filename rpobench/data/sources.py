"""What `--data` names: the synthetic world or an official folder, as training and scored examples of one task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rpobench.data.dataset import DataSet
from rpobench.data.lamp import MissingData, has_split, is_synthetic, load_official, split_users
from rpobench.data.synth.world import MECHANISMS, SYNTH_VERSION, generate
from rpobench.spec import DataSpec
from rpobench.task import Task
from rpobench.types import RpobenchError

DEFAULT_SYNTH = 200  # examples of a synthetic split where nobody says how many


@dataclass(frozen=True)
class Source:
    """Which data, how much of it, and how it is split.

    `data` is `synth`, `synth:SEED` for another world, or a folder; `scored` and `trained` cap the examples (None: all
    there are); with `holdout` (0..1) the users of the scored split are divided, and training takes the other part.
    """

    data: str = "synth"
    split: str = "dev"
    scored: int | None = None
    trained: int | None = None
    holdout: float | None = None
    seed: int = 0

    def scored_on(self, task: Task) -> DataSet:
        """The examples that predictions are scored on. Raises MissingData where there are none."""
        if self._world is not None:
            return self._synth(task, self._world, self.split, self.scored)
        data = load_official(task, Path(self.data), self.split)
        if self.holdout is not None:
            data = split_users(data, self.holdout, seed=self.seed)[1]
        return replace(data, labelled=data.labelled[: self.scored])

    def trained_on(self, task: Task) -> DataSet:
        """The training examples: the train split, or with `holdout` the other users of the scored split."""
        if self._world is not None:
            return self._synth(task, self._world, "train", self.trained)
        folder = Path(self.data)
        if self.holdout is not None:
            data = split_users(load_official(task, folder, self.split), self.holdout, seed=self.seed)[0]
        elif has_split(task, folder, "train"):
            data = load_official(task, folder, "train")
        else:
            raise MissingData(f"{folder}: no train split of {task.name}: --holdout 0.5 trains on half of the users")
        return replace(data, labelled=data.labelled[: self.trained])

    def spec(self, data: DataSet, limit: int | None) -> DataSpec:
        """The part of a spec that names this data."""
        return DataSpec(
            source=data.source,
            split=data.split,
            limit=limit,
            holdout=self.holdout,
            seed=self._world if self._world is not None else self.seed,
            sha256=data.sha256,
        )

    @property
    def synthetic(self) -> bool:
        """Whether this is the synthetic world, made here or written to a folder."""
        return self._world is not None or is_synthetic(Path(self.data))

    @property
    def _world(self) -> int | None:
        """The world seed of `synth` or `synth:SEED`; None for a folder."""
        name, _, seed = self.data.partition(":")
        if name != "synth":
            return None
        if seed and not seed.isdigit():
            raise RpobenchError(f"--data {self.data}: the world seed after the colon must be a whole number")
        return int(seed or 0)

    def _synth(self, task: Task, world: int, split: str, count: int | None) -> DataSet:
        if task.name not in MECHANISMS:
            raise MissingData(f"{SYNTH_VERSION}: has no {task.name}")
        return generate(task.name, split, count or DEFAULT_SYNTH, seed=world)
