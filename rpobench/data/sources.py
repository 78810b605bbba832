"""What `--data` names: the synthetic world or an official folder, as training and scored examples of one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from rpobench.data.dataset import DataSet
from rpobench.data.official.folder import (
    MissingData,
    has_split,
    is_synthetic,
    is_world_name,
    load_official,
    split_users,
)
from rpobench.data.synth.knobs import knobs_text, parse_knobs
from rpobench.data.synth.world import MECHANISMS, SYNTH_VERSION, VERSIONS, Knobs, generate
from rpobench.store.spec import DataSpec
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

DEFAULT_SYNTH = 200  # examples of a synthetic split where nobody says how many
SEED_DIGITS = 18  # of a world seed: the rest of the project keeps seeds as 64-bit numbers


class _World(NamedTuple):
    version: str
    seed: int
    knobs: Knobs


@dataclass(frozen=True)
class Source:
    """Which data, how much of it, and how it is split.

    `data` is `synth`, `synth:SEED?KNOBS` for another world, `synth-v1:SEED?KNOBS` for one of an older version, or a
    folder; `scored` and `trained` cap the examples (None: all there are); with `holdout` (0..1) a folder's users of
    the scored split are divided, and the others train.
    """

    data: str = "synth"
    split: str = "dev"
    scored: int | None = None
    trained: int | None = None
    holdout: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.holdout is not None and self._world is not None:
            raise RpobenchError(f"--holdout {self.holdout}: {self.data} has training users of its own: leave it out")

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
            seed=self._world.seed if self._world is not None else self.seed,
            sha256=data.sha256,
        )

    @property
    def made_here(self) -> bool:
        """Whether the examples are generated, as many as are asked for."""
        return self._world is not None

    @property
    def synthetic(self) -> bool:
        """Whether this is the synthetic world, made here or written to a folder."""
        return self._world is not None or is_synthetic(Path(self.data))

    @cached_property
    def _world(self) -> _World | None:
        """The world that `synth[-vN][:SEED][?KNOBS]` names; None for a folder."""
        place, _, knobs = self.data.partition("?")
        name, _, seed = place.partition(":")
        version = SYNTH_VERSION if name == "synth" else name
        if version not in VERSIONS:
            if is_world_name(name) and not Path(self.data).exists():
                raise RpobenchError(f"--data {self.data[:80]}: no such version: choose one of {', '.join(VERSIONS)}")
            return None
        if seed and not (seed.isascii() and seed.isdecimal() and len(seed) <= SEED_DIGITS):
            raise RpobenchError(
                f"--data {self.data[:80]}: the world seed after the colon must be a whole number of at most "
                f"{SEED_DIGITS} digits"
            )
        return _World(version, int(seed or 0), parse_knobs(knobs))

    def _synth(self, task: Task, world: _World, split: str, count: int | None) -> DataSet:
        if task.name not in MECHANISMS:
            raise MissingData(f"{world.version}: has no {task.name}")
        data = generate(
            task.name, split, count or DEFAULT_SYNTH, seed=world.seed, knobs=world.knobs, version=world.version
        )
        return replace(data, source="?".join(filter(None, (world.version, knobs_text(world.knobs)))))


def rescored(spec: Mapping[str, Any], count: int, folder: str | None) -> Source:
    """Where the scored examples of a run come from again, by the data of its spec; `folder` unless it was made here.

    Raises RpobenchError where a folder is needed and none is given.
    """
    version, _, knobs = spec["source"].partition("?")
    if version in VERSIONS:
        folder = "?".join(filter(None, (f"{version}:{spec['seed']}", knobs)))
    if folder is None:
        raise RpobenchError(f"the run is on '{spec['source']}': say where that folder is with --data")
    return Source(folder, spec["split"], scored=count, holdout=spec["holdout"], seed=spec["seed"])
