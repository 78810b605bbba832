"""What stands on the disk was made by code; where that code changed since, it is not taken for today's."""

from __future__ import annotations

from pathlib import Path

from rpobench.method.code import MethodCode
from rpobench.runs.environment import ENVIRONMENT
from rpobench.store.result_store import ResultStore
from rpobench.store.results import StoredCode, read_noted_code
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.types import RpobenchError


def is_other_code(noted: StoredCode | None, code: MethodCode | None) -> bool:
    """Say whether something was made by other code than today's. What noted no code counts as made by today's.

    Args:
        noted: The code that a run or a fit noted.
        code: The code of its method today; None where nobody asks.
    """
    return noted is not None and code is not None and not code.predicts_as(noted.sha256)


def check_run_code(store: ResultStore, spec: RunSpec, code: MethodCode | None) -> None:
    """Refuse a run, finished or not, that other code began.

    Args:
        store: Where it stands; it need not.
        spec: What describes the run.
        code: The code of its method today; None where nobody asks.

    Raises:
        RpobenchError: The code changed; the text names a file that is not what it was, and both ways on.
    """
    folder = store.run_folder(spec)
    packed_run = None if folder.exists() else store.find_packed(spec)

    noted = packed_run.environment.code if packed_run else read_noted_code(folder / ENVIRONMENT)
    _refuse(noted, code, packed_run.folder if packed_run else folder, "run")


def check_fit_code(store: ResultStore, spec: FitSpec, code: MethodCode | None) -> None:
    """Refuse a fit, finished or not, that other code began.

    Args:
        store: Where it stands; it need not.
        spec: What describes the fit.
        code: The code of its method today; None where nobody asks.

    Raises:
        RpobenchError: As `check_run_code`.
    """
    folder = store.fit_folder(store.fit_digest(spec))

    _refuse(read_noted_code(folder / ENVIRONMENT), code, folder, "fit")


def _refuse(noted: StoredCode | None, code: MethodCode | None, folder: Path, what: str) -> None:
    if noted is None or code is None or not is_other_code(noted, code):
        return

    raise RpobenchError(
        f"{folder}: code of {code.method} changed since this {what} ({code.find_changed_file(noted.modules)}): "
        "raise `version`, or `--again` to redo run and fit"
    )
