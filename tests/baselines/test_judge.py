"""A judge: what all users share, what is one user's own, and that both are kept whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rpobench.baselines.hydra.judge import Judge, JudgeTraining, Row
from words import Hashes

from rpobench.types import RpobenchError

WORDS = ["kettle", "bridge", "tweet", "lamp", "review", "author"]


class Encoder:
    """As `rpobench.models.encoder.Encoder`, without weights or a file."""

    def encode(self, texts: list[str]) -> Any:
        return Hashes().encode(texts, batch_size=1, show_progress_bar=False)


def judge(**changes: Any) -> Judge:
    encoder: Any = Encoder()
    knobs = {"width": 8, "steps": 150, "learning_rate": 0.02, "shrinkage": 0.1, "seed": 0, **changes}
    return Judge(encoder, JudgeTraining(**knobs))


def taste(loud: bool, word: str) -> list[Row]:
    """Of the two answers to a word, a user wants the loud one (hint 1) or the other."""
    return [Row(word, f"{word} {hint:g}", (hint,), float((hint == 1.0) is loud)) for hint in (0.0, 1.0)]


def users() -> list[list[Row]]:
    """Loud and quiet ones in turn, with three words each."""
    return [[row for word in WORDS[:3] for row in taste(place % 2 == 0, word)] for place in range(6)]


def prefers_loud(found: list[float]) -> bool:
    return found[1] > found[0]


def test_a_new_users_few_rows_decide_for_her_where_users_disagree() -> None:
    made = judge()
    heads = made.fit(users())
    asked = taste(True, "lamp")
    for place, head in enumerate(heads):
        assert prefers_loud(made.scores(asked, head)) is (place % 2 == 0), "a training user's own head"
    for loud in (True, False):
        head = made.head([row for word in WORDS[4:] for row in taste(loud, word)])
        assert prefers_loud(made.scores(asked, head)) is loud


def test_where_users_agree_a_user_without_rows_is_judged_as_all() -> None:
    made = judge()
    made.fit([[row for word in WORDS[:3] for row in taste(True, word)] for _ in range(4)])
    assert prefers_loud(made.scores(taste(True, "lamp"), made.head([])))
    assert not made.head([]).any()


def test_the_more_rows_a_user_has_the_more_she_departs() -> None:
    made = judge(shrinkage=1.0)
    made.fit([[row for word in WORDS[:3] for row in taste(True, word)] for _ in range(4)])
    few, many = (made.head([row for word in WORDS[:count] for row in taste(False, word)]) for count in (1, 6))
    assert many.norm() > few.norm() > 0


def test_the_same_rows_and_seed_make_the_same_judge_and_a_saved_one_scores_alike(tmp_path: Path) -> None:
    first, second, other = judge(), judge(), judge(seed=1)
    for one in (first, second, other):
        one.fit(users())
    assert first.identity == second.identity != other.identity
    first.save(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    encoder: Any = Encoder()
    loaded = Judge.load(tmp_path, encoder, JudgeTraining(8, 150, 0.02, 0.1, 0))
    asked, rows = taste(True, "lamp"), taste(False, "review")
    assert loaded.identity == first.identity
    assert loaded.scores(asked, loaded.head(rows)) == first.scores(asked, first.head(rows))


def test_a_fit_leaves_other_random_numbers_alone_and_a_head_leaves_the_trunk() -> None:
    made = judge()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    made.fit(users())
    assert torch.rand(1) == expected
    before = made.identity
    made.head(taste(True, "lamp"))
    assert made.identity == before


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(RpobenchError, match="past item to learn from"):
        judge().fit([[], []])
    made = judge()
    made.fit(users())
    assert made.scores([], made.head([])) == []
