"""Tasks, methods, models and retrievers by name, found through entry points: ours and anybody else's alike.

Nothing is imported until its name is asked for, so listing names loads no model library.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
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


@cache
def _declared(group: str) -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=f"rpobench.{group}"), key=lambda p: p.name):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise RpobenchError(
                f"{group.removesuffix('s')} '{point.name}' is declared twice, as {other.value} and as {point.value}: "
                "uninstall one of the packages"
            )
    return found


def names(group: str) -> list[str]:
    """The declared names of a group: `tasks`, `methods`, `models`, `retrievers` or `commands`."""
    return list(_declared(group))


def load(group: str, name: str) -> Any:
    """The declared object. Raises RpobenchError that names near matches, or all, where there is none."""
    declared = _declared(group)
    if name not in declared:
        raise RpobenchError(f"unknown {group.removesuffix('s')} '{name}': {advice(name, declared)}")
    return declared[name].load()


@cache
def get_task(name: str) -> Task:
    """The task of this name, such as `LaMP-3`."""
    task: Task = load("tasks", name)()
    return task


def get_method(name: str) -> type[Method]:
    """The method class of this name, such as `rpo`."""
    method: type[Method] = load("methods", name)
    return method


def get_model(spec: str, **options: Any) -> LanguageModel:
    """The model of this spec: a declared name, with what its factory takes after a colon (`hf:ORG/NAME`).

    `options` are the factory's own, such as `base_url` and `concurrency` of served models.

    Raises:
        RpobenchError: there is no such model, or it has no such option.
    """
    name, _, argument = spec.partition(":")
    factory = load("models", name)
    for option in options.keys() - signature(factory).parameters.keys():
        raise RpobenchError(f"--{option.replace('_', '-')}: base model '{name}' has no such option; leave it out")
    model: LanguageModel = factory(argument, **options)
    return model


@cache
def get_retriever(name: str) -> Retriever:
    """The retriever of this name, such as `bm25`, with what its factory takes after a colon (`dense:ORG/NAME`)."""
    known, colon, argument = name.partition(":")
    factory = load("retrievers", known)
    if colon and not signature(factory).parameters:
        raise RpobenchError(f"retriever {name}: {known} takes nothing after a colon, leave it out")
    retriever = factory(argument) if colon else factory()

    from rpobench.evidence.retrievers import Retriever  # not before a retriever is used: it brings numpy

    if not isinstance(retriever, Retriever):
        kind = type(retriever).__name__
        raise RpobenchError(f"retriever {known}: {kind} is no Retriever; inherit it from rpobench.api.Retriever")
    return retriever


def retriever_encoder(retriever_names: Iterable[str]) -> str | None:
    """The identity of the encoder of the first of these retrievers that has one."""
    encoders = (get_retriever(name).encoder for name in retriever_names)
    return next(filter(None, encoders), None)


def model_identities(method: Method) -> dict[str, str]:
    """Identities of all models a method uses besides the base model, by their role: its retrievers' and its own."""
    encoder = retriever_encoder(method.retrievers())
    return {**({"encoder": encoder} if encoder else {}), **method.models()}


def advice(name: str, known: Iterable[str]) -> str:
    """`did you mean ...?` where names of `known` are near, in whatever case; else all there are to choose from."""
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(by_lower[match] for match in near)}?"
    return f"choose one of {', '.join(by_lower.values())}" if by_lower else "there is none"
