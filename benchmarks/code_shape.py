"""The shape of the code: its tree, its import circles, its names and its white space, as figures.

    python benchmarks/code_shape.py             # this checkout
    python benchmarks/code_shape.py ../before   # another one, to compare
    python benchmarks/code_shape.py --check     # fails where a limit is passed; part of .ci/run
    python benchmarks/code_shape.py --minutes   # runs the quick tests and .ci/run too, and tells how long they take

Figures that describe a folder count its tests apart, since those mirror the packages.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

SOURCES = ("rpobench", "tasks", "baselines", "leaderboard")
FOLDERS = (*SOURCES, "tests", "benchmarks")
NOT_ENTRIES = ("__init__.py", "__main__.py", "__pycache__", "py.typed")

# Words that say nothing about the thing they name. Closed: a word is added by hand or not at all.
VAGUE = frozenset(
    {
        "one", "own", "found", "made", "told", "held", "place", "given", "asked", "known", "shown", "kept", "said",
        "written", "named", "wanted", "taken",
    }
)  # fmt: skip

MAX_VAGUE_SHARE = 0.01  # share of all names that are given
MIN_PARAGRAPH_SHARE = 0.70  # share of the functions of LONG_FUNCTION lines and more
LONG_FUNCTION = 8  # lines from `def` to the end
MAX_NESTING = 2  # comprehensions in each other, the outer one counted
MAX_ENTRIES = 16  # in rpobench/
MAX_DATA_FILES, MAX_DATA_MEGABYTES = 60, 8.0  # of data under leaderboard/

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Shape:
    """What is counted over the Python files of one folder.

    Attributes:
        names: How often each name is given.
        lines: All lines.
        statements: All statements.
        comprehensions: All comprehensions.
        string_subscripts: Subscripts by a literal string.
        long_functions: Functions of `LONG_FUNCTION` lines and more.
        paragraphed: Those of them with a blank line between two statements.
        faults: One line for each place that is nested too deep.
    """

    names: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    statements: int = 0
    comprehensions: int = 0
    string_subscripts: int = 0
    long_functions: int = 0
    paragraphed: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def vague_share(self) -> float:
        """Share of given names that are in `VAGUE`, in [0, 1]."""
        vague = sum(count for name, count in self.names.items() if name in VAGUE)
        return vague / max(1, self.names.total())

    @property
    def paragraph_share(self) -> float:
        """Share of long functions with a blank line between two statements, in [0, 1]."""
        return self.paragraphed / max(1, self.long_functions)

    @property
    def comprehensions_per_100(self) -> float:
        """Comprehensions for every hundred statements."""
        return 100 * self.comprehensions / max(1, self.statements)

    @property
    def string_subscripts_per_1000(self) -> float:
        """Subscripts by a literal string for every thousand lines."""
        return 1000 * self.string_subscripts / max(1, self.lines)


def measure(root: Path, folder: str) -> Shape:
    """Count over all Python files of a folder.

    Args:
        root: The checkout.
        folder: A folder below it; `rpobench/store` counts that package alone.

    Returns:
        The counts of all its files together.
    """
    shape = Shape()
    for file in sorted((root / folder).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)

        shape.lines += len(text.splitlines())
        shape.names.update(list_names(tree))
        for node in ast.walk(tree):
            shape.statements += isinstance(node, ast.stmt)
            shape.comprehensions += isinstance(node, COMPREHENSIONS)
            shape.string_subscripts += _is_string_subscript(node)
            if isinstance(node, FUNCTIONS) and node.end_lineno - node.lineno + 1 >= LONG_FUNCTION:
                shape.long_functions += 1
                shape.paragraphed += has_paragraphs(node, text.splitlines())

        shape.faults += [f"{file.relative_to(root)}:{line}: {what}" for line, what in find_nesting_faults(tree)]
    return shape


def list_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that the code gives: by an assignment, a loop, a `with`, a comprehension, a parameter and so on.

    An attribute counts where it is assigned, an import where it is renamed.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


def has_paragraphs(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> bool:
    """Say whether a blank line stands between two statements of a function, at any depth, after its docstring."""
    for node in ast.walk(function):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if not isinstance(block, list):
                continue
            statements = [statement for statement in block if not _is_docstring(statement)]
            for before, after in pairwise(statements):
                between = lines[before.end_lineno : after.lineno - 1]
                if any(not line.strip() for line in between):
                    return True
    return False


def find_nesting_faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Find comprehensions nested too deep, and a `zip` within a `zip`.

    Args:
        tree: A parsed file.

    Yields:
        The line, and what is wrong there.
    """
    stack: list[tuple[ast.AST, int, bool]] = [(tree, 0, False)]
    while stack:
        node, depth, in_zip = stack.pop()

        if isinstance(node, COMPREHENSIONS):
            depth += 1
            if depth > MAX_NESTING:
                yield node.lineno, f"comprehensions are nested {depth} deep: write a loop"

        is_zip = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip"
        if is_zip and in_zip:
            yield node.lineno, "zip within zip: write a loop or a small dataclass"

        if isinstance(node, (*FUNCTIONS, ast.Lambda)):
            depth, in_zip = 0, False
        stack += [(child, depth, in_zip or is_zip) for child in ast.iter_child_nodes(node)]


