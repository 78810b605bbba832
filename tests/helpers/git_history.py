"""Makes git repositories with a history of any size in a moment, by `git fast-import`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DAY = 86_400  # seconds
START = 1_600_000_000  # the time of the first commit, in seconds since 1970


@dataclass(frozen=True)
class Commit:
    """A commit that is to be made.

    Attributes:
        message: The whole message; bytes where it is in no UTF-8.
        author: `Name <mail>`.
        day: Days after `START`.
        files: The content of files that it writes, by path.
        merges: The index of an earlier commit that it merges.
        encoding: The encoding that its header names; texts are written in it where Python knows it.
    """

    message: str | bytes
    author: str = "Ada Byron <ada@byron.org>"
    day: float = 0
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    merges: int | None = None
    encoding: str = ""


def make_repository(folder: Path, commits: Sequence[Commit], *options: str) -> Path:
    """Make a repository whose checked-out commit is the last of these, each the child of the one before.

    Args:
        folder: Where it is made.
        commits: The history, the oldest first; none leaves the repository empty.
        options: Of `git init`, such as `--bare`.

    Returns:
        The folder.
    """
    run_git(folder.parent, "init", "-q", "-b", "main", *options, str(folder))
    stream = b"".join(_format_commit(index, commit) for index, commit in enumerate(commits))
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream, check=True)

    if "--bare" not in options and commits:
        run_git(folder, "checkout", "-q", "-f", "main")
    return folder


def run_git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints; a fault of git is one of the test."""
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _format_commit(index: int, commit: Commit) -> bytes:
    """A commit in the language of fast-import; its mark is its index, counted from 1."""
    encoding = commit.encoding if commit.encoding.startswith("ISO") else "utf-8"
    time = f"{START + round(commit.day * DAY)} +0000"
    lines = ["commit refs/heads/main", f"mark :{index + 1}"]
    lines += [f"{role} {commit.author} {time}" for role in ("author", "committer")]
    if commit.encoding:
        lines.append(f"encoding {commit.encoding}")

    message = commit.message if isinstance(commit.message, bytes) else commit.message.encode(encoding)
    parts = ["\n".join(lines).encode(encoding), b"\n", _format_data(message)]
    if commit.merges is not None:
        parts.append(f"merge :{commit.merges + 1}\n".encode())

    for path, content in commit.files.items():
        data = content if isinstance(content, bytes) else content.encode()
        parts += [f"M 100644 inline {path}\n".encode(), _format_data(data)]
    return b"".join(parts)


def _format_data(data: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(data), data)
