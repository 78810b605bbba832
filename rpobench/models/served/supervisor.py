"""Runs a server's command, writes its log, and ends it with all that it started once it is no longer needed.

`launch.py` starts this file as a process of its own: `python -P supervisor.py PARENT LOG COMMAND`. It outlives its
parent, so the server is stopped even where the run was killed and could do nothing any more. It imports nothing of
rpobench, and so is ready at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

GRACE = 10.0  # seconds that a server has to end by itself
LAST_WAIT = 5.0  # seconds for what was killed to be gone, and for its last output to be written
PAUSE = 0.1  # seconds between looks at the server and at the parent
MAX_LOG = 8 << 20  # bytes; a server that floods its output must not fill the disk
MAX_LINE = 1 << 16  # bytes
TAIL = 50  # lines that stay when the log begins anew

SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")  # ends of variables' names
SHORTEST_SECRET = 8  # characters; a shorter value may be a word that stands in any line
PR_SET_CHILD_SUBREAPER = 36  # Linux: orphans of the server become children of this process


def find_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Find the values that no log may hold.

    Args:
        environment: Variables by name.

    Returns:
        For each secret value, the name of its variable.
    """
    secrets = {}
    for name, value in environment.items():
        if name.upper().endswith(SECRET_NAMES) and len(value.strip()) >= SHORTEST_SECRET:
            secrets[value.strip()] = name

    return secrets


class ServerLog:
    """A file of a server's output: without keys, and of bounded size, since old lines make room for new ones.

    Args:
        file: Where it is written; opened for bytes.
        secrets: Values that are replaced by the names of their variables.
        limit: Its size in bytes at most, but for the lines that always stay.
    """

    def __init__(self, file: IO[bytes], secrets: Mapping[str, str], limit: int = MAX_LOG) -> None:
        self._file, self._secrets, self._limit = file, secrets, limit
        self._tail: deque[bytes] = deque(maxlen=TAIL)
        self._size = 0

    def write_all(self, output: IO[bytes]) -> None:
        """Write each line as it comes, until the output ends."""
        while line := output.readline(MAX_LINE):
            self.write(line)

    def write(self, line: bytes) -> None:
        """Write one line."""
        for secret, name in self._secrets.items():
            line = line.replace(secret.encode(), f"[{name}]".encode())

        self._tail.append(line)
        if self._size + len(line) > self._limit:
            self._file.seek(0)
            self._file.truncate()
            line = b"[earlier output is left out]\n" + b"".join(self._tail)
            self._size = 0

        self._file.write(line)
        self._file.flush()
        self._size += len(line)


def supervise(parent: int, log: ServerLog, command: str) -> int:
    """Run a command until it ends, its parent is gone, or SIGTERM comes; then end all that it started.

    Args:
        parent: The process that this one belongs to.
        log: What the command prints goes here.
        command: A line for the shell.

    Returns:
        The exit code; 128 and the signal's number where a signal ended the command, as shells say it.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    _adopt_orphans()

    server = subprocess.Popen(
        command,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    print(server.pid, flush=True)  # for the parent, should this process be killed

    output = threading.Thread(target=log.write_all, args=(server.stdout,), daemon=True)
    output.start()

    while server.poll() is None and os.getppid() == parent and not stop.is_set():
        stop.wait(PAUSE)
    exit_code = server.returncode

    end_group(server.pid)
    output.join(LAST_WAIT)
    if exit_code is None:
        return 0  # it was stopped, and did not end by itself
    return exit_code if exit_code >= 0 else 128 - exit_code


def end_group(group: int) -> None:
    """End every process of a group, and every descendant of this process: first by SIGTERM, after a while by SIGKILL.

    Args:
        group: The id of the process group.
    """
    for send, seconds in ((psutil.Process.terminate, GRACE), (psutil.Process.kill, LAST_WAIT)):
        processes = _list_processes(group)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                send(process)

        psutil.wait_procs(processes, timeout=seconds)


def _list_processes(group: int) -> list[psutil.Process]:
    """The group's processes, and the descendants of this process, which may have left the group."""
    processes = set(psutil.Process().children(recursive=True))
    for process in psutil.process_iter():
        with suppress(OSError):
            if os.getpgid(process.pid) == group:
                processes.add(process)

    return list(processes)


def _adopt_orphans() -> None:
    """Become the parent of descendants whose own parents have ended, where the system can do that (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def main() -> None:
    """Supervise the command of the command line."""
    parent, log_file, command = sys.argv[1:]

    with Path(log_file).open("wb") as file:
        sys.exit(supervise(int(parent), ServerLog(file, find_secrets(os.environ)), command))


if __name__ == "__main__":
    main()
