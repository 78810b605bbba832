"""Tasks, methods, models and retrievers by name; ours and those of other packages are found through entry points.

Nothing is imported before its name is asked for, so listing names loads no model library.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from typing import TYPE_CHECKING, Any

from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.evidence.retrievers import Retriever
    from rpobench.method.contract import Method
    from rpobench.models.protocol import LanguageModel
    from rpobench.task.contract import Task


GROUPS = ("tasks", "methods", "models", "retrievers", "commands")
LEAST_LIKENESS = 0.6  # of a declared name to a typed one, in [0, 1], for the declared one to be suggested


class UnknownName(RpobenchError):
    """Nothing is declared under a name."""


@cache
def _entry_points_by_name(group: str) -> dict[str, EntryPoint]:
    """What packages declare in a group, sorted by name."""
    points_by_name: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=f"rpobench.{group}"), key=lambda point: point.name):
        first = points_by_name.setdefault(point.name, point)
        if first.value != point.value:
            raise RpobenchError(
                f"{group.removesuffix('s')} '{point.name}' is declared twice, as {first.value} and as {point.value}: "
                "uninstall one of the packages"
            )

    return points_by_name


def list_names(group: str) -> list[str]:
    """List the declared names of a group.

    Args:
        group: `tasks`, `methods`, `models`, `retrievers` or `commands`.

    Returns:
        The names, sorted.

    Raises:
        RpobenchError: Two packages declare the same name.
    """
    return list(_entry_points_by_name(group))


def load_declared(group: str, name: str) -> Any:
    """Import what is declared under a name.

    Args:
        group: The group, as in `list_names`.
        name: The name.

    Returns:
        The declared object: a class, a function or a `typer.Typer`.

    Raises:
        RpobenchError: There is no such name (near matches, else all names, are in the message), or what is declared
            cannot be imported.
    """
    declared = _entry_points_by_name(group)
    if name not in declared:
        raise UnknownName(f"unknown {group.removesuffix('s')} '{name}': {suggest_names(name, declared)}")

    return _resolve(declared[name])


def _resolve(point: EntryPoint) -> Any:
    """Import what an entry point names; whatever fails is one line with the package and the place."""
    package = point.dist.name if point.dist else "its package"
    label = f"{point.group.removeprefix('rpobench.').removesuffix('s')} '{point.name}' of {package}"
    correction = f'correct [project.entry-points."{point.group}"] in its pyproject.toml and install it again'

    try:
        target: Any = import_module(point.module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{point.module}.".startswith(f"{error.name}."):
            raise RpobenchError(f"{label}: '{point.value}' names no module: no '{error.name}'; {correction}") from error

        from rpobench.task.source_place import find_raising_place

        place = find_raising_place(error, point.module) or point.module
        message = " ".join(str(error).split())
        raise RpobenchError(
            f"{label}: {place}: {type(error).__name__}: {message}; correct it, or uninstall {package}"
        ) from error

    for attribute in point.attr.split(".") if point.attr else ():
        if not hasattr(target, attribute):
            file = getattr(target, "__file__", point.module)
            names = [name for name in vars(target) if not name.startswith("_")]
            near = get_close_matches(attribute, names, n=1)
            hint = f" (there is {near[0]})" if near else ""
            raise RpobenchError(f"{label}: {file} has no '{attribute}'{hint}; {correction}")
        target = getattr(target, attribute)
    return target


def load_working_methods() -> dict[str, type[Method]]:
    """Load every declared method that can be used; the others are named on stderr.

    Returns:
        The classes by name, sorted by name.
    """
    classes = {}
    for name in list_names("methods"):
        try:
            classes[name] = get_method(name)
        except RpobenchError as error:
            print(f"{name} skipped: {error}", file=sys.stderr)

    return classes


@cache
def get_task(name: str) -> Task:
    """Return the task of this name, such as `LaMP-3`.

    Raises:
        RpobenchError: There is no such task, or its class forgets something.
    """
    declared = load_declared("tasks", name)

    from rpobench.task.declaration import make_task  # not before a task is asked for

    return make_task(declared, name)


def get_method(name: str) -> type[Method]:
    """Return the method class of this name, such as `rpo`.

    Raises:
        RpobenchError: There is no such method, or its class forgets something.
    """
    method: type[Method] = load_declared("methods", name)

    from rpobench.method.declaration import check_declaration  # not before a method is asked for

    check_declaration(method, name)
    return method


def split_model_spec(spec: str) -> tuple[str, str]:
    """The declared name in a model's spec, and the argument of its factory.

    Args:
        spec: Such as `hf:ORG/NAME?dtype=float32`, `smollm2-135m` or `smollm2-135m?think_tokens=512`.

    Returns:
        What stands before the first colon or question mark, and what stands after it.
    """
    name = re.split("[:?]", spec, maxsplit=1)[0]
    return name, spec[len(name) + 1 :]


def get_model(spec: str, **options: Any) -> LanguageModel:
    """Open the model of this spec.

    Args:
        spec: A declared name, with the argument of its factory after a colon (`hf:ORG/NAME`), or its options at once
            after a question mark (`smollm2-135m?think_tokens=512`).
        **options: Options of the factory, such as `base_url` and `concurrency` of served models.

    Returns:
        The model.

    Raises:
        RpobenchError: There is no such model, or it has no such option.
    """
    name, argument = split_model_spec(spec)
    if "/" in name and name not in list_names("models"):
        raise RpobenchError(f"unknown model '{name}': did you mean hf:{spec}? A checkpoint is named by hf:ORG/NAME")
    factory = load_declared("models", name)

    for option in options.keys() - signature(factory).parameters.keys():
        raise RpobenchError(f"--{option.replace('_', '-')}: base model '{name}' has no such option; leave it out")

    model: LanguageModel = factory(argument, **options)
    missing = [member for member in ("identity", "generate", "choose") if not hasattr(model, member)]
    if missing:
        from rpobench.task.source_place import find_place

        raise RpobenchError(
            f"{find_place(factory)}: model '{name}': {type(model).__name__} has no `{missing[0]}`; "
            "write all members of rpobench.api.LanguageModel"
        )
    return model


@cache
def get_retriever(spec: str) -> Retriever:
    """Open the retriever of this spec.

    Args:
        spec: A declared name, such as `bm25`, with the argument of its factory after a colon (`dense:ORG/NAME`).

    Returns:
        The retriever.

    Raises:
        RpobenchError: There is no such retriever, it takes no argument, or it does not inherit `Retriever`.
    """
    name, colon, argument = spec.partition(":")
    factory = load_declared("retrievers", name)
    if colon and not signature(factory).parameters:
        raise RpobenchError(f"retriever {spec}: {name} takes nothing after a colon, leave it out")
    retriever = factory(argument) if colon else factory()

    from rpobench.evidence.retrievers import Retriever  # not before a retriever is used: it brings numpy

    if not isinstance(retriever, Retriever):
        class_name = type(retriever).__name__
        raise RpobenchError(f"retriever {name}: {class_name} is no Retriever; inherit it from rpobench.api.Retriever")
    return retriever


def find_encoder(retriever_specs: Iterable[str]) -> str | None:
    """Return the identity of the encoder of the first of these retrievers that has one; None where none does."""
    for spec in retriever_specs:
        encoder = get_retriever(spec).encoder
        if encoder:
            return encoder

    return None


def identify_models(method: Method) -> dict[str, str]:
    """Return the identities of all models that a method uses besides the base model.

    Args:
        method: The method.

    Returns:
        The identities by role: `encoder` for the encoder of its retrievers, and the roles that it names itself.
    """
    identities: dict[str, str] = {}
    encoder = find_encoder(method.retrievers())
    if encoder:
        identities["encoder"] = encoder

    return {**identities, **method.models()}


def suggest_names(name: str, declared: Iterable[str]) -> str:
    """Say which name was probably meant.

    Args:
        name: An unknown name, in whatever case.
        declared: The names that there are.

    Returns:
        `did you mean ...?` where names are near, else all there are to choose from.
    """
    by_lower = {declared_name.lower(): declared_name for declared_name in declared}
    matches = get_close_matches(name.lower(), by_lower, n=3, cutoff=LEAST_LIKENESS)

    if matches:
        return f"did you mean {' or '.join(by_lower[match] for match in matches)}?"
    if by_lower:
        return f"choose one of {', '.join(by_lower.values())}"
    return "there is none"
