"""What is on disk: one folder a run, one a fit, and one file of drafts for each (base model, task).

    ROOT/<task>-<method>-<digest>/   a run: spec.json, environment.json, predictions.jsonl, result.json
    ROOT/fits/<digest>/              a fit: spec.json, fit.json and the checkpoint
    ROOT/drafts/                     the base model's answers without history, shared by all runs
    ROOT/written/                    other texts of models, such as summaries of users
    ROOT/users/<method>-<code>/      what a method's code learned of single users
    ROOT/.again/                     what `--again` makes anew, see `rpobench.runs.again`
    ROOT/*.parquet                   a packed set of finished runs, see `rpobench.store.packed_runs`

Finished predictions are appended and flushed to the disk at once; whole files are written aside and renamed. A line
torn by a kill is not read and is cut off by the next append: nothing finished is lost, nothing half-written is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.store.files import read_json, write_json
from rpobench.store.identity import comparable_identity
from rpobench.store.predictions import read_predictions
from rpobench.types import Prediction, RpobenchError

if TYPE_CHECKING:
    from rpobench.store.packed_runs import PackedRuns
    from rpobench.store.spec import FitSpec, RunSpec, Spec
    from rpobench.store.stored_run import StoredRun

AGAIN = ".again"

# What Python makes of a byte on the command line that is no UTF-8.
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class ResultStore:
    """A folder of runs. A finished run is never rewritten with other numbers."""

    def __init__(self, root: Path, *, shared_root: Path | None = None) -> None:
        """Name the folder.

        Args:
            root: The folder of runs; it need not exist.
            shared_root: The folder of runs with which drafts and texts of models are shared; this one unless given.
        """
        self.root = root
        self.shared_root = shared_root or root

    def run_folder(self, spec: RunSpec) -> Path:
        """Find the folder of a run: `<task>-<method>-<digest>`, with `-swapped` where profiles are swapped.

        Args:
            spec: What describes the run.

        Returns:
            The folder, which need not exist. It is the one that an earlier version made, where there is one.
        """
        folders = [self.root / _run_name(candidate) for candidate in (spec, *spec.former)]

        return next((folder for folder in folders if folder.exists()), folders[0])

    def fit_digest(self, spec: FitSpec) -> str:
        """Find the digest by which a fit is named in this store.

        Args:
            spec: What describes the fit.

        Returns:
            12 hex digits: those of an earlier version where it made this fit, else those of today.
        """
        digests = [candidate.digest() for candidate in (spec, *spec.former)]

        return next((digest for digest in digests if self.fit_folder(digest).exists()), digests[0])

    def fit_folder(self, digest: str) -> Path:
        """Find the folder of the fit with this digest, which holds its checkpoint or its unfinished work."""
        return self.root / "fits" / digest

    def drafts_file(self, name: str) -> Path:
        """Find the file of shared drafts with this name; it need not exist."""
        return self.shared_root / "drafts" / f"{name}.jsonl"

    @property
    def workshop(self) -> ResultStore:
        """The store in which results are made anew beside this one; they share drafts and texts of models."""
        return ResultStore(self.root / AGAIN, shared_root=self.shared_root)

    @property
    def written_folder(self) -> Path:
        """The folder of texts that models wrote beside drafts, such as summaries of users; shared by all runs."""
        return self.shared_root / "written"

    @property
    def users_folder(self) -> Path:
        """The folder of what methods learned of single users while predicting; shared by all runs."""
        return self.root / "users"

    def read_predictions(self, spec: RunSpec) -> dict[str, Prediction]:
        """Read the predictions that a run has so far, by example id; the run need not be finished."""
        return read_predictions(self.run_folder(spec) / "predictions.jsonl")

    def find_runs(self, **spec_values: object) -> list[StoredRun]:
        """Read every finished run whose spec has these values.

        Args:
            **spec_values: Fields of `RunSpec` with the value they must have, such as `method="rpo"`.

        Returns:
            The runs, by folder name.

        Raises:
            RpobenchError: A file of a run is damaged; the text names it.
        """
        runs = [self.load(file.parent) for file in sorted(self.root.glob("*/result.json"))]

        # A run that also has a folder of its own is read from there.
        names = {run.name for run in runs}
        runs += [self.packed.load(name) for name in self.packed.runs if name not in names]

        matching = [run for run in runs if all(getattr(run.spec, name) == value for name, value in spec_values.items())]
        return sorted(matching, key=lambda run: run.name)

    def has_answers_of(self, base_model: str) -> bool:
        """Say whether a base model answered something in any run here, finished or not.

        Args:
            base_model: The identity of the model.
        """
        from rpobench.store.results import read_run_spec

        identity = comparable_identity(base_model)

        roots = dict.fromkeys((self.root, self.shared_root))
        for file in (file for root in roots for file in root.glob("*/spec.json")):
            if comparable_identity(read_run_spec(file).base_model) == identity:
                predictions = read_predictions(file.parent / "predictions.jsonl").values()
                if not all(prediction.unanswered for prediction in predictions):
                    return True
        return False

    @cached_property
    def packed(self) -> PackedRuns:
        """The packed set in this folder; it is empty where the folder holds none."""
        from rpobench.store.packed_runs import PackedRuns

        return PackedRuns(self.root)

    def find_packed(self, spec: RunSpec) -> StoredRun | None:
        """Load the packed run of a spec, by any name that it had; None where none is packed."""
        for candidate in (spec, *spec.former):
            if _run_name(candidate) in self.packed.runs:
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

        return self.packed.load(folder.name) if self.is_packed(folder.name) else self.load(folder)

    def list_names(self) -> list[str]:
        """List the names of all runs, finished or not, packed or in folders of their own, in alphabetical order."""
        names = {file.parent.name for file in self.root.glob("*/spec.json")} | self.packed.runs.keys()
        return sorted(names)

    def is_packed(self, name: str) -> bool:
        """Say whether the run with this name is in the packed set alone, without a folder of its own."""
        return name in self.packed.runs and not (self.root / name / "spec.json").exists()

    def find_folder(self, name: str) -> Path:
        """Find the folder of the run with this name, finished or not.

        Args:
            name: As in `find`. A part of the name is enough where no other run has it.

        Returns:
            The folder. That of a packed run does not exist; its name is the run's.

        Raises:
            RpobenchError: No run or several have the name.
        """
        folders = [self.root / run_name for run_name in self.list_names()]

        matches = [folder for folder in folders if name == folder.name or Path(name) == folder]
        if not matches and name:  # a digest, which is the end of the name
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
    from rpobench.store.spec import digest_of  # brings pydantic, which `--help` need not wait for

    file = folder / "spec.json"
    content = spec.content()
    for name, value in content.items():
        if LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False)):
            raise RpobenchError(f"{name} {value!r} holds bytes that are no UTF-8: such a run could not be read back")

    if not file.exists():
        write_json(file, content)
        return

    # Compare in the form of the version that made it.
    stored = read_json(file)
    forms = (spec, *spec.former)
    namesakes = [form for form in forms if form.digest() == digest_of(stored)]
    namesakes += [form for form in forms if (form.knobs is None) == (stored.get("knobs") is None)]
    if namesakes:
        content = namesakes[0].content()

    differing = [name for name in sorted(content.keys() | stored.keys()) if _differs(name, content, stored)]
    if differing:
        raise RpobenchError(
            f"{file}: differs from this run in {', '.join(differing)}: move the folder away or use --out"
        )


def _differs(name: str, content: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether a field of a spec differs, what folders are called left aside.

    Of the config only the defaults that both know are compared: what was set stands in `knobs`.
    """
    from rpobench.store.spec import hashed_form

    current_value, stored_value = hashed_form(content.get(name)), hashed_form(stored.get(name))
    knobs = content.get("knobs")

    if name == "config" and knobs is not None and isinstance(current_value, dict) and isinstance(stored_value, dict):
        common_defaults = (current_value.keys() & stored_value.keys()) - knobs.keys()
        return any(current_value[knob] != stored_value[knob] for knob in common_defaults)
    return bool(current_value != stored_value)


def _run_name(spec: RunSpec) -> str:
    """The name of a run's folder. What is unfit for a file name becomes a dash."""
    task = spec.task.split("@")[0]
    swapped = "-swapped" if spec.profiles == "swapped" else ""
    method = re.sub(r"[^\w.-]+", "-", spec.method, flags=re.ASCII)[:60]

    return f"{task}-{method}{swapped}-{spec.digest()}"
