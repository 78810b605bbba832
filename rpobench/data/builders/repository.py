"""Reads a git clone at its checked-out commit, in a way that no setting of the user or the machine can change."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rpobench.types import RpobenchError

CHUNK = 2**20  # bytes of git's output that are read at a time

# Settings of a clone or a user that would change what is read: who is who, what a signature check prints, which
# folder belongs to whom. Everything here only reads.
FIXED_SETTINGS = (
    "log.showSignature=false",
    "mailmap.blob=HEAD:.mailmap",
    "mailmap.file=",
    "safe.directory=*",
)
NULL = b"\0"
REGULAR_FILES = (b"100644", b"100755")  # modes in a tree; the others are links and submodules


@dataclass(frozen=True)
class Repository:
    """A clone at one commit.

    Attributes:
        path: What the user gave, for errors; it stands in no file.
        name: What readers know it by, such as `git/git`; empty where the user gave none.
        git_folder: The folder of git's objects.
        commit: The hash of the commit that is read, 40 or 64 hex digits.
        folder: The folder inside the repository that is read, such as `content/news/`; empty for all of it.
    """

    path: str
    name: str
    git_folder: Path
    commit: str
    folder: str = ""

    def stream_log(self, placeholders: Sequence[str]) -> Iterator[list[bytes]]:
        """Read the history of the commit, as bytes; git recodes to UTF-8 what it can.

        Args:
            placeholders: What is read of a commit, in the words of `git log --format`.

        Yields:
            The fields of one commit, in the order of the placeholders.

        Raises:
            RpobenchError: git cannot read the history.
        """
        command = ["log", "-z", "--no-notes", "--encoding=UTF-8", f"--format={'%x00'.join(placeholders)}", self.commit]

        fields: list[bytes] = []
        for field in _split_at_nulls(self._stream(command)):
            fields.append(field)
            if len(fields) == len(placeholders):
                yield fields
                fields = []

    def read_files(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
        """Read files of the commit, in the order of their paths.

        Args:
            pattern: Matches the whole path of a file, from the folder that is read.

        Yields:
            The path from that folder, and the content.

        Raises:
            RpobenchError: git cannot read a file.
        """
        command = ["ls-tree", "-r", "-z", "--full-tree", self.commit]
        if self.folder:
            command += ["--", self.folder]

        blobs = []
        for entry in _split_at_nulls(self._stream(command)):
            description, _, path_bytes = entry.partition(b"\t")
            mode, _, blob = description.split()
            path = os.fsdecode(path_bytes).removeprefix(self.folder)
            if mode in REGULAR_FILES and pattern.fullmatch(path):
                blobs.append((path, blob))

        contents = self._read_blobs([blob for _, blob in blobs])
        for (path, _), content in zip(blobs, contents, strict=True):
            yield path, content

    def _read_blobs(self, blobs: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the content of each object."""
        with tempfile.TemporaryFile() as requests:
            requests.writelines(blob + b"\n" for blob in blobs)
            requests.seek(0)

            answer = _Reader(self._stream(["cat-file", "--batch"], requests))
            for _ in blobs:
                blob, *answer_words = answer.read_line().decode().split()
                if len(answer_words) != 2:  # kind and size; else "missing"
                    raise RpobenchError(f"--repo {self.path}: lacks the object {blob}: run `git fetch --refetch` there")
                yield answer.read(int(answer_words[1]) + 1)[:-1]

    def map_contacts(self, contacts: Sequence[str]) -> list[str]:
        """Look contacts up in the `.mailmap` of the commit.

        Args:
            contacts: Such as `Ada <ada@x.org>`.

        Returns:
            The contact of each person, in the same order.
        """
        with tempfile.TemporaryFile() as requests:
            requests.writelines(contact.encode() + b"\n" for contact in contacts)
            requests.seek(0)

            answer = b"".join(self._stream(["check-mailmap", "--stdin"], requests))
            return answer.decode("utf-8", "replace").removesuffix("\n").split("\n") if contacts else []

    def count_commits(self) -> int:
        """Count the commits of the history, the checked-out one included."""
        return int(self._run(["rev-list", "--count", self.commit]))

    def check_history(self) -> None:
        """Refuse a clone that holds a part of the history alone.

        Raises:
            RpobenchError: The clone is shallow, or a folder inside it was given.
        """
        if self.folder:
            raise RpobenchError(f"--repo {self.path}: is a folder inside a repository: give the repository itself")
        if self._run(["rev-parse", "--is-shallow-repository"]).strip() == b"true":
            raise RpobenchError(
                f"--repo {self.path}: is a shallow clone, its history is cut off: run `git fetch --unshallow` there"
            )

    def _run(self, arguments: Sequence[str]) -> bytes:
        return b"".join(self._stream(arguments))

    def _stream(self, arguments: Sequence[str], requests: IO[bytes] | None = None) -> Iterator[bytes]:
        """Yield the output of a git command piece by piece; raises RpobenchError where git fails."""
        command = [*_git_command(), f"--git-dir={self.git_folder}", *arguments]

        with tempfile.TemporaryFile() as messages:
            # Git's folder as work tree: `.mailmap` then comes from the commit, and never from files beside it.
            environment = _fixed_environment() | {"GIT_WORK_TREE": str(self.git_folder)}
            with subprocess.Popen(
                command,
                cwd=self.git_folder,
                env=environment,
                stdin=requests or subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=messages,
            ) as process:
                assert process.stdout is not None
                while piece := process.stdout.read(CHUNK):
                    yield piece

            if process.returncode:
                messages.seek(0)
                raise RpobenchError(f"--repo {self.path}: git {arguments[0]}: {_last_line(messages.read())}")


