"""Runs whose answers an earlier version of their task read: they are read again, and not asked again."""

from __future__ import annotations

from rpobench.store.result_store import ResultStore
from rpobench.store.spec import RunSpec
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


def refuse_former_reading(store: ResultStore, task: Task, spec: RunSpec) -> None:
    """Stop where a run stands in the store that differs from this one only in how its answers were read.

    Args:
        store: The folder of runs, which may hold a packed set.
        task: The task.
        spec: What describes the run as it would be made today.

    Raises:
        RpobenchError: There is such a run; the text names the command that reads it again.
    """
    for version in _former_versions(task):
        name = f"{task.name}@{version}"
        other_forms = tuple(form.model_copy(update={"task": name}) for form in spec.former)
        former = spec.model_copy(update={"task": name, "former": other_forms})

        packed_run = store.find_packed(former)
        folder = packed_run.folder if packed_run else store.run_folder(former)
        if packed_run or folder.exists():
            raise RpobenchError(
                f"{folder}: is this run with its answers read by {name}: `rpobench reparse {store.root}` reads them "
                f"as {task.versioned} does, without a model; or use another --out"
            )


def _former_versions(task: Task) -> list[str]:
    """The versions that asked as today and read otherwise."""
    first, last = task.prompt_version, task.version
    if first.isdecimal() and last.isdecimal():
        return [str(version) for version in range(int(first), int(last))]
    return [] if first == last else [first]
