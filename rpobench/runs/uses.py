"""Which runs use what: fits, drafts, other texts of models, and what was learned of users. One answer for everybody."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rpobench.method.code import KEY_DIGITS, key_of_code
from rpobench.registry import get_task
from rpobench.runs.drafts import list_draft_names
from rpobench.runs.environment import ENVIRONMENT
from rpobench.store.predictions import PACKED_SUFFIX
from rpobench.store.result_store import AGAIN, ResultStore
from rpobench.store.results import read_fit_spec, read_noted_code, read_run_spec, read_shared_files
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.types import RpobenchError

# What fits, drafts, texts and folders of what was learned of users are called. Anything else is somebody's own.
PART_NAME = re.compile(r"(.+-)?[0-9a-f]{12}|[0-9a-f]{24}")


@dataclass(frozen=True)
class Reader:
    """A run or a fit, finished or not, that uses things which others may use too.

    Attributes:
        path: Its folder under the folder of runs, such as `fits/0123456789ab`.
        spec: What describes it.
        shared_files: The drafts and texts that it reads; None where it does not say.
        code_keys: The keys of the code that made it; None where it does not say, empty where it was made elsewhere.
    """

    path: str
    spec: RunSpec | FitSpec
    shared_files: frozenset[str] | None
    code_keys: frozenset[str] | None

    def uses(self, path: str) -> bool:
        """Say whether it uses something, or may: what it does not note is judged by its spec.

        Args:
            path: A fit, a file of drafts or texts, or a folder of what was learned of users, under the folder of runs.
        """
        kind, _, name = path.removeprefix(f"{AGAIN}/").partition("/")
        if kind == "fits":
            return isinstance(self.spec, RunSpec) and self._names_fit(name)
        if kind == "users":
            return isinstance(self.spec, RunSpec) and self._learns_in(name)

        file = path.removesuffix(PACKED_SUFFIX)
        if self.shared_files is not None:
            return file in self.shared_files
        return kind != "drafts" or any(
            _may_be_drafts(Path(file).stem, self.spec, task) for task in _tasks_of(self.spec)
        )

    def _names_fit(self, digest: str) -> bool:
        """Whether its spec names a fit: as its own, or in a knob as the path of a checkpoint."""
        return digest in self._spec_text

    @cached_property
    def _spec_text(self) -> str:
        return self.spec.model_dump_json()

    def _learns_in(self, folder_name: str) -> bool:
        """Whether it keeps what it learns of users in a folder of `users/`.

        Without method and code in its name the folder is from a version whose parts every run still finds.
        """
        method, _, key = folder_name.rpartition("-")
        if not method:
            return self.code_keys is None or bool(self.code_keys)
        return method == self.spec.method and (self.code_keys is None or key in self.code_keys)


@dataclass(frozen=True)
class SharedPart:
    """Something in a folder of runs that several runs may use.

    Attributes:
        path: Where it is under the folder.
        readers: Who uses it: runs, and of drafts and texts also fits.
    """

    path: str
    readers: Sequence[Reader]

    @property
    def kind(self) -> str:
        """`fits`, `drafts`, `written` or `users`."""
        return self.path.removeprefix(f"{AGAIN}/").partition("/")[0]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


def list_readers(store: ResultStore, damaged: Collection[str] = ()) -> list[Reader]:
    """Read who may use something: every run and every fit, also those that `--again` makes and those that are packed.

    Args:
        store: The folder of runs.
        damaged: Folders of runs that are passed over, since they cannot be read.

    Raises:
        RpobenchError: The spec of a run or fit cannot be read, so nobody knows what it uses.
    """
    readers = []
    for prefix in ("", f"{AGAIN}/"):
        for file in sorted(store.root.glob(f"{prefix}*/spec.json")):
            if file.parent.relative_to(store.root).as_posix() not in damaged:
                readers.append(read_run(store, file.parent))
        for file in sorted(store.root.glob(f"{prefix}fits/*/spec.json")):
            readers.append(_describe_reader(store, file.parent, read_fit_spec(file)))

    for name in store.packed.runs:
        if store.is_packed(name):
            spec = store.packed.load(name).spec
            readers.append(Reader(name, spec, shared_files=frozenset(), code_keys=frozenset()))
    return readers


def list_shared_parts(store: ResultStore, readers: Sequence[Reader]) -> list[SharedPart]:
    """List everything in a folder that several runs may use, with those who do.

    Args:
        store: The folder of runs.
        readers: What `list_readers` returns.
    """
    parts = []
    for path in _list_shared_paths(store):
        parts.append(SharedPart(path, [reader for reader in readers if reader.uses(path)]))
    return parts


def find_fit_users(store: ResultStore, digests: Iterable[str]) -> list[str]:
    """Find the runs that stand on any of these fits.

    Args:
        store: The folder of runs.
        digests: The names of the fits.

    Returns:
        The names of the runs, in alphabetical order.
    """
    fits = {f"fits/{digest}" for digest in digests}
    readers = [read_run(store, file.parent) for file in sorted(store.root.glob("*/spec.json"))]

    return [reader.path for reader in readers if any(map(reader.uses, fits))]


def read_run(store: ResultStore, folder: Path) -> Reader:
    """Read what a run uses.

    Args:
        store: The folder of runs.
        folder: The folder of the run.

    Raises:
        RpobenchError: A file of the run is damaged.
    """
    return _describe_reader(store, folder, read_run_spec(folder / "spec.json"))


def _describe_reader(store: ResultStore, folder: Path, spec: RunSpec | FitSpec) -> Reader:
    environment_file = folder / ENVIRONMENT
    path = folder.relative_to(store.root).as_posix()
    if spec.version == "imported":
        return Reader(path, spec, shared_files=frozenset(), code_keys=frozenset())

    code = read_noted_code(environment_file)
    code_keys = None
    if code is not None:
        # The second one is what names the folder where the source was vouched for only later.
        code_keys = frozenset({key_of_code(spec.method, spec.version, code.sha256), code.sha256[:KEY_DIGITS]})
    return Reader(path, spec, read_shared_files(environment_file), code_keys)


def _list_shared_paths(store: ResultStore) -> Iterator[str]:
    """Yield what is there: names are taken from the disk alone, so that no note in a file leads anywhere else."""
    patterns = (
        "fits/*/",
        "users/*/",
        f"{AGAIN}/fits/*/",
        f"{AGAIN}/users/*/",
        "drafts/*.jsonl",
        f"drafts/*.jsonl{PACKED_SUFFIX}",
        "written/*.jsonl",
        f"written/*.jsonl{PACKED_SUFFIX}",
    )
    for pattern in patterns:
        for path in sorted(store.root.glob(pattern)):
            if PART_NAME.fullmatch(path.name.partition(".jsonl")[0]):
                yield path.relative_to(store.root).as_posix()


def _tasks_of(spec: RunSpec | FitSpec) -> Sequence[str]:
    return spec.train_tasks if isinstance(spec, FitSpec) else (spec.task,)


def _may_be_drafts(name: str, spec: RunSpec | FitSpec, versioned_task: str) -> bool:
    """Whether a file holds the drafts of a task that this run or fit reads.

    Of a task of another version, or one that is not installed here, any base model's drafts may be those.
    """
    task_name = versioned_task.split("@")[0]
    if name.rpartition("-")[0] != task_name:
        return False

    try:
        task = get_task(task_name)
    except (RpobenchError, ImportError):
        return True
    is_current = versioned_task == (task.prompt_versioned if isinstance(spec, FitSpec) else task.versioned)
    return not is_current or name in list_draft_names(task, spec.base_model)
