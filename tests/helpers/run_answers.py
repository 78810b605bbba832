"""What the methods of the fixture `make_run` answer: a good one, a poor one."""

from __future__ import annotations

from random import Random


def good(position: int, target: str, rng: Random) -> str:
    """Answer as a good method does: with the target nine times out of ten, else with the middle rating."""
    return target if rng.random() < 0.9 else "3"


def poor(position: int, target: str, rng: Random) -> str:
    """Answer as a poor method does: with any rating."""
    return str(rng.randint(1, 5))


def perfect(position: int, target: str, rng: Random) -> str:
    """Answer with the target."""
    return target
