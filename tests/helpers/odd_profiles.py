"""Examples whose profiles are unusual, which every method must take."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from rpobench.data.synth.world import generate
from rpobench.types import Example


def make_odd_examples(task_name: str) -> list[Example]:
    """Return examples with an empty profile, with one item, with a usual profile, and with 500 dated items."""
    empty, single, usual, huge = (labelled.example for labelled in generate(task_name, "dev", 4).labelled)

    items = []
    for position in range(500):
        item = huge.profile[position % len(huge.profile)]
        items.append(replace(item, id=f"i{position}", date=date(2020, 1, 1 + position % 28)))

    return [
        replace(empty, profile=()),
        replace(single, profile=single.profile[:1]),
        usual,
        replace(huge, profile=tuple(items)),
    ]