class _Reader:
    """Reads lines and bytes from a stream of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end of the stream."""
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0 and (piece := next(self._pieces, b"")):
            parts.append(piece)
            missing -= len(piece)

        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]

    def read_line(self) -> bytes:
        """Return the next line without its end."""
        while b"\n" not in self._rest and (piece := next(self._pieces, b"")):
            self._rest += piece

        line, _, self._rest = self._rest.partition(b"\n")
        return line


def open_repository(argument: str) -> Repository:
    """Find the clone that `--repo` names, and the commit that is checked out there.

    Args:
        argument: A folder, or `NAME=FOLDER`. It may be bare, a work tree, or a folder inside one.

    Returns:
        The repository.

    Raises:
        RpobenchError: There is no repository, or no commit in it.
    """
    name, path = _split_name(argument)
    if not path.is_dir():
        problem = "is a file: give the folder of a git clone" if path.exists() else "no such folder"
        raise RpobenchError(f"--repo {path}: {problem}")

    answer = _ask_git(path, "rev-parse", "--absolute-git-dir")
    if answer is None:
        raise RpobenchError(f"--repo {path}: no git repository: give a clone, such as one made by `git clone`")

    commit = _ask_git(path, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if commit is None:
        raise RpobenchError(f"--repo {path}: no commit is checked out there: the repository is empty or damaged")

    folder = _ask_git(path, "rev-parse", "--show-prefix") or ""
    return Repository(str(path), name, Path(answer), commit, folder)


def _split_name(argument: str) -> tuple[str, Path]:
    """Split `NAME=FOLDER`; a folder that has an equals sign in its own path is taken as it is."""
    name, equals, path = argument.partition("=")

    if not equals or Path(argument).exists():
        return "", Path(argument)
    return name, Path(path)


def _ask_git(folder: Path, *arguments: str) -> str | None:
    """Return the line that git answers in a folder, None where it answers with an error."""
    command = [*_git_command(), "-C", str(folder), *arguments]
    answer = subprocess.run(command, env=_fixed_environment(), capture_output=True, check=False)

    return None if answer.returncode else os.fsdecode(answer.stdout).removesuffix("\n")


def _git_command() -> list[str]:
    """Return the beginning of a git command, with all settings that matter.

    Raises:
        RpobenchError: git is not installed.
    """
    program = shutil.which("git")
    if program is None:
        raise RpobenchError("git: is not installed: `rpobench data build` reads clones with it")

    command = [program]
    for setting in FIXED_SETTINGS:
        command += ["-c", setting]
    return command


def _fixed_environment() -> dict[str, str]:
    """Return this process's environment without what changes git's answers: settings, locale, time zone."""
    environment = {}
    for name, value in os.environ.items():
        if not name.startswith(("GIT_", "LC_")) and name not in ("LANG", "LANGUAGE", "TZ", "XDG_CONFIG_HOME"):
            environment[name] = value

    return environment | {
        "GIT_ALLOW_PROTOCOL": "",  # a partial clone fetches nothing
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "HOME": os.devnull,  # git before 2.32 knows no GIT_CONFIG_GLOBAL
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def _split_at_nulls(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what stands between null bytes; each field of a log ends with one."""
    rest = b""
    for piece in pieces:
        *fields, rest = (rest + piece).split(NULL)
        yield from fields


def _last_line(messages: bytes) -> str:
    lines = messages.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "failed without a message"
