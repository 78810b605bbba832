"""Somebody else's method that does not work: it is named, and the runs of the other methods go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rpobench.method.contract import Method
from rpobench.method.declaration import OWN_PACKAGE, BrokenMethod, name_plugin_fault
from rpobench.registry import UnknownName
from rpobench.runs.plan import Plan, is_named


@contextmanager
def skip_broken_plugin(plan: Plan, method: Method) -> Iterator[None]:
    """Leave a broken method out with a line on stderr, where only a group such as `all` brought it.

    What is wrong with data, model or machine is the fault of no method and passes through.

    Args:
        plan: What is run.
        method: The method that works inside the `with` block.

    Raises:
        RpobenchError: The method is broken, and `--method` names it.
    """
    try:
        with name_plugin_fault(method):
            yield
    except (BrokenMethod, UnknownName) as error:
        if is_named(plan, method) or type(method).__module__.startswith(OWN_PACKAGE):
            raise
        print(f"{method.name} skipped: {error}", file=sys.stderr)
