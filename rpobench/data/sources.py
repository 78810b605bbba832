"""Opens what `--data` names, the synthetic world or an official folder, as training and scored examples of a task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from rpobench.data.dataset import DataSet
from rpobench.data.official.folder import (
    MissingData,
    has_split,
    is_synthetic,
    is_world_name,
    load_official,
    split_users,
)
from rpobench.data.synth.knobs import Knobs, format_knobs, parse_knobs
from rpobench.data.synth.world import MECHANISMS, SYNTH_VERSION, VERSIONS, generate
from rpobench.data.user_sample import USERS, sample_users
from rpobench.store.origin import COMMONS
from rpobench.store.spec import DataSpec
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

DEFAULT_SYNTH_EXAMPLES = 200  # of a synthetic split where nobody says how many
SEED_DIGITS = 18  # of a world seed: the rest of the project keeps seeds as 64-bit numbers


class _World(NamedTuple):
    """A synthetic world: its version, seed and knobs."""

    version: str
    seed: int
    knobs: Knobs


@dataclass(frozen=True)
class Source:
    """Which data, how much of it, and how it is split.

    Attributes:
        data: `synth`, `synth:SEED?KNOBS` for another world, `synth-v1:SEED?KNOBS` for one of an older version, or the
            path of an official folder, also after `commons:` where `rpobench data build` made it.
        split: The split that is scored: "train", "dev" or "test".
        scored_limit: Most examples to score; None for all that there are.
        training_limit: Most examples to train on; None for all that there are.
        scored_users: How many users to score, where `scored_limit` does not say it; None for all that there are.
        training_users: How many users to train on, likewise.
        holdout: The share of the scored split's users to score, between 0 and 1; the others train. None where a folder
            has a train split, and for a world, which has training users of its own.
        seed: Decides which users `holdout` scores, and which a limit leaves of a folder.
        sample: The rule by which a limit leaves a part of a folder: "users" draws users, None takes the first examples,
            as versions did whose specs name no rule. Of a world, whose users are as good as drawn, always the first.
    """

    data: str = "synth"
    split: str = "dev"
    scored_limit: int | None = None
    training_limit: int | None = None
    scored_users: int | None = None
    training_users: int | None = None
    holdout: float | None = None
    seed: int = 0
    sample: str | None = USERS

    def __post_init__(self) -> None:
        if self.holdout is not None and self._world is not None:
            raise RpobenchError(f"--holdout {self.holdout}: {self.data} has training users of its own: leave it out")

    def load_scored(self, task: Task) -> DataSet:
        """Load the examples that predictions are scored on.

        Args:
            task: The task.

        Returns:
            At most `scored_limit` examples of the split; those of a test split may be without targets.

        Raises:
            MissingData: There are none of this task.
        """
        if self._world is not None:
            return self._generate(task, self._world, self.split, self.scored_limit)

        is_test = self.split == "test" and self.holdout is None
        data = load_official(task, self._folder, self.split, may_lack_targets=is_test)
        if self.holdout is not None:
            data = split_users(data, self.holdout, seed=self.seed)[1]
        return self._leave(data, self.scored_limit, self.scored_users)

    def load_training(self, task: Task) -> DataSet:
        """Load the training examples: the train split, or with `holdout` the other users of the scored split.

        Args:
            task: The task.

        Returns:
            At most `training_limit` examples.

        Raises:
            MissingData: There are none of this task.
        """
        if self._world is not None:
            return self._generate(task, self._world, "train", self.training_limit)

        folder = self._folder
        if self.holdout is not None:
            data = split_users(load_official(task, folder, self.split), self.holdout, seed=self.seed)[0]
        elif has_split(task, folder, "train"):
            data = load_official(task, folder, "train")
        else:
            raise MissingData(f"{folder}: no train split of {task.name}: --holdout 0.5 trains on half of the users")
        return self._leave(data, self.training_limit, self.training_users)

    def has_train_split(self, task: Task) -> bool:
        """Say whether it is a folder that has training examples of its own for this task."""
        return self._world is None and has_split(task, Path(self.data), "train")

    def spec(self, data: DataSet, limit: int | None, *, users: int | None = None) -> DataSpec:
        """Make the part of a spec that names this data.

        Args:
            data: What was loaded.
            limit: The limit that the user gave; None for all.
            users: How many users were drawn, where a preset says that; None where nothing counts users.

        Returns:
            The data spec.
        """
        return DataSpec(
            source=data.source,
            split=data.split,
            limit=limit,
            holdout=self.holdout,
            seed=self._choose_spec_seed(data),
            users=users if data.sample else None,
            sample=data.sample,
            sha256=data.sha256,
            by_content=self._world is None,
        )

    def _choose_spec_seed(self, data: DataSet) -> int:
        """The seed that decided on the examples; 0 where nothing was drawn."""
        if self._world is not None:
            return self._world.seed
        return self.seed if data.sample or self.holdout is not None else 0

    @property
    def is_generated(self) -> bool:
        """Whether the examples are generated here, as many as are asked for."""
        return self._world is not None

    @property
    def synthetic(self) -> bool:
        """Whether this is the synthetic world, generated here or written to a folder."""
        return self._world is not None or is_synthetic(self._folder)

    @cached_property
    def _folder(self) -> Path:
        """The folder that `--data` names; after `commons:` one that says where its data comes from."""
        folder = Path(self.data.removeprefix(COMMONS))
        if not self.data.startswith(COMMONS):
            return folder

        from rpobench.data.official.built import MADE_BY, read_build_manifest

        if read_build_manifest(folder) is None:
            raise RpobenchError(
                f"--data {self.data}: {folder} has no manifest.json of `{MADE_BY}`: build it, or leave {COMMONS} out"
            )
        return folder

    @cached_property
    def _world(self) -> _World | None:
        """The world that `synth[-vN][:SEED][?KNOBS]` names; None for a folder."""
        version_and_seed, _, knobs = self.data.partition("?")
        name, _, seed = version_and_seed.partition(":")
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

    def _leave(self, data: DataSet, limit: int | None, users: int | None) -> DataSet:
        """Leave at most `limit` examples of a folder, or those of so many users."""
        if self.sample == USERS:
            return sample_users(data, limit, users=users, seed=self.seed)
        return replace(data, labelled=data.labelled[:limit])

    def _generate(self, task: Task, world: _World, split: str, limit: int | None) -> DataSet:
        if task.name not in MECHANISMS:
            raise MissingData(f"{world.version}: has no {task.name}")

        data = generate(
            task.name, split, limit or DEFAULT_SYNTH_EXAMPLES, seed=world.seed, knobs=world.knobs, version=world.version
        )
        return replace(data, source=_join_knobs(world.version, format_knobs(world.knobs)))


def _join_knobs(world: str, knobs: str) -> str:
    """Join a world's name and its knobs as text, which may be empty."""
    return f"{world}?{knobs}" if knobs else world


def restore_source(spec: DataSpec, count: int, folder: str | None) -> Source:
    """Make the source that a run's scored examples came from.

    Args:
        spec: The data part of the run's spec.
        count: How many examples the run scored.
        folder: Where an official folder is; a generated world needs none.

    Returns:
        The source.

    Raises:
        RpobenchError: A folder is needed and `folder` is None.
    """
    version, _, knobs = spec.source.partition("?")
    data = _join_knobs(f"{version}:{spec.seed}", knobs) if version in VERSIONS else folder

    if data is None:
        raise RpobenchError(f"the run is on '{spec.source}': say where that folder is with --data")
    return Source(data, spec.split, scored_limit=count, holdout=spec.holdout, seed=spec.seed, sample=spec.sample)
