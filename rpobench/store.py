"""What is on disk: one folder a run, one a fit, one file of drafts for each (base model, task, data).

Finished predictions are appended and flushed to the disk at once; whole files are written aside and renamed. A line
torn by a kill is not read and is cut off by the next append: nothing finished is lost, nothing half-written is read.
Predictions may lie compressed, as `rpobench pack` leaves them: they are read alike.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rpobench.types import Prediction, RpobenchError, Usage
from rpobench.zips import UNPACKED, UNREADABLE_ZIP

if TYPE_CHECKING:
    from rpobench.spec import RunSpec, Spec

PACKED = ".gz"
SCHEMA_VERSION = 2  # of result.json; 2 added `examples`
NO_TEXT = re.compile("[\ud800-\udfff]")  # what Python makes of a byte on the command line that is no UTF-8


class ResultStore:
    """A folder of runs. Append-only: a finished run is never rewritten with other numbers."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run_folder(self, spec: RunSpec) -> Path:
        """`<task>-<method>-<digest>`; swapped runs say so. What is unfit for a file name becomes a dash."""
        swapped = "-swapped" if spec.profiles == "swapped" else ""
        method = re.sub(r"[^\w.-]+", "-", spec.method, flags=re.ASCII)[:60]
        return self.root / f"{spec.task.split('@')[0]}-{method}{swapped}-{spec.digest()}"

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

    def results(self, **filters: Any) -> list[dict[str, Any]]:
        """Every finished run whose spec has these values: its result with `spec`, `environment` and `folder`.

        `fit` is the spec of the fit where the run has one and its folder is still there, else None.
        """
        from rpobench.stored import read_environment, read_fit_spec, read_result, read_run_spec

        found = []
        for file in sorted(self.root.glob("*/result.json")):
            result = read_result(file)
            result |= {"spec": read_run_spec(file.parent / "spec.json"), "folder": str(file.parent)}
            result["environment"] = read_environment(file.parent / "environment.json")
            fit = self.fit_folder(str(result["spec"]["fit"])) / "spec.json"
            result["fit"] = read_fit_spec(fit) if fit.exists() else None
            if all(result["spec"].get(name) == value for name, value in filters.items()):
                found.append(result)
        return found

    def find(self, run: str) -> Path:
        """The folder of the run with this name or digest."""
        folders = sorted(path.parent for path in self.root.glob("*/spec.json"))
        matches = [folder for folder in folders if run == folder.name or Path(run) == folder]
        matches = matches or [folder for folder in folders if run and run in folder.name]
        if len(matches) != 1:
            what = "no run" if not matches else f"{len(matches)} runs"
            raise RpobenchError(
                f"{self.root}: {what} named '{run}': `rpobench list runs --runs {self.root}` names them"
            )
        return matches[0]


def claim(folder: Path, spec: Spec) -> None:
    """Make the folder of this spec, or check that it is: a changed spec under an old name is refused by field."""
    file = folder / "spec.json"
    wanted = spec.model_dump(mode="json")
    for name, value in wanted.items():
        if NO_TEXT.search(json.dumps(value, ensure_ascii=False)):
            raise RpobenchError(f"{name} {value!r} holds bytes that are no UTF-8: such a run could not be read back")
    if not file.exists():
        write_json(file, wanted)
        return
    found = read_json(file)
    differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if differing:
        raise RpobenchError(
            f"{file}: differs from this run in {', '.join(differing)}: move the folder away or use --out"
        )


