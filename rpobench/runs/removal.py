"""`rpobench rm`: runs go with what only they use, and whatever is killed, none of it comes back.

    ROOT/.removed.json           what goes, from the moment on at which it is decided until all of it is gone
    .removed/ beside anything    where it is put aside by a rename, before it is deleted

A kill before the list is there leaves everything. A kill after it leaves a folder in which every command works: the
next command that makes runs here puts the rest aside first, and the next `rm` deletes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rpobench.runs.again import COMMIT, discard_if_empty, finish_commit
from rpobench.runs.removal_choice import Choice, read_spec_unless_damaged
from rpobench.runs.uses import Reader, SharedPart, list_readers, list_shared_parts
from rpobench.store.files import measure_bytes, read_json, write_json
from rpobench.store.locks import locked, locked_at_once
from rpobench.store.result_store import AGAIN, ResultStore
from rpobench.store.spec import RunSpec
from rpobench.types import RpobenchError

REMOVED, LIST = ".removed", ".removed.json"
WORDS = {"drafts": "drafts", "written": "texts", "users": "learned of users"}  # what a shared part is, by its folder


@dataclass(frozen=True)
class Item:
    """Something that goes.

    Attributes:
        path: Where it is under the folder of runs.
        what: What it is, in words.
        size: Bytes.
        is_run: Whether it is a run, and not what only runs that go use.
    """

    path: str
    what: str
    size: int
    is_run: bool


@dataclass(frozen=True)
class Removal:
    """What goes and what stays.

    Attributes:
        items: What goes: runs first, then what only they use.
        staying: What the runs use too, each with those that still use it.
    """

    items: Sequence[Item]
    staying: Sequence[SharedPart]

    @property
    def paths(self) -> list[str]:
        """Where everything is that goes, under the folder of runs."""
        return [item.path for item in self.items]

    @property
    def size(self) -> int:
        """The bytes that it frees."""
        return sum(item.size for item in self.items)


def plan_removal(store: ResultStore, choice: Choice) -> Removal:
    """Find everything that goes with some runs.

    Args:
        store: The folder of runs.
        choice: The runs, and fits that no run stands on.

    Raises:
        RpobenchError: Another run is damaged, so that nobody knows what it uses.
    """
    run_paths = [path for name in choice.runs for path in (name, f"{AGAIN}/{name}") if (store.root / path).exists()]
    damaged = [path for path in run_paths if read_spec_unless_damaged(store.root / path) is None]
    readers = list_readers(store, damaged)

    goes = dict.fromkeys([*run_paths, *choice.fits])
    staying = []
    # Fits first: they read drafts and texts too.
    for part in sorted(list_shared_parts(store, readers), key=lambda part: part.kind != "fits"):
        other_readers = [reader for reader in part.readers if reader.path not in goes]
        is_left_over = part.kind == "users" and part.name.rpartition("-")[0] in choice.methods

        if other_readers and len(other_readers) < len(part.readers):
            staying.append(SharedPart(part.path, other_readers))
        elif not other_readers and (part.readers or is_left_over):
            goes[part.path] = None

    reader_by_path = {reader.path: reader for reader in readers}
    return Removal([_describe_item(store, path, reader_by_path.get(path)) for path in goes], staying)


def _describe_item(store: ResultStore, path: str, reader: Reader | None) -> Item:
    shown_path = path.removeprefix(f"{AGAIN}/")
    folder_name, _, part_name = shown_path.partition("/")

    if not part_name:
        what = _describe_run(store.root / path, reader)
    elif reader:
        what = f"fit of {reader.spec.method}"
    else:
        what = WORDS[folder_name]
    if shown_path != path:
        what += ", of --again"
    return Item(path, what, measure_bytes(store.root / path), is_run=not part_name)


def _describe_run(folder: Path, reader: Reader | None) -> str:
    if reader is None:
        return "damaged run"

    is_control = isinstance(reader.spec, RunSpec) and reader.spec.profiles == "swapped"
    what = "control" if is_control else "run"
    return what if (folder / "result.json").exists() else f"unfinished {what}"


def remove(store: ResultStore, choice: Choice, removal: Removal, names: Sequence[str] = ()) -> None:
    """Remove runs with what only they use.

    Args:
        store: The folder of runs.
        choice: The runs.
        removal: What was planned for them.
        names: What the user called them, so that the same command finds its work done after a kill.

    Raises:
        RpobenchError: Another process works on some of it, or the folder changed since it was planned: then nothing is
            removed.
        OSError: Something cannot be deleted. It is put aside all the same.
    """
    with locked_at_once([store.root / path for path in (REMOVED, AGAIN, *removal.paths)]):
        if set(plan_removal(store, choice).paths) != set(removal.paths):
            raise RpobenchError(f"{store.root}: changed meanwhile, nothing was removed: give the command again")

        content = {"names": sorted({*names, *choice.runs}), "paths": removal.paths, "is_aside": False}
        write_json(store.root / LIST, content)
        _finish(store)


def put_rest_aside(store: ResultStore) -> None:
    """Put aside what a killed `rm` did not, so that nothing of it is used and nothing new is taken for it.

    Args:
        store: The folder of runs.
    """
    if (store.root / LIST).exists():
        with locked(store.root / REMOVED):
            _put_aside(store)


def finish_interrupted(store: ResultStore) -> list[str]:
    """Do what a killed `--again` or a killed `rm` left to do.

    Args:
        store: The folder of runs.

    Returns:
        The names of what the `rm` removed: those of runs, and those that the user gave.

    Raises:
        RpobenchError: Another process is at it.
        OSError: Something cannot be deleted.
    """
    if not any((store.root / file).exists() for file in (LIST, f"{AGAIN}/{COMMIT}")):
        return []

    with locked_at_once([store.root / REMOVED, store.root / AGAIN]):
        _put_aside(store)
        finish_commit(store)
        return _finish(store)


def _finish(store: ResultStore) -> list[str]:
    """Put aside and delete what is in the list. Returns the names in it."""
    content = _read_list(store)
    if content is None:
        return []

    _put_aside(store)
    discard_if_empty(store)
    _delete_aside(store, content["paths"])
    return [str(name) for name in content["names"]]


def _put_aside(store: ResultStore) -> None:
    """Rename everything that goes. Repeated after a kill, it goes on; once all is aside it does nothing."""
    content = _read_list(store)
    if content is None or content["is_aside"]:
        return

    for path, aside in _list_moves(store, content["paths"]):
        if path.exists() or path.is_symlink():
            aside.parent.mkdir(exist_ok=True)
            path.rename(aside)

    # From here on whatever has one of these names is new.
    write_json(store.root / LIST, {**content, "is_aside": True})


def _delete_aside(store: ResultStore, paths: Iterable[str]) -> None:
    """Delete what is aside, and the list last."""
    asides = [aside for _, aside in _list_moves(store, paths)]
    for aside in asides:
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)

    for folder in {aside.parent for aside in asides}:
        shutil.rmtree(folder, ignore_errors=True)
    for leftover in store.root.glob(f"{LIST}.*.part"):  # of a list that was killed while it was written
        leftover.unlink()
    (store.root / LIST).unlink()


def _read_list(store: ResultStore) -> dict[str, Any] | None:
    """Read what goes; None where nothing does."""
    file = store.root / LIST
    if not file.exists():
        return None

    content = read_json(file, "names", "paths", "is_aside")
    for path in map(PurePosixPath, content["paths"]):
        if path.is_absolute() or ".." in path.parts:
            raise RpobenchError(f"{file}: names {path}, which is not in this folder: move the file away")
    return content


def _list_moves(store: ResultStore, paths: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Where each thing stands and where it is put aside: in the same folder, since that may be on a disk of its own."""
    for path in paths:
        standing = store.root / path
        yield standing, standing.parent / REMOVED / standing.name
