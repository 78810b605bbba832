"""Limits on folders: whole users, drawn by a seed, the smaller sample a part of the larger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from official_files import write_official_split

from rpobench import get_task
from rpobench.data.dataset import DataSet
from rpobench.data.sources import Source, restore_source
from rpobench.data.synth.world import generate
from rpobench.data.user_sample import sample_users
from rpobench.types import Labelled

TASK = get_task("LaMP-3")
SIZES = (3, 1, 2, 4, 1, 3, 2, 5, 1, 2)  # questions of each user


@pytest.fixture(scope="module")
def data() -> DataSet:
    """Users with several questions each, which are scattered over the file."""
    world = generate("LaMP-3", "dev", sum(SIZES))
    users = [f"user{number}" for number, size in enumerate(SIZES) for _ in range(size)]
    Random(1).shuffle(users)

    labelled = []
    for pair, user in zip(world.labelled, users, strict=True):
        labelled.append(replace(pair, example=replace(pair.example, user_id=user)))
    return DataSet("LaMP-3", "mine", "dev", labelled)


@pytest.fixture(scope="module")
def folder(data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a folder, with its dev split as train split too."""
    root = tmp_path_factory.mktemp("data")
    for split in ("dev", "train"):
        write_official_split(root, "LaMP-3", split, data.labelled)
    return root


def users_of(labelled: Sequence[Labelled]) -> set[str]:
    return {pair.example.user_id for pair in labelled}


def ids_of(labelled: Sequence[Labelled]) -> list[str]:
    return [pair.example.id for pair in labelled]


@pytest.mark.parametrize("limit", range(5, sum(SIZES)))
def test_all_examples_of_a_sampled_user_are_there(data: DataSet, limit: int) -> None:
    sample = sample_users(data, limit, seed=0)

    users = users_of(sample.labelled)
    expected = [pair for pair in data.labelled if pair.example.user_id in users]
    assert ids_of(sample.labelled) == ids_of(expected), "in file order"
    assert limit - max(SIZES) < len(sample.labelled) <= limit


def test_a_larger_limit_has_the_users_of_a_smaller_one(data: DataSet) -> None:
    samples = [users_of(sample_users(data, limit, seed=0).labelled) for limit in range(1, sum(SIZES) + 1)]

    for smaller, larger in pairwise(samples):
        assert smaller <= larger
    assert samples[-1] == users_of(data.labelled)


def test_the_order_of_the_file_decides_nothing(data: DataSet) -> None:
    shuffled = list(data.labelled)
    Random(2).shuffle(shuffled)

    sample = sample_users(data, 9, seed=0)
    other = sample_users(replace(data, labelled=shuffled), 9, seed=0)

    assert users_of(sample.labelled) == users_of(other.labelled)
    assert ids_of(sample.labelled) != ids_of(data.labelled)[: len(sample.labelled)]


def test_another_seed_draws_other_users(data: DataSet) -> None:
    draws = {frozenset(users_of(sample_users(data, 9, seed=seed).labelled)) for seed in range(5)}

    assert len(draws) == 5


def test_a_first_user_beyond_the_limit_is_cut(data: DataSet) -> None:
    one_user = [pair for pair in data.labelled if pair.example.user_id == "user7"]

    sample = sample_users(replace(data, labelled=one_user), 2, seed=0)

    assert ids_of(sample.labelled) == ids_of(one_user)[:2]


def test_a_limit_that_leaves_nothing_out_is_no_sample(data: DataSet, folder: Path) -> None:
    whole, limited = Source(str(folder)), Source(str(folder), scored_limit=sum(SIZES))

    spec = limited.spec(limited.load_scored(TASK), limited.scored_limit)

    assert spec.sample is None and spec.sha256 == whole.load_scored(TASK).sha256
    assert "sample" not in spec.model_dump(), "earlier runs of the same examples keep their names"


def test_scored_and_training_limits_draw_apart(folder: Path) -> None:
    source = Source(str(folder), scored_limit=6, training_limit=12)

    scored, training = source.load_scored(TASK), source.load_training(TASK)

    assert users_of(scored.labelled) < users_of(training.labelled)
    assert scored.sample == training.sample == "users"


def test_a_spec_finds_its_sample_again(folder: Path) -> None:
    source = Source(str(folder), scored_limit=6)
    scored = source.load_scored(TASK)

    spec = source.spec(scored, 6)
    restored = restore_source(spec, len(scored.labelled), str(folder)).load_scored(TASK)

    assert spec.sample == "users" and restored.sha256 == spec.sha256


def test_a_spec_without_a_rule_means_the_first(data: DataSet, folder: Path) -> None:
    spec = Source(str(folder), scored_limit=6, sample=None).spec(data, 6)

    restored = restore_source(spec, 6, str(folder)).load_scored(TASK)

    assert ids_of(restored.labelled) == ids_of(data.labelled)[:6]


def test_the_first_of_a_world_are_scored() -> None:
    source = Source("synth:3", scored_limit=4)
    scored = source.load_scored(TASK)

    assert ids_of(scored.labelled) == ids_of(Source("synth:3", scored_limit=9).load_scored(TASK).labelled)[:4]
    assert source.spec(scored, 4).sample is None


@pytest.mark.parametrize("count", range(1, len(SIZES)))
def test_so_many_users_are_drawn_with_all_their_examples(data: DataSet, count: int) -> None:
    sample = sample_users(data, None, users=count, seed=3)

    users = users_of(sample.labelled)
    assert len(users) == count and sample.sample == "users"
    assert list(sample.labelled) == [pair for pair in data.labelled if pair.example.user_id in users]


@pytest.mark.parametrize("count", [len(SIZES), 99])
def test_a_count_that_leaves_nobody_out_draws_nobody(data: DataSet, count: int) -> None:
    assert sample_users(data, None, users=count, seed=3) is data


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_drawn_users_are_found_again_by_their_examples(folder: Path, seed: int) -> None:
    source = Source(str(folder), scored_users=4, seed=seed)
    scored = source.load_scored(TASK)
    spec = source.spec(scored, None, users=4)

    restored = restore_source(spec, len(scored.labelled), str(folder)).load_scored(TASK)

    assert restored.sha256 == scored.sha256 and (spec.users, spec.seed) == (4, seed)
