"""Runs `rpobench` as a user would: in this process, whose imports are made once, or in a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from rpobench.cli.main import main

MAIN = "from rpobench.cli.main import main; main()"  # for `python -c`


@dataclass
class CommandResult:
    """What a command printed and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def run_rpobench(*arguments: str | Path) -> CommandResult:
    """Run the command in this process.

    Args:
        arguments: What stands behind `rpobench`.

    Returns:
        Its exit code and what it printed.
    """
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", ["rpobench", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return CommandResult(int(end.code or 0), stdout.getvalue(), stderr.getvalue())

    raise AssertionError("a command ends with an exit code")


def spawn_rpobench(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, and wait for it.

    Args:
        arguments: What stands behind `rpobench`.
        variables: Environment variables beside the present ones.

    Returns:
        The process, with its output as text.
    """
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
