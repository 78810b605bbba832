"""Training examples that a fit goes on without, since a model will never answer them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rpobench.store.files import read_json, write_json
from rpobench.types import RpobenchError

MOST_LEFT_OUT = 0.05  # share of the examples of a task, unless --max-left-out says otherwise
NAMED = 10  # ids that a message names


class Failed(Protocol):
    """What there is in place of an answer, such as a draft or a completion with a failure."""

    @property
    def failure(self) -> str | None:
        """Why there is no answer."""
        ...

    @property
    def permanent(self) -> bool:
        """Whether it would come again."""
        ...


@dataclass
class LeftOut:
    """The examples that a fit leaves out, by task, each with the reason.

    Attributes:
        most: The largest share of a task's training examples that may be left out, in [0, 1].
        file: Where they are noted, so that a killed fit does not forget them; None in a process that notes nothing.
        reasons: The reason by example id, by task name.
    """

    most: float = MOST_LEFT_OUT
    file: Path | None = None
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file and self.file.exists():
            self.reasons |= read_json(self.file)

    def add(self, task: str, failed: Mapping[str, Failed], total: int, noun: str) -> None:
        """Leave out examples to which a model gave no answer.

        Args:
            task: The name of their task.
            failed: What there is in place of an answer, by example id; each has a `failure`.
            total: How many examples were asked about.
            noun: What is missing, for messages: `drafts`.

        Raises:
            RpobenchError: Some may be answered when they are asked again, or more are left out than may be.
        """
        passing = [answer.failure for answer in failed.values() if not answer.permanent]
        if passing:
            raise RpobenchError(
                f"{task}: {len(passing)} of {total} training {noun} have no answer ({passing[0]}): "
                "the same command asks them again and goes on"
            )

        reasons = self.reasons.setdefault(task, {})
        new = {example_id: str(answer.failure) for example_id, answer in failed.items() if example_id not in reasons}
        reasons |= new
        if len(reasons) > self.most * total:
            raise RpobenchError(
                f"{task}: {len(reasons)} of {total} training examples have no answer and never will, more than "
                f"--max-left-out {self.most:g} allows: {_name(reasons)}; allow more, or take them out of the data"
            )

        if new and self.file:
            write_json(self.file, self.reasons)
        if new:
            print(
                f"{task}: {len(new)} of {total} training examples are left out, the model gives them no answer: "
                f"{_name(new)}",
                file=sys.stderr,
            )

    def list_ids(self) -> dict[str, list[str]]:
        """List the ids of the examples that are left out, by task; only tasks that lack some."""
        return {task: list(reasons) for task, reasons in self.reasons.items() if reasons}


def _name(reasons: Mapping[str, str]) -> str:
    """The first ids, and the reason of the first of them."""
    ids = list(reasons)
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(map(repr, ids[:NAMED]))}{more} ({reasons[ids[0]]})"
