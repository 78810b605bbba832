"""Runs `rpobench` in a terminal window of a chosen width, and reads what a user sees there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from command_line import MAIN

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def read_window(*arguments: str | Path, columns: int = 80, answer: str | None = None) -> str:
    """Run the command with stdout in a window.

    Args:
        arguments: What stands behind `rpobench`.
        columns: The width of the window.
        answer: What the user types when the command asks, with stdin and stderr in the window too.

    Returns:
        What stands in the window, without colours.
    """
    screen, window = pty.openpty()
    fcntl.ioctl(window, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    environment["TERM"] = "xterm"

    others = {"stdin": None, "stderr": subprocess.DEVNULL} if answer is None else {"stdin": window, "stderr": window}
    with subprocess.Popen(command, stdout=window, env=environment, **others):
        os.close(window)
        content = b""
        while part := _read(screen):
            content += part
            if answer is not None and content.endswith(b"]: "):
                os.write(screen, f"{answer}\n".encode())
    os.close(screen)

    return ESCAPES.sub("", content.decode()).replace("\r\n", "\n")


def _read(screen: int) -> bytes:
    """The next part of the screen; nothing where the command has ended, which Linux says by an error."""
    try:
        return os.read(screen, 65536)
    except OSError:
        return b""
