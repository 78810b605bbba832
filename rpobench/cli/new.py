"""`rpobench new`: a package with a method, a task or a model of one's own, which works as it stands."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from rpobench.cli.options import check_choice
from rpobench.types import RpobenchError

KINDS = ("method", "task", "model")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*")
GROUP_NAMES = ("all", "trained", "untrained")  # which `--method` and `--task` take for several

# The data of a new task: input and target of each split, with the same user's items.
EXAMPLE_ITEMS = [{"id": "1", "text": "boil leek and potato", "title": "My soup"}]
EXAMPLE_ITEMS += [{"id": "2", "text": "bake flour and yeast", "title": "My bread"}]
EXAMPLE_TEXTS = {"train": {"fry an egg": "My egg", "grill a trout": "My trout"}}
EXAMPLE_TEXTS |= {"dev": {"roast a beet": "My beet", "whip some cream": "My cream"}}


@dataclass(frozen=True)
class PackageNames:
    """The names in a new package.

    Attributes:
        kind: `method`, `task` or `model`.
        name: What `rpobench` calls it.
        distribution: What pip calls it, and its folder.
        module: What Python calls it.
        class_name: The class in it.
        target: What the entry point names: the class, or the function that opens a model.
        official_name: The folder of a task's data.
    """

    kind: str
    name: str
    distribution: str
    module: str
    class_name: str
    target: str
    official_name: str


def write_new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="method, task or model.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: letters, digits and dashes.")],
    trains: Annotated[bool, typer.Option("--trains", help="A method that learns from training users.")] = False,
    out: Annotated[Path, typer.Option(help="Where the folder of the package is to be made.")] = Path(),
) -> None:
    """Write a package of your own: code, entry point, test and README. It works as it stands."""
    from rpobench.store.whole_folder import whole_folder

    check_choice("new", kind, KINDS)
    if trains and kind != "method":
        raise RpobenchError(f"--trains: a {kind} does not train; leave it out")

    names = _choose_names(kind, name)
    folder = out / names.distribution
    if folder.exists():
        raise RpobenchError(f"{folder}: exists; move it away, or choose another name or --out")

    with whole_folder(folder) as aside:
        _write_package(aside, names, "trained" if trains else kind)
    print(f"{folder}: a {kind} that works as it stands. Next:\n  cd {folder}\n{_read_commands(folder)}")


def _choose_names(kind: str, name: str) -> PackageNames:
    """Choose the names of a package; raises an error for a name that could not be installed or found."""
    from rpobench.registry import list_names

    if not NAME.fullmatch(name) or name.lower() in GROUP_NAMES:
        raise RpobenchError(f"new {kind} {name}: give a name of letters, digits and dashes, such as my-{kind}")
    if name in list_names(f"{kind}s"):
        raise RpobenchError(f"new {kind} {name}: there is a {kind} of this name; choose another")

    module = name.lower().replace("-", "_")
    if iskeyword(module) or module in sys.stdlib_module_names or find_spec(module):
        raise RpobenchError(f"new {kind} {name}: Python has a module {module}; choose another, such as my-{name}")

    class_name = "".join(part[0].upper() + part[1:] for part in name.split("-"))
    target = f"open_{module}" if kind == "model" else class_name
    return PackageNames(kind, name, name.lower(), module, class_name, target, name.replace("-", "_"))


def _write_package(folder: Path, names: PackageNames, template: str) -> None:
    sources = {
        "pyproject.toml": "package/pyproject.toml",
        "README.md": f"{template}/README.md",
        f"{names.module}/{names.kind}.py": f"{template}/module.py",
        f"tests/test_{names.module}.py": f"{template}/test.py",
    }
    for file_name, source in sources.items():
        text = (files("rpobench.cli") / "templates" / f"{source}.txt").read_text(encoding="utf-8")
        _write(folder / file_name, Template(text).substitute(asdict(names)))

    _write(folder / names.module / "__init__.py", f'"""The {names.kind} {names.name} for rpobench."""\n')
    if names.kind == "task":
        for split in EXAMPLE_TEXTS:
            _write_split(folder / "example_data" / names.official_name, names, split)


def _write_split(folder: Path, names: PackageNames, split: str) -> None:
    """Write the questions and outputs of a split in LaMP's form."""
    questions: list[dict[str, Any]] = []
    golds = []
    for number, (text, title) in enumerate(EXAMPLE_TEXTS[split].items()):
        example_id, user = f"{split}-{number}", f"cook of {split} {number}"
        question = {"id": example_id, "user_id": user, "input": f"Write a title for the following text: {text}"}
        questions.append({**question, "profile": EXAMPLE_ITEMS})
        golds.append({"id": example_id, "output": title})

    _write(folder / f"{split}_questions.json", json.dumps(questions, indent=1) + "\n")
    outputs = {"task": names.official_name, "golds": golds}
    _write(folder / f"{split}_outputs.json", json.dumps(outputs, indent=1) + "\n")


def _read_commands(folder: Path) -> str:
    """The first block of the package's README, which says how to go on."""
    block = (folder / "README.md").read_text(encoding="utf-8").split("```")[1]
    return "\n".join(f"  {line}" for line in block.strip().splitlines())


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
