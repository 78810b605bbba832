"""The reward of GRPO, and the signs by which a gamed reward shows."""

from __future__ import annotations

from rpobench.leaderboard.html.panels import TRAINING_FIGURES
from training_jobs import RATING, TWEET

from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.training.reward import FORMAT_BONUS, copied_share, facts_lost, make_reward

FORM = Form()


def completion(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def rewrite(answer: str) -> list[dict[str, str]]:
    return completion(FORM.render(Trajectory("a", "b", answer)))


def test_the_reward_is_score_plus_bonus_or_zero_without_answer() -> None:
    task_score = make_reward({"LaMP-3": RATING}, FORM)

    rewards = task_score([rewrite("4"), rewrite("2"), rewrite("many"), completion("4")], ["LaMP-3"] * 4, ["4"] * 4)

    assert rewards == [1 + FORMAT_BONUS, 0.5 + FORMAT_BONUS, 0.0, 0.0]


def test_thinking_before_an_answer_costs_no_reward() -> None:
    task_score = make_reward({"LaMP-3": RATING}, FORM)
    (answer,) = rewrite("4")

    rewards = task_score([completion(f"<think>four?</think>{answer['content']}")], ["LaMP-3"], ["4"])

    assert rewards == [1 + FORMAT_BONUS]


def test_the_signs_of_a_gamed_reward_are_logged() -> None:
    logged: dict[str, float] = {}
    task_score = make_reward({"LaMP-7": TWEET, "LaMP-3": RATING}, FORM)

    task_score(
        [rewrite("ok so Paul ran"), rewrite("five six"), rewrite("4"), rewrite("4"), completion("no form")],
        ["LaMP-7", "LaMP-7", "LaMP-3", "LaMP-3", "LaMP-3"],
        ["one two", "one two", "4", "5", "5"],
        log_metric=logged.__setitem__,
        draft=["Well Paul ran 3 miles", "nothing", "3", "3", "3"],
        evidence=["he said ok so paul swam", "", "", "", ""],
    )

    assert logged == {
        "parse_rate": 0.8,
        "copied_share": 0.25,
        "length_ratio": 1.5,
        "facts_lost": 0.5,
        "label_entropy": 0.0,
    }
    assert logged.keys() < TRAINING_FIGURES.keys() and {f"eval_{sign}" for sign in logged} < TRAINING_FIGURES.keys(), (
        "all are drawn"
    )


def test_signs_of_single_texts() -> None:
    assert copied_share("a b c d", "x a b c y") == 0.5
    assert copied_share("a b", "a b") == 1 and copied_share("...", "a") == 0
    assert facts_lost("He met Ann in 2020", "ann met him") == 0.5 and facts_lost("nothing", "x") == 0
