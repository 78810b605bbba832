"""An analysis that gives the target away is refused; what input, draft or evidence say gives nothing away."""

from __future__ import annotations

import pytest
from training_jobs import RATING, TWEET

from rpobench import get_task
from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.leaks import reveals_target
from rpobench.types import Example, ProfileItem

EVIDENCE = (ProfileItem("1", {"text": "ok so the sun is up", "score": "4"}),)


@pytest.mark.parametrize(
    ("shows", "reveals"),
    [
        ("starts with ok so", False),
        ("should say lunch was really great", True),
        ("says really and great", False),
        ("the lunch was good indeed", False),
    ],
)
def test_a_run_of_words_that_only_the_target_has_reveals_it(shows: str, reveals: bool) -> None:
    example = Example("1", "u", "lunch was good")
    row = TrainingRow(TWEET, example, "ok so lunch was really great", "The lunch was good", EVIDENCE)

    assert reveals_target(row, Trajectory(shows, "formal", "x")) is reveals


@pytest.mark.parametrize(("target", "reveals"), [("5", True), ("4", False)])
def test_a_label_is_revealed_where_only_the_target_names_it(target: str, reveals: bool) -> None:
    row = TrainingRow(RATING, Example("1", "u", "a review"), target, "3", EVIDENCE)

    assert reveals_target(row, Trajectory(f"rates {target}", "too low", "x")) is reveals


def test_a_label_is_revealed_where_it_is_called_the_answer() -> None:
    example = Example("1", "u", 'Which? [1]: "A" [2]: "B"')
    evidence = (ProfileItem("1", {"title": "A", "abstract": ""}),)
    row = TrainingRow(get_task("LaMP-1"), example, "[2]", "[1]", evidence)

    assert reveals_target(row, Trajectory("titles on A", "The correct answer is [2]", "x"))
    assert not reveals_target(row, Trajectory("titles on A", "[2] is on A too, [1] alone", "x"))
