"""Removes runs as `rpobench rm --yes` does, and lists what a folder of runs holds."""

from __future__ import annotations

from pathlib import Path

from command_line import run_rpobench


def remove_runs(out: Path, *arguments: str | Path) -> str:
    """Remove runs without a question, and return what the command said on stderr."""
    result = run_rpobench("rm", "--yes", "--runs", out / "runs", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def list_paths(out: Path) -> set[str]:
    """Everything in the folder of runs that somebody made: runs, fits, files of drafts and texts, parts of users."""
    runs = out / "runs"
    patterns = ("*", ".again/*", "fits/*", "drafts/*", "written/*", "users/*", ".again/fits/*", ".again/users/*")
    holders = {"fits", "drafts", "written", "users", ".again"}
    paths = {path for pattern in patterns for path in runs.glob(pattern) if path.name not in {*holders, ".locks"}}
    return {path.relative_to(runs).as_posix() for path in paths}


def read_files(out: Path) -> dict[Path, bytes]:
    """Every file in the folder of runs, without locks."""
    files = (path for path in (out / "runs").rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {path: path.read_bytes() for path in files}
