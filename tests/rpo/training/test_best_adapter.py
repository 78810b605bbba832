"""Users that training does not see, and the adapter that does best on them."""

from __future__ import annotations

from math import nan
from pathlib import Path
from types import SimpleNamespace

import pytest

from rpobench.rpo.training.best_adapter import BestAdapter, choose_held_out_users


def evaluate(best: BestAdapter, step: int, value: float, *, every: int = 1) -> bool:
    """Report a value as the trainer does, and say whether training is to stop."""
    control = SimpleNamespace(should_training_stop=False)

    def save_pretrained(path: str, **_: object) -> None:
        Path(path).mkdir(exist_ok=True)
        (Path(path) / "weights").write_text(str(step))

    model = SimpleNamespace(save_pretrained=save_pretrained)
    state = SimpleNamespace(global_step=step, max_steps=7)
    best.on_evaluate(SimpleNamespace(eval_steps=every), state, control, {"metric": value}, model)
    return control.should_training_stop


def best_weights(folder: Path) -> str:
    return (folder / "adapter" / "weights").read_text()


def test_held_out_users_are_a_seeded_share() -> None:
    users = [f"u{i}" for i in range(20)]

    held_out = choose_held_out_users([*users, *users], share=0.1, seed=0)

    assert len(held_out) == 2 and held_out == choose_held_out_users(reversed(users), share=0.1, seed=0)
    assert held_out != choose_held_out_users(users, share=0.1, seed=1)


def test_no_user_is_held_out_of_too_few() -> None:
    users = [f"u{i}" for i in range(20)]

    assert choose_held_out_users(users[:4], share=0.1, seed=0) == set()
    assert choose_held_out_users(users, share=0, seed=0) == set()


def test_the_best_survives_a_kill_and_a_resume_adds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    killed = BestAdapter(folder, "metric", higher=True, patience=2)
    assert not evaluate(killed, 0, 0.5, every=2)
    assert not evaluate(killed, 2, 0.7, every=2)

    resumed = BestAdapter(folder, "metric", higher=True, patience=2)
    evaluate(resumed, 2, 0.1, every=2)
    evaluate(resumed, 3, 0.9, every=2)
    assert resumed.values() == [(0, 0.5), (2, 0.7)]

    assert not evaluate(resumed, 4, 0.6, every=2)
    assert evaluate(resumed, 6, 0.6, every=2)
    assert best_weights(folder) == "2"

    evaluate(resumed, 7, 0.8, every=2)
    assert resumed.values()[-1] == (7, 0.8), "the evaluation after the last step counts"


@pytest.mark.parametrize("higher", [True, False])
def test_what_is_no_number_is_worse_than_any(tmp_path: Path, higher: bool) -> None:
    best = BestAdapter(tmp_path / "best", "metric", higher=higher, patience=2)

    stops = [evaluate(best, step, value) for step, value in ((0, nan), (1, 0.5), (2, nan))]

    assert stops == [False] * 3
    assert best_weights(tmp_path / "best") == "1"
    assert evaluate(best, 3, nan)