def build_import_graph(root: Path) -> dict[str, set[str]]:
    """Map each module of the project to those it imports: anywhere in its file, also for type checkers alone."""
    files = {_module(root, file): file for top in SOURCES for file in sorted((root / top).rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for module, file in files.items():
        imported: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                imported |= (names & files.keys()) or {node.module}
        graph[module] = (imported & files.keys()) - {module}
    return graph


def find_import_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Find the groups of modules that import each other, directly or through others."""
    reach = {module: _reachable(graph, module) for module in graph}
    circles: list[list[str]] = []
    for module in sorted(graph):
        if module in reach[module] and not any(module in circle for circle in circles):
            circles.append(sorted(other for other in reach[module] if module in reach[other]))
    return circles


def count_import_levels(graph: dict[str, set[str]]) -> int:
    """Count the modules in the longest chain of imports, circles left out: the levels on which modules stand."""
    levels: dict[str, int] = {}

    def level(module: str, below: frozenset[str]) -> int:
        if module not in levels:
            others = graph[module] - below - {module}
            levels[module] = 1 + max((level(other, below | {module}) for other in sorted(others)), default=0)
        return levels[module]

    return max(level(module, frozenset()) for module in sorted(graph))


def count_entries(root: Path) -> int:
    """Count the files and folders in `rpobench/`."""
    return sum(path.name not in NOT_ENTRIES for path in (root / "rpobench").iterdir())


def list_data_files(root: Path) -> list[Path]:
    """List the committed files under `leaderboard/` that are neither code nor templates."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "leaderboard"], cwd=root, capture_output=True, text=True, check=True
    )
    files = [root / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file() and file.suffix != ".py" and "templates" not in file.parts]


def find_passed_limits(root: Path) -> list[str]:
    """Find the limits that a checkout passes.

    Args:
        root: The checkout.

    Returns:
        A line for each; empty where all hold.
    """
    whole = Shape()
    for folder in FOLDERS:
        shape = measure(root, folder)
        whole.names += shape.names
        whole.long_functions += shape.long_functions
        whole.paragraphed += shape.paragraphed
        whole.faults += shape.faults

    faults = list(whole.faults)
    if whole.vague_share > MAX_VAGUE_SHARE:
        frequent = ", ".join(name for name, _ in whole.names.most_common() if name in VAGUE)
        faults.append(f"vague names: {whole.vague_share:.1%} of all names, at most {MAX_VAGUE_SHARE:.0%}: {frequent}")
    if whole.paragraph_share < MIN_PARAGRAPH_SHARE:
        faults.append(
            f"paragraphs: {whole.paragraph_share:.0%} of functions of {LONG_FUNCTION} lines and more have a blank line "
            f"between two steps, at least {MIN_PARAGRAPH_SHARE:.0%} should"
        )

    if (count := count_entries(root)) > MAX_ENTRIES:
        faults.append(f"rpobench/: {count} entries, at most {MAX_ENTRIES}: put modules into a package")
    faults += [f"import circle: {' -> '.join(circle)}" for circle in find_import_circles(build_import_graph(root))]

    data = list_data_files(root)
    megabytes = sum(file.stat().st_size for file in data) / 1e6
    if len(data) > MAX_DATA_FILES or megabytes > MAX_DATA_MEGABYTES:
        faults.append(
            f"leaderboard/: {len(data)} files and {megabytes:.1f} MB of data, at most {MAX_DATA_FILES} and "
            f"{MAX_DATA_MEGABYTES:.0f}: pack runs with `rpobench pack`"
        )
    return faults


def print_shape(root: Path) -> None:
    """Print all figures of a checkout."""
    graph = build_import_graph(root)
    print(f"entries in rpobench/            {count_entries(root)}")
    print(f"levels of imports               {count_import_levels(graph)}")
    print(f"import circles                  {len(find_import_circles(graph))}")

    print(f"\n{'folder':<28}{'lines':>7}{'vague names':>13}{'comprehensions':>16}{'paragraphs':>12}")
    print(f"{'':<28}{'':>7}{'':>13}{'per 100 stmts':>16}{'':>12}")
    packages = [f"rpobench/{path.name}" for path in sorted((root / "rpobench").iterdir()) if path.is_dir()]
    for folder in [*FOLDERS[:1], *(package for package in packages if "__" not in package), *FOLDERS[1:]]:
        shape = measure(root, folder)
        print(
            f"{folder:<28}{shape.lines:>7}{shape.vague_share:>13.1%}{shape.comprehensions_per_100:>16.1f}"
            f"{shape.paragraph_share:>12.0%}"
        )

    subscripts = measure(root, "leaderboard").string_subscripts_per_1000
    data = list_data_files(root)
    print(f"\nstring subscripts per 1,000 lines in leaderboard/   {subscripts:.0f}")
    print(f"data files under leaderboard/                       {len(data)}")
    print(f"MB of them                                          {sum(f.stat().st_size for f in data) / 1e6:.1f}")


def print_minutes(root: Path) -> None:
    """Run the quick tests and `.ci/run` of a checkout and print how long each takes."""
    commands = {"quick tests": [sys.executable, "-m", "pytest", "-q"], ".ci/run": ["bash", ".ci/run"]}
    for name, command in commands.items():
        started = time.monotonic()
        subprocess.run(command, cwd=root, check=True)
        print(f"minutes of {name:<20} {(time.monotonic() - started) / 60:.1f}")


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_string_subscript(node: ast.AST) -> bool:
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Constant):
        return False
    return isinstance(node.slice.value, str)


def _module(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "rpobench" else ("rpobench", *parts))


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += graph[module]
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--check", action="store_true", help="fail where a limit is passed")
    parser.add_argument("--minutes", action="store_true", help="run the quick tests and .ci/run too")
    options = parser.parse_args()

    if options.check:
        faults = find_passed_limits(options.root)
        print("\n".join(faults) or "every limit holds")
        return int(bool(faults))
    print_shape(options.root)
    if options.minutes:
        print_minutes(options.root)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
