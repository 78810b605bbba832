"""Files of predictions: appended line by line, read whole, packed and unpacked."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rpobench.store.files import UNPACKED, UNREADABLE_ZIP, _write_synced, disk_faults, write_bytes
from rpobench.types import Prediction, RpobenchError, Usage

PACKED = ".gz"
KEPT = "kept"  # what `Prediction.draft_kept` is called in the file


def append_predictions(file: Path, predictions: Sequence[Prediction], *, seconds: float = 0.0) -> None:
    """Append finished predictions; they are on the disk when this returns. `seconds` is what all of them took."""
    share = round(seconds / max(len(predictions), 1), 6)
    records = [_record(prediction, share) for prediction in predictions]
    lines = "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in records)
    with disk_faults(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        _unpack(file)
        _cut_torn_line(file)
        with file.open("ab", buffering=0) as sink:
            _write_synced(sink.fileno(), lines.encode())


def _record(prediction: Prediction, seconds: float) -> dict[str, Any]:
    """A prediction as a line of the file."""
    record = asdict(prediction)

    draft_kept = record.pop("draft_kept")
    if draft_kept is not None:  # most methods have no gate
        record[KEPT] = draft_kept

    return {**record, "seconds": seconds}


def _cut_torn_line(file: Path) -> None:
    if not file.exists():
        return
    with file.open("rb+") as lines:
        content = lines.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            lines.truncate(whole)


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
            draft_kept = record.pop(KEPT, None)
            yield Prediction(**{**record, "evidence": evidence, "usage": usage, "draft_kept": draft_kept}), seconds
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RpobenchError(f"{file}: line {number} is no prediction ({error}): move the file away") from error
