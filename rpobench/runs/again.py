"""`--again`: runs and fits made anew beside what stands, which is replaced when all of it is done.

    ROOT/.again/              what is made anew, in the form of the store; drafts stay where all runs share them
    ROOT/.again/commit.json   what goes where, from the moment on at which all of it is done

A kill before that leaves what stood as it was, and the same command goes on with the work. A kill after it leaves both
on the disk, and the next command puts the rest in place.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpobench.method.code import MethodCode
from rpobench.runs.changed_code import is_other_code
from rpobench.runs.environment import ENVIRONMENT
from rpobench.runs.uses import find_fit_users
from rpobench.store.files import read_json, write_json
from rpobench.store.locks import locked
from rpobench.store.processes import is_first
from rpobench.store.result_store import AGAIN, ResultStore
from rpobench.store.results import read_environment, read_noted_code

COMMIT, REPLACED = "commit.json", "replaced"


@dataclass
class Redo:
    """What one command makes anew.

    Attributes:
        store: The folder of runs, in which the old results stand.
        moves: Folders under `.again`, and where under the folder of runs they go.
        former: Names of old run folders that go without being replaced under the same name.
    """

    store: ResultStore
    moves: list[tuple[str, str]] = field(default_factory=list)
    former: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where things are made anew."""
        return self.store.root / AGAIN

    @property
    def workshop(self) -> ResultStore:
        """The store in which things are made anew; it shares drafts and texts of the base model with the old one."""
        return self.store.workshop

    def discard_outdated(self, codes: Sequence[MethodCode]) -> None:
        """Remove what an earlier command left here that was made by other code than today's.

        Args:
            codes: The code of each method that is made anew.
        """
        code_by_method = {code.method: code for code in codes}
        for folder in [*self.folder.glob("*/"), *self.folder.glob("fits/*/")]:
            spec_file = folder / "spec.json"
            if not (folder / ENVIRONMENT).exists():
                continue

            method = read_json(spec_file).get("method") if spec_file.exists() else None
            code = code_by_method.get(str(method))
            if method is None or is_other_code(read_noted_code(folder / ENVIRONMENT), code):
                shutil.rmtree(folder)

    def add_run(self, name: str, former_name: str, *, keeps_label: bool) -> None:
        """Add a run that is done.

        Args:
            name: The name of its folder.
            former_name: The name of the folder that it replaces, which may be the same or not exist.
            keeps_label: Whether its row is called as before.
        """
        if not (self.folder / name).exists():
            return  # too few users to swap profiles

        self._keep_marks(name, former_name, keeps_label=keeps_label)
        self.moves.append((name, name))
        if former_name != name:
            self.former.append(former_name)

    def _keep_marks(self, name: str, former_name: str, *, keeps_label: bool) -> None:
        """Let a run have the label, and the mark that its texts are not to be shown, that the former one has."""
        folder, former = self.folder / name, self.store.root / former_name
        if not (former / "result.json").exists():
            return

        label = read_environment(former / ENVIRONMENT).label
        if label and keeps_label:
            write_json(folder / ENVIRONMENT, {**read_json(folder / ENVIRONMENT), "label": label})

        result = read_json(folder / "result.json")
        if result["texts"] and not read_json(former / "result.json")["texts"]:
            write_json(folder / "result.json", {**result, "texts": False})

    def add_fit(self, digest: str, *, is_copy: bool) -> None:
        """Add a fit.

        Args:
            digest: Its name.
            is_copy: Whether it was trained elsewhere, so that it replaces nothing.
        """
        if is_copy and (self.store.fit_folder(digest) / "checkpoint").exists():
            shutil.rmtree(self.workshop.fit_folder(digest), ignore_errors=True)
        else:
            self.moves.append((f"fits/{digest}", f"fits/{digest}"))

    def add_user_parts(self, folder_name: str) -> None:
        """Add what was learned of single users by one method's code."""
        for part in sorted((self.workshop.users_folder / folder_name).glob("*/")):
            path = part.relative_to(self.folder).as_posix()
            if not part.name.startswith(".") and (path, path) not in self.moves:
                self.moves.append((path, path))

    def commit(self) -> None:
        """Put everything that was added in the place of what stood there."""
        moves = [move for move in dict.fromkeys(self.moves) if (self.folder / move[0]).exists()]
        self._tell_of_other_runs([target for _, target in moves])

        write_json(self.folder / COMMIT, {"moves": moves, "former": self.former})
        finish_commit(self.store)

    def _tell_of_other_runs(self, targets: Sequence[str]) -> None:
        """Name the runs that stand on a fit which is replaced, and are not made anew."""
        fits = {target.removeprefix("fits/") for target in targets if target.startswith("fits/")}
        other_runs = []
        for name in find_fit_users(self.store, fits):
            if name not in targets and name not in self.former:
                other_runs.append(name)

        if other_runs:
            print(
                f"{len(other_runs)} other runs stand on a fit that was made anew, such as {other_runs[0]}: "
                "redo them with --again too",
                file=sys.stderr,
            )


@contextmanager
def redo(store: ResultStore) -> Iterator[Redo]:
    """Let one process at a time make things anew beside a store.

    Args:
        store: The folder of runs.

    Yields:
        What is made anew.
    """
    if not is_first():
        yield Redo(store)
        return

    with locked(store.root / AGAIN):
        yield Redo(store)


def finish_commit(store: ResultStore) -> None:
    """Put in place what a command had made anew and, killed, not put there. Nothing is done where all is in place.

    Args:
        store: The folder of runs.
    """
    folder = store.root / AGAIN
    if not (folder / COMMIT).exists():
        return

    plan: dict[str, Any] = read_json(folder / COMMIT, "moves", "former")
    for source, target in plan["moves"]:
        _replace(folder / source, store.root / target, folder / REPLACED / target)
    for name in plan["former"]:
        shutil.rmtree(store.root / name, ignore_errors=True)

    shutil.rmtree(folder / REPLACED, ignore_errors=True)
    (folder / COMMIT).unlink()
    discard_if_empty(store)


def discard_if_empty(store: ResultStore) -> None:
    """Remove the folder in which things are made anew where nothing is in the making.

    Args:
        store: The folder of runs, in which nobody else makes anything anew.
    """
    folder = store.workshop.root
    if not [*folder.glob("*/spec.json"), *folder.glob("fits/*/spec.json")]:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(source: Path, target: Path, aside: Path) -> None:
    """Put a folder in the place of another one, which goes aside. Repeated after a kill, it goes on where it was."""
    if not source.exists():
        return

    if target.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        target.rename(aside)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
