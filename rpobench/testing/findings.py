"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass


class ContractError(AssertionError):
    """Something does not keep its contract; the text says what, and what is expected."""


@dataclass(frozen=True)
class Finding:
    """Whether a method keeps one of its duties on one task.

    Attributes:
        duty: The duty in a few words.
        task: The task's name; empty for what concerns none.
        fault: What is wrong and what to do, in one line; None where the duty is kept.
    """

    duty: str
    task: str = ""
    fault: str | None = None


def expect(holds: bool, message: str) -> None:
    """Raise a ContractError with this message unless something holds."""
    if not holds:
        raise ContractError(message)