def append_predictions(file: Path, predictions: Sequence[Prediction], *, seconds: float = 0.0) -> None:
    """Append finished predictions; they are on the disk when this returns. `seconds` is what all of them took."""
    share = round(seconds / max(len(predictions), 1), 6)
    records = [{**asdict(prediction), "seconds": share} for prediction in predictions]
    for record in records:
        if record["kept"] is None:
            del record["kept"]  # most methods have no gate
    lines = "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in records)
    with disk_faults(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        _unpack(file)
        _cut_torn_line(file)
        with file.open("ab", buffering=0) as sink:
            _write_synced(sink.fileno(), lines.encode())


def _write_synced(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
    os.fsync(handle)


def _cut_torn_line(file: Path) -> None:
    if not file.exists():
        return
    with file.open("rb+") as lines:
        content = lines.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            lines.truncate(whole)


@contextmanager
def disk_faults(file: Path) -> Iterator[None]:
    """A fault of the system while `file` is written becomes one line that names it."""
    try:
        yield
    except OSError as error:
        raise RpobenchError(
            f"{file}: {error.strerror or error}: finished predictions are kept, make room there and run again"
        ) from error


def packed_twin(file: Path) -> Path:
    """Where a file of predictions lies when it is compressed."""
    return file.with_name(file.name + PACKED)


def pack_lines(file: Path) -> bytes:
    """A file of predictions, compressed; the same content gives the same bytes."""
    content = file.read_bytes()
    if len(content) > UNPACKED:
        raise RpobenchError(f"{file}: over {UNPACKED} bytes, too large to be packed")
    return gzip.compress(content, compresslevel=9, mtime=0)


def _unpack(file: Path) -> None:
    packed = packed_twin(file)
    if packed.exists():
        write_bytes(file, _content(packed))
        packed.unlink()


def _held(file: Path) -> Path:
    """The file of predictions, or its packed twin: of both, a kill in the middle of unpacking left the plain one."""
    return packed if (packed := packed_twin(file)).exists() else file


def _content(file: Path) -> bytes:
    """The bytes of a file of lines, unpacked; nothing where there is none."""
    if not file.exists():
        return b""
    if file.suffix != PACKED:
        return file.read_bytes()
    try:
        with gzip.open(file) as zipped:
            content = zipped.read(UNPACKED + 1)
    except UNREADABLE_ZIP as error:
        raise RpobenchError(f"{file}: not readable as gzip ({error}): move its folder away") from error
    if len(content) > UNPACKED:
        raise RpobenchError(f"{file}: over {UNPACKED} bytes unpacked, which no run needs: move its folder away")
    return content


def read_predictions(file: Path) -> dict[str, Prediction]:
    """The whole predictions in a file, or in its packed twin, by example id; empty where there is none."""
    return {prediction.example_id: prediction for prediction, _ in _whole_lines(file)}


def seconds_spent(file: Path) -> dict[str, float]:
    """How long each whole prediction in a file took, by example id, over all interrupted attempts."""
    return {prediction.example_id: seconds for prediction, seconds in _whole_lines(file)}


def _whole_lines(file: Path) -> Iterator[tuple[Prediction, float]]:
    file = _held(file)
    content = _content(file)
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = json.loads(line)
            seconds = float(record.pop("seconds", 0))
            evidence, usage = tuple(record["evidence"]), Usage(**record["usage"])
            yield Prediction(**{**record, "evidence": evidence, "usage": usage}), seconds
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RpobenchError(f"{file}: line {number} is no prediction ({error}): move the file away") from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a whole JSON file or nothing."""
    write_text(file, json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a whole file or nothing."""
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    """Write a whole file or nothing."""
    part = file.with_name(f"{file.name}.{uuid4().hex[:8]}.part")  # no other process writes to it
    with disk_faults(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb", buffering=0) as sink:
                _write_synced(sink.fileno(), content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def read_json(file: Path, *names: str) -> dict[str, Any]:
    """A JSON object from a file of the store, which holds these names at least."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RpobenchError(f"{file}: not readable as JSON ({error}): move its folder away") from error
    if not isinstance(content, dict):
        raise RpobenchError(f"{file}: holds no JSON object: move its folder away")
    for name in names:
        if name not in content:
            raise RpobenchError(f"{file}: lacks {name!r}: move its folder away")
    return content
