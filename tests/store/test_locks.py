"""One process at a time; who does not wait is told, and gets everything or nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpobench.store.locks import locked, locked_at_once
from rpobench.types import RpobenchError


@pytest.fixture
def few_files() -> Iterator[int]:
    """A limit of open files that a hundred locks pass, as the soft one."""
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_count = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_count + 100, hard_limit))
    yield hard_limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_limit, hard_limit))


def test_who_does_not_wait_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path / "run"), pytest.raises(RpobenchError, match="run: another process works on it: wait until"):  # noqa: SIM117
        with locked(tmp_path / "run", waits=False):
            pass


def test_of_several_all_are_held_or_none(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]

    with locked(paths[1]), pytest.raises(RpobenchError, match="b: another process"), locked_at_once(paths):
        pass
    with locked(paths[0], waits=False), locked(paths[2], waits=False):
        pass
    with locked_at_once(paths), pytest.raises(RpobenchError), locked(paths[2], waits=False):
        pass


def test_more_locks_than_files_may_be_open_are_held(tmp_path: Path, few_files: int) -> None:
    with locked_at_once([tmp_path / str(number) for number in range(200)]):
        pass


def test_more_locks_than_the_system_allows_are_refused(tmp_path: Path, few_files: int) -> None:
    with pytest.raises(RpobenchError, match=f"more than the system allows \\({few_files}\\): choose fewer"):  # noqa: SIM117
        with locked_at_once([tmp_path / "run"] * few_files):
            pass
