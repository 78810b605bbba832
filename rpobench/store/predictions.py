"""Files of predictions: `predictions.jsonl`, to which lines are appended, and its compressed form.

Earlier versions of `rpobench pack` left `predictions.jsonl.gz` in a run's folder. Such a file is read like the plain
one, and unpacked by the next append.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rpobench.store.files import MAX_UNPACKED_BYTES, UNREADABLE_ZIP, disk_faults, write_bytes, write_synced
from rpobench.types import Prediction, RpobenchError, Usage

PACKED_SUFFIX = ".gz"
KEPT_FIELD = "kept"  # what `Prediction.draft_kept` is called in the file
TRUE_ONLY_FIELDS = ("permanent", "truncated")  # written only where they are true


def append_predictions(file: Path, predictions: Sequence[Prediction], *, seconds: float = 0.0) -> None:
    """Append finished predictions; they are on the disk when this returns.

    Args:
        file: Where they go. It is made if need be, and unpacked if it was packed.
        predictions: What was finished.
        seconds: What all of them took together; each is charged an equal share.

    Raises:
        RpobenchError: The disk is full or cannot be written.
    """
    share = round(seconds / max(len(predictions), 1), 6)
    records = [_make_record(prediction, share) for prediction in predictions]
    lines = "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in records)

    with disk_faults(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        _unpack(file)
        _cut_torn_line(file)

        with file.open("ab", buffering=0) as sink:
            write_synced(sink.fileno(), lines.encode())


def read_predictions(file: Path) -> dict[str, Prediction]:
    """Read the complete predictions in a file, or in its packed form.

    Args:
        file: The plain file, whichever of the two is there.

    Returns:
        The predictions by example id; empty where there is no file. Of several for one example the last counts.

    Raises:
        RpobenchError: A line is damaged. A line that a kill tore at the end is passed over.
    """
    return {prediction.example_id: prediction for prediction, _ in _parse_lines(file)}


def read_seconds(file: Path) -> dict[str, float]:
    """Read how long each complete prediction in a file took, by example id; see `read_predictions`."""
    return {prediction.example_id: seconds for prediction, seconds in _parse_lines(file)}


def packed_path(file: Path) -> Path:
    """Where a file of predictions lies when it is packed."""
    return file.with_name(file.name + PACKED_SUFFIX)


def pack_lines(file: Path) -> bytes:
    """Compress a file of predictions.

    Args:
        file: The plain file.

    Returns:
        The content of the packed file; equal files give equal bytes.

    Raises:
        RpobenchError: The file is too large to be read back.
    """
    content = file.read_bytes()
    if len(content) > MAX_UNPACKED_BYTES:
        raise RpobenchError(f"{file}: over {MAX_UNPACKED_BYTES} bytes, too large to be packed")

    return gzip.compress(content, compresslevel=9, mtime=0)


def _make_record(prediction: Prediction, seconds: float) -> dict[str, Any]:
    """Make the JSON object of a prediction's line."""
    record = asdict(prediction)

    draft_kept = record.pop("draft_kept")
    if draft_kept is not None:  # most methods have no gate
        record[KEPT_FIELD] = draft_kept
    for name in TRUE_ONLY_FIELDS:
        if not record[name]:
            del record[name]

    return {**record, "seconds": seconds}


def _cut_torn_line(file: Path) -> None:
    if not file.exists():
        return

    with file.open("rb+") as lines:
        content = lines.read()
        end_of_last_line = content.rfind(b"\n") + 1
        if end_of_last_line < len(content):
            lines.truncate(end_of_last_line)


def _unpack(file: Path) -> None:
    packed_file = packed_path(file)
    if packed_file.exists():
        write_bytes(file, _read_content(packed_file))
        packed_file.unlink()


def _read_content(file: Path) -> bytes:
    """The bytes of a file of lines, unpacked; nothing where there is none."""
    if not file.exists():
        return b""
    if file.suffix != PACKED_SUFFIX:
        return file.read_bytes()

    try:
        with gzip.open(file) as zipped:
            content = zipped.read(MAX_UNPACKED_BYTES + 1)
    except UNREADABLE_ZIP as error:
        raise RpobenchError(f"{file}: not readable as gzip ({error}): move its folder away") from error

    if len(content) > MAX_UNPACKED_BYTES:
        raise RpobenchError(
            f"{file}: over {MAX_UNPACKED_BYTES} bytes unpacked, which no run needs: move its folder away"
        )
    return content


def read_records(file: Path) -> Iterator[Any]:
    """Read the complete lines of a file of predictions, or of its packed form, as JSON.

    Args:
        file: The plain file, whichever of the two is there.

    Yields:
        What `json.loads` returns for each line; it need not be a prediction.

    Raises:
        RpobenchError: A line is no JSON. A line that a kill tore at the end is passed over.
    """
    # Where both stand, a kill came in the middle of unpacking, so the plain file may be incomplete.
    packed_file = packed_path(file)
    if packed_file.exists():
        file = packed_file

    content = _read_content(file)
    complete_lines = content[: content.rfind(b"\n") + 1].splitlines()

    for number, line in enumerate(complete_lines, start=1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RpobenchError(f"{file}: line {number} is no prediction ({error}): move the file away") from error


def parse_record(record: Any, source: Path | str, number: int) -> tuple[Prediction, float]:
    """Read one line of a file of predictions.

    Args:
        record: What `json.loads` returned.
        source: The file, for the error.
        number: The line's number, for the error.

    Returns:
        The prediction, and the seconds that it took.

    Raises:
        RpobenchError: It is no prediction.
    """
    try:
        fields = dict(record)
        seconds = float(fields.pop("seconds", 0))
        fields["draft_kept"] = fields.pop(KEPT_FIELD, None)
        fields["evidence"] = tuple(fields["evidence"])
        fields["usage"] = Usage(**fields["usage"])
        prediction = Prediction(**fields)
        _check_texts(prediction)
        return prediction, seconds
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RpobenchError(f"{source}: line {number} is no prediction ({error}): move the file away") from error


def _check_texts(prediction: Prediction) -> None:
    """Raise TypeError where something that must be text is none."""
    texts = {"example_id": prediction.example_id, "text": prediction.text, "raw": prediction.raw}
    optional_texts = {
        "draft": prediction.draft,
        "failure": prediction.failure,
        "trajectory": prediction.trajectory,
    }
    texts |= {name: text for name, text in optional_texts.items() if text is not None}

    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{name} {text!r} is no text")
    for item_id in prediction.evidence:
        if not isinstance(item_id, str):
            raise TypeError(f"evidence {item_id!r} is no text")


def _parse_lines(file: Path) -> Iterator[tuple[Prediction, float]]:
    """Each complete prediction with the seconds that it took."""
    packed_file = packed_path(file)
    source = packed_file if packed_file.exists() else file

    for number, record in enumerate(read_records(file), start=1):
        yield parse_record(record, source, number)
