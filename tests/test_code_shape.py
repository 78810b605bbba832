"""The check of names counts every way in which the code gives one."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "code_shape.py"


def list_names(code: str) -> list[str]:
    names: list[str] = list(runpy.run_path(str(SCRIPT))["list_names"](ast.parse(code)))
    return names


@pytest.mark.parametrize(
    "code",
    [
        "one = 1",
        "one: int",
        "one += 1",
        "(one := 1)",
        "self.one = 1",
        "for (_, [*one]) in (): pass",
        "[0 for one in ()]",
        "with file as one: pass",
        "lambda one: 0",
        "def name(*one): pass",
        "def name(*, one): pass",
        "def name(**one): pass",
        "try: pass\nexcept OSError as one: pass",
        "from os import path as one",
        "match 1:\n  case [*one]: pass",
        "match 1:\n  case {**one}: pass",
        "match 1:\n  case int() as one: pass",
    ],
)
def test_a_name_counts_however_it_is_given(code: str) -> None:
    assert "one" in list_names(code)


def test_names_that_are_only_read_do_not_count() -> None:
    assert list_names("one(held.place, given=1)") == []
