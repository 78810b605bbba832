"""Where something stands in its author's source, for messages: `FILE:LINE`."""

from __future__ import annotations

import inspect
import traceback
from importlib.util import find_spec
from pathlib import Path


def find_place(target: object) -> str:
    """Say where a class or function is defined.

    Args:
        target: A class or function; of anything else its class is looked up.

    Returns:
        `FILE:LINE`, or `MODULE:NAME` where no source can be read.
    """
    definition = target if inspect.isclass(target) or inspect.isroutine(target) else type(target)

    try:
        line = inspect.getsourcelines(definition)[1]
        return f"{inspect.getsourcefile(definition)}:{line}"
    except (OSError, TypeError):
        return f"{definition.__module__}:{definition.__qualname__}"


def find_raising_place(error: BaseException, module_name: str) -> str | None:
    """Say which line of a package an error came through last.

    Args:
        error: The error, with its traceback.
        module_name: A module of the package.

    Returns:
        `FILE:LINE`; None where the error came through no file of the package.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"

    files = _list_files(module_name)
    place = None
    for frame in traceback.extract_tb(error.__traceback__):
        if any(Path(frame.filename).is_relative_to(file) for file in files):
            place = f"{frame.filename}:{frame.lineno}"
    return place


def _list_files(module_name: str) -> list[Path]:
    """The folders of the module's package; of a module outside of packages its file. Nothing is imported."""
    try:
        spec = find_spec(module_name.partition(".")[0])
    except (ImportError, ValueError):
        return []

    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(folder) for folder in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin else []
