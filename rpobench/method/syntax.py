"""What a Python source does, apart from how it is laid out: the hash of its syntax tree, and the modules it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

from rpobench.store.identity import SHA256, digest

# Fields of a node that change nothing when the code runs, or that only some versions of Python fill in.
IDLE_FIELDS = frozenset({"ctx", "kind", "type_comment"})
DOC_READERS = frozenset({"__doc__", "getdoc"})  # a source that names one of them may put its docstrings to use
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
CACHED_SOURCES = 1024


@lru_cache(CACHED_SOURCES)
def hash_syntax(source: str) -> str:
    """Hash what a source does.

    Comments, layout and `pass` count for nothing; nor do docstrings, unless the source reads some docstring itself.
    The hash is the same in every version of Python.

    Args:
        source: The text of a module.

    Returns:
        64 hex digits.

    Raises:
        SyntaxError: The text is no Python.
    """
    tree = ast.parse(source)
    names = {getattr(node, "id", getattr(node, "attr", None)) for node in ast.walk(tree)}

    return digest(_plain(tree, with_docstrings=bool(names & DOC_READERS)), SHA256)


def hash_bytecode(code: CodeType) -> str:
    """Hash compiled code with everything that is compiled inside it.

    Args:
        code: Of a module or a function.

    Returns:
        64 hex digits, which other versions of Python need not give.
    """
    return digest(describe_bytecode(code), SHA256)


def describe_bytecode(code: CodeType) -> list[Any]:
    """Describe compiled code by its instructions, names and constants; no line number and no path is in it."""
    constants = []
    for constant in code.co_consts:
        constants.append(describe_bytecode(constant) if isinstance(constant, CodeType) else _describe_value(constant))

    return [code.co_name, code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


@lru_cache(CACHED_SOURCES)
def list_imports(source: str, module: str, *, is_package: bool) -> tuple[tuple[str, str | None], ...]:
    """List what a source imports, wherever in it the import stands.

    Imports for type checkers alone (under `if TYPE_CHECKING:`) are left out.

    Args:
        source: The text of the module.
        module: Its full name.
        is_package: Whether it is the `__init__` of a package.

    Returns:
        Pairs of a module's full name and of what is taken from it: None for the module itself, `*` for everything.
    """
    package = module if is_package else module.rpartition(".")[0]

    imports: list[tuple[str, str | None]] = []
    for node in _walk_running_code(ast.parse(source)):
        if isinstance(node, ast.Import):
            imports += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _resolve_origin(node, package)
            imports += [(origin, alias.name) for alias in node.names]
    return tuple(dict.fromkeys(imports))


def _resolve_origin(node: ast.ImportFrom, package: str) -> str:
    """The full name of the module from which something is imported."""
    if not node.level:
        return node.module or ""

    parents = package.split(".")
    base = ".".join(parents[: len(parents) - node.level + 1])
    return f"{base}.{node.module}" if node.module else base


def _walk_running_code(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without the bodies of `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if isinstance(child, ast.If) and "TYPE_CHECKING" in (
            getattr(child.test, "id", None),
            getattr(child.test, "attr", None),
        ):
            for statement in child.orelse:
                yield statement
                yield from _walk_running_code(statement)
        else:
            yield from _walk_running_code(child)


def _plain(value: Any, *, with_docstrings: bool) -> Any:
    """A part of a syntax tree as JSON knows it; what is empty is left out, since versions of Python differ in it."""
    if isinstance(value, ast.Constant):
        return ["Constant", _describe_value(value.value)]
    if isinstance(value, list):
        return [_plain(part, with_docstrings=with_docstrings) for part in value if not isinstance(part, ast.Pass)]
    if not isinstance(value, ast.AST):
        return _describe_value(value)

    fields = {}
    for name, part in ast.iter_fields(value):
        if name == "body" and not with_docstrings and isinstance(value, WITH_DOCSTRING):
            part = part[1:] if ast.get_docstring(value, clean=False) is not None else part
        plain_part = None if name in IDLE_FIELDS or part is None else _plain(part, with_docstrings=with_docstrings)
        if plain_part not in (None, []):
            fields[name] = plain_part
    return [type(value).__name__, fields]


def _describe_value(value: object) -> str:
    """A constant with its type: 1, 1.0 and True are three values. The order of a set is none of its own."""
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_describe_value, value))}"
    return f"{type(value).__name__} {value!r}"
