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


def make_judge(**changes: Any) -> Judge:
    encoder: Any = Encoder()
    knobs = {"width": 8, "steps": 150, "learning_rate": 0.02, "shrinkage": 0.1, "seed": 0, **changes}
    return Judge(encoder, JudgeTraining(**knobs))


def answer_rows(likes_loud: bool, word: str) -> list[Row]:
    """Of the two answers to a word, a user wants the loud one (hint 1) or the other."""
    return [Row(word, f"{word} {hint:g}", (hint,), float((hint == 1.0) is likes_loud)) for hint in (0.0, 1.0)]


def user_rows(likes_loud: bool, words: list[str]) -> list[Row]:
    return [row for word in words for row in answer_rows(likes_loud, word)]


def make_users() -> list[list[Row]]:
    """Loud and quiet ones in turn, with three words each."""
    return [user_rows(number % 2 == 0, WORDS[:3]) for number in range(6)]


def prefers_loud(scores: list[float]) -> bool:
    return scores[1] > scores[0]


def test_a_new_users_rows_decide_where_users_disagree() -> None:
    judge = make_judge()
    rows = answer_rows(True, "lamp")

    heads = judge.fit(make_users())

    for number, head in enumerate(heads):
        assert prefers_loud(judge.score(rows, head)) is (number % 2 == 0), "a training user's own head"
    for likes_loud in (True, False):
        new_head = judge.learn_head(user_rows(likes_loud, WORDS[4:]))
        assert prefers_loud(judge.score(rows, new_head)) is likes_loud


def test_a_user_without_rows_is_judged_as_all_who_agree() -> None:
    judge = make_judge()

    judge.fit([user_rows(True, WORDS[:3]) for _ in range(4)])

    assert prefers_loud(judge.score(answer_rows(True, "lamp"), judge.learn_head([])))
    assert not judge.learn_head([]).any()


def test_the_more_rows_a_user_has_the_more_she_departs() -> None:
    judge = make_judge(shrinkage=1.0)
    judge.fit([user_rows(True, WORDS[:3]) for _ in range(4)])

    head_of_few, head_of_many = (judge.learn_head(user_rows(False, WORDS[:count])) for count in (1, 6))

    assert head_of_many.norm() > head_of_few.norm() > 0


def test_equal_fits_are_equal_and_a_saved_judge_scores_alike(tmp_path: Path) -> None:
    first, second, other = make_judge(), make_judge(), make_judge(seed=1)
    for judge in (first, second, other):
        judge.fit(make_users())
    assert first.identity == second.identity != other.identity

    first.save(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]

    encoder: Any = Encoder()
    loaded = Judge.load(tmp_path, encoder, JudgeTraining(8, 150, 0.02, 0.1, 0))
    rows, own_rows = answer_rows(True, "lamp"), answer_rows(False, "review")
    assert loaded.identity == first.identity
    assert loaded.score(rows, loaded.learn_head(own_rows)) == first.score(rows, first.learn_head(own_rows))


def test_a_fit_leaves_other_random_numbers_and_a_head_the_trunk() -> None:
    judge = make_judge()
    torch.manual_seed(3)
    expected_number = torch.rand(1)

    torch.manual_seed(3)
    judge.fit(make_users())
    assert torch.rand(1) == expected_number

    identity = judge.identity
    judge.learn_head(answer_rows(True, "lamp"))
    assert judge.identity == identity


def test_a_fit_without_rows_is_refused() -> None:
    with pytest.raises(RpobenchError, match="past item to learn from"):
        make_judge().fit([[], []])

    judge = make_judge()
    judge.fit(make_users())
    assert judge.score([], judge.learn_head([])) == []
