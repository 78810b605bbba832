"""What of a source counts as its code, and what it is said to import."""

from __future__ import annotations

import pytest

from rpobench.method.syntax import hash_bytecode, hash_syntax, list_imports

SOURCE = "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(
    "same",
    [
        "# adds\ndef add(a, b):\n    return a + b  # the sum\n",
        "def add(\n    a,\n    b,\n):\n    return (a + b)\n",
        'def add(a, b):\n    """The sum."""\n    return a + b\n',
        '"""Sums."""\n\ndef add(a, b):\n    pass\n    return a + b\n',
    ],
)
def test_comments_layout_and_docstrings_do_not_count(same: str) -> None:
    assert hash_syntax(same) == hash_syntax(SOURCE)


@pytest.mark.parametrize(
    "other", ["def add(a, b):\n    return a - b\n", "def add(b, a):\n    return a + b\n", SOURCE * 2]
)
def test_another_behaviour_is_another_hash(other: str) -> None:
    assert hash_syntax(other) != hash_syntax(SOURCE)


def test_the_type_of_a_constant_counts() -> None:
    assert len({hash_syntax(f"x = {value}") for value in ("1", "1.0", "True", "'1'", "b'1'", "None")}) == 6


@pytest.mark.parametrize("reader", ["prompt = Ask.__doc__", "import inspect\nprompt = inspect.getdoc(Ask)"])
def test_docstrings_count_where_the_source_reads_them(reader: str) -> None:
    first, second = (f'class Ask:\n    "{words}"\n{reader}\n' for words in ("Be brief.", "Be long."))

    assert hash_syntax(first) != hash_syntax(second)


def test_the_hash_is_pinned_for_every_python() -> None:
    source = 'def f(x: int = 1, *, y=...) -> str:\n    return f"{x!r:>3}" "b"\n'

    assert hash_syntax(source) == "bff27d88778d2b6dbddfdc27087b3de91bbfb7324889d8d338ac2e2fdee4aaf2"


def test_imports_are_found_wherever_they_stand() -> None:
    source = (
        "import os.path\nfrom . import near\nfrom ..far import thing as other\nfrom x import *\n"
        "def late():\n    from .late import g\n"
        "if TYPE_CHECKING:\n    from .types_only import T\nelse:\n    from .real import T\n"
    )

    assert set(list_imports(source, "a.b.c", is_package=False)) == {
        ("os.path", None), ("a.b", "near"), ("a.far", "thing"), ("x", "*"), ("a.b.late", "g"), ("a.b.real", "T"),
    }  # fmt: skip
    assert list_imports("from . import near", "a.b", is_package=True) == (("a.b", "near"),)


def test_compiled_code_is_hashed_without_its_lines() -> None:
    first, second = (compile(text, "file", "exec") for text in (SOURCE, f"\n\n{SOURCE}"))

    assert hash_bytecode(first) == hash_bytecode(second)
    assert hash_bytecode(compile(SOURCE.replace("+", "-"), "file", "exec")) != hash_bytecode(first)
