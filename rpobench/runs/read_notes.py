"""What a run or a fit reads of the files that runs share, noted in its `environment.json` before it is read.

`rpobench rm` removes such a file with the last run that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rpobench.store.files import read_json, write_json
from rpobench.store.results import SHARED_FILES


class ReadNotes:
    """Notes of one run or fit at a time.

    Args:
        root: The folder of runs in which the shared files are.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._environment_file: Path | None = None
        self._noted: set[str] = set()

    @contextmanager
    def noted_in(self, environment_file: Path) -> Iterator[None]:
        """Note what is read inside.

        Args:
            environment_file: The `environment.json` of the run or fit that reads. One that an earlier version began
                does not say what was read before, so nothing is added to it.

        Yields:
            Nothing.
        """
        if environment_file.exists() and SHARED_FILES in read_json(environment_file):
            self._environment_file = environment_file
        self._noted = set()

        try:
            yield
        finally:
            self._environment_file = None

    def add(self, file: Path) -> None:
        """Note a file that is about to be read.

        Args:
            file: A file under the folder of runs; it need not exist yet.
        """
        name = file.relative_to(self._root).as_posix()
        if self._environment_file is None or name in self._noted:
            return

        content = read_json(self._environment_file)
        if name not in content[SHARED_FILES]:
            write_json(self._environment_file, {**content, SHARED_FILES: sorted([*content[SHARED_FILES], name])})
        self._noted.add(name)
