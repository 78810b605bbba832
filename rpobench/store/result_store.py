"""What is on disk: one folder a run, one a fit, one file of drafts for each (base model, task, data).

Finished predictions are appended and flushed to the disk at once; whole files are written aside and renamed. A line
torn by a kill is not read and is cut off by the next append: nothing finished is lost, nothing half-written is read.
Predictions may lie compressed, as `rpobench pack` leaves them: they are read alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.store.files import read_json, write_json
from rpobench.store.predictions import read_predictions
from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    from rpobench.store.packed_runs import PackedRuns
    from rpobench.store.spec import FitSpec, RunSpec, Spec
    from rpobench.store.stored_run import StoredRun

NO_TEXT = re.compile("[\ud800-\udfff]")  # what Python makes of a byte on the command line that is no UTF-8


class ResultStore:
    """A folder of runs. A finished run is never rewritten with other numbers."""

    def __init__(self, root: Path) -> None:
        """Name the folder.

        Args:
            root: The folder of runs; it need not exist.
        """
        self.root = root

    def run_folder(self, spec: RunSpec) -> Path:
        """Find the folder of a run: `<task>-<method>-<digest>`, with `-swapped` where profiles are swapped.

        Args:
            spec: What describes the run.

        Returns:
            The folder, which need not exist. It is the one that version 0.1 made, where there is one.
        """
        folder = self.root / _run_name(spec)
        if folder.exists() or spec.recorded is None:
            return folder

        recorded_folder = self.root / _run_name(spec.recorded)
        return recorded_folder if recorded_folder.exists() else folder

    def fit_digest(self, spec: FitSpec) -> str:
        """Find the digest by which a fit is named in this store.

        Args:
            spec: What describes the fit.

        Returns:
            12 hex digits: those of version 0.1 where it made this fit, else those of today.
        """
        digest = spec.digest()
        if self.fit_folder(digest).exists() or spec.recorded is None:
            return digest

        recorded_digest = spec.recorded.digest()
        return recorded_digest if self.fit_folder(recorded_digest).exists() else digest

    def fit_folder(self, digest: str) -> Path:
        """Where the trained artefact with this digest of its spec, and its unfinished work, live."""
        return self.root / "fits" / digest

    def drafts_file(self, key: str) -> Path:
        """The shared drafts under this key."""
        return self.root / "drafts" / f"{key}.jsonl"

    @property
    def written_folder(self) -> Path:
        """What the base model wrote about users, shared by all runs."""
        return self.root / "written"

    @property
    def users_folder(self) -> Path:
        """What methods learned of single users while predicting, named by content, shared by all runs."""
        return self.root / "users"

    def done(self, spec: RunSpec) -> dict[str, Prediction]:
        """The finished predictions of a run, by example id."""
        return read_predictions(self.run_folder(spec) / "predictions.jsonl")

    def results(self, **spec_values: object) -> list[StoredRun]:
        """Read every finished run whose spec has these values.

        Args:
            **spec_values: Fields of `RunSpec` with the value they must have, such as `method="rpo"`.

        Returns:
            The runs, by folder name.

        Raises:
            RpobenchError: A file of a run is damaged; the text names it.
        """
        runs = [self.load(file.parent) for file in sorted(self.root.glob("*/result.json"))]
        names = {run.name for run in runs}
        runs += [self.packed.load(name) for name in self.packed.runs if name not in names]

        matching = [run for run in runs if all(getattr(run.spec, name) == value for name, value in spec_values.items())]
        return sorted(matching, key=lambda run: run.name)

    @cached_property
    def packed(self) -> PackedRuns:
        """The packed set in this folder; it is empty where the folder holds none."""
        from rpobench.store.packed_runs import PackedRuns

        return PackedRuns(self.root)

    def find_packed(self, spec: RunSpec) -> StoredRun | None:
        """The packed run of a spec, or of the same run as version 0.1 described it; None where none is packed."""
        for candidate in (spec, spec.recorded):
            if candidate is not None and _run_name(candidate) in self.packed.runs:
                return self.packed.load(_run_name(candidate))
        return None

    def load(self, folder: Path) -> StoredRun:
        """Read one finished run.

        Args:
            folder: Its folder in this store.

        Returns:
            The run with everything that is small; predictions and logs are read when they are asked for.

        Raises:
            RpobenchError: The run is not finished, or one of its files is damaged; the text names it.
        """
        from rpobench.store.results import read_environment, read_fit_spec, read_result, read_run_spec
        from rpobench.store.stored_run import FolderReader, StoredRun

        if not (folder / "result.json").exists():
            raise RpobenchError(f"{folder}: the run is not finished: the command that began it continues it")

        spec = read_run_spec(folder / "spec.json")
        fit_folder = self.fit_folder(spec.fit) if spec.fit else None
        fit_file = fit_folder / "spec.json" if fit_folder else None
        return StoredRun(
            spec=spec,
            result=read_result(folder / "result.json"),
            environment=read_environment(folder / "environment.json"),
            folder=folder,
            fit_folder=fit_folder,
            fit_spec=read_fit_spec(fit_file) if fit_file and fit_file.exists() else None,
            reader=FolderReader(folder, fit_folder),
        )

    def find(self, name: str) -> StoredRun:
        """Read the finished run with this name.

        Args:
            name: The name of its folder, the digest in it, or the path of the folder.

        Returns:
            The run.

        Raises:
            RpobenchError: No run or several have the name, or it is not finished.
        """
        folder = self.find_folder(name)
        is_packed = not (folder / "spec.json").exists()
        return self.packed.load(folder.name) if is_packed else self.load(folder)

    def find_folder(self, name: str) -> Path:
        """The folder of the run with this name, finished or not; `name` is as in `find`.

        A packed run has a folder in name only.
        """
        names = {path.parent.name for path in self.root.glob("*/spec.json")} | self.packed.runs.keys()
        folders = [self.root / run_name for run_name in sorted(names)]
        matches = [folder for folder in folders if name == folder.name or Path(name) == folder]
        if not matches and name:
            matches = [folder for folder in folders if name in folder.name]

        if len(matches) != 1:
            count = f"{len(matches)} runs" if matches else "no run"
            raise RpobenchError(
                f"{self.root}: {count} named '{name}': `rpobench list runs --runs {self.root}` names them"
            )
        return matches[0]


def claim(folder: Path, spec: Spec) -> None:
    """Make the folder of a spec, or check that an existing one is its folder.

    Args:
        folder: Where `spec.json` stands, or is to stand.
        spec: What describes the run or fit.

    Raises:
        RpobenchError: The spec that stands there is another one; its differing fields are named. Or the spec holds
            text that could not be read back.
    """
    file = folder / "spec.json"
    content = spec.content()
    for name, value in content.items():
        if NO_TEXT.search(json.dumps(value, ensure_ascii=False)):
            raise RpobenchError(f"{name} {value!r} holds bytes that are no UTF-8: such a run could not be read back")

    if not file.exists():
        write_json(file, content)
        return

    # Compare in the form of the version that made it.
    stored = read_json(file)
    if stored.get("knobs") is None and spec.recorded is not None:
        content = spec.recorded.content()

    differing = [name for name in sorted(content.keys() | stored.keys()) if _differs(name, content, stored)]
    if differing:
        raise RpobenchError(
            f"{file}: differs from this run in {', '.join(differing)}: move the folder away or use --out"
        )


def _differs(name: str, content: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether a field of a spec is another one; of the config only the knobs that both know are compared."""
    today, then = content.get(name), stored.get(name)
    is_todays_config = name == "config" and content.get("knobs") is not None

    if is_todays_config and isinstance(today, dict) and isinstance(then, dict):
        return any(today[knob] != then[knob] for knob in today.keys() & then.keys())
    return bool(today != then)


def _run_name(spec: RunSpec) -> str:
    """The name of a run's folder. What is unfit for a file name becomes a dash."""
    task = spec.task.split("@")[0]
    swapped = "-swapped" if spec.profiles == "swapped" else ""
    method = re.sub(r"[^\w.-]+", "-", spec.method, flags=re.ASCII)[:60]

    return f"{task}-{method}{swapped}-{spec.digest()}"
