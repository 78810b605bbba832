"""What a task must declare: each mistake is one line with file and line and what to do."""

from __future__ import annotations

import inspect
from typing import Any

from rpobench.task.contract import Task
from rpobench.task.source_place import find_place
from rpobench.types import RpobenchError

REQUIRED = ("kind", "fields", "cut_field", "instruction", "noun")


def make_task(declared: Any, entry_point: str) -> Task:
    """Make the task that is declared under a name.

    Args:
        declared: What stands behind the entry point.
        entry_point: Its name.

    Returns:
        The task.

    Raises:
        RpobenchError: It is no task, or its class forgets something; the message names the first mistake.
    """
    label = getattr(declared, "__name__", repr(declared))
    place = find_place(declared)
    if not (inspect.isclass(declared) and issubclass(declared, Task)):
        raise RpobenchError(
            f"{place}: {label} is no Task; inherit it from LabelTask, RatingTask or TextTask of rpobench.api"
        )

    for member in sorted(declared.__abstractmethods__):
        raise RpobenchError(f"{place}: {label} has no `{member}`; write `def {member}`, or inherit PairedItems")
    if not getattr(declared, "name", None):
        raise RpobenchError(f'{place}: {label} has no `name`; write `name = "{entry_point}"`')
    if declared.name != entry_point:
        raise RpobenchError(
            f"{place}: {label} calls itself '{declared.name}' and its entry point calls it '{entry_point}'; "
            "give both one name, then install the package again"
        )
    for attribute in REQUIRED:
        if not hasattr(declared, attribute):
            raise RpobenchError(f"{place}: {label} has no `{attribute}`; set it in the class, see rpobench.api.Task")
    return declared()
