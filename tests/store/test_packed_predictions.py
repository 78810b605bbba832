"""Predictions of one run as a gzip file: what comes back from it, and what it refuses."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from stored_runs import make_predictions

from rpobench.store import predictions
from rpobench.store.predictions import append_predictions, packed_path, read_predictions, read_seconds
from rpobench.types import RpobenchError


@pytest.mark.parametrize("killed", [False, True])
def test_more_predictions_of_a_zipped_run_lose_none(tmp_path: Path, killed: bool) -> None:
    file = tmp_path / "predictions.jsonl"
    append_predictions(file, make_predictions("1", "2"), seconds=4.0)
    packed_path(file).write_bytes(predictions.pack_lines(file))
    if killed:
        file.write_bytes(b"")  # in the middle of unpacking
    else:
        file.unlink()

    assert len(read_predictions(file)) == 2

    append_predictions(file, make_predictions("3"))

    assert read_seconds(file) == {"1": 2.0, "2": 2.0, "3": 0.0}
    assert not packed_path(file).exists()


def test_predictions_that_could_not_be_read_back_are_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MAX_UNPACKED_BYTES", 10)
    (tmp_path / "predictions.jsonl").write_bytes(b" " * 11)

    with pytest.raises(RpobenchError, match="too large to be packed"):
        predictions.pack_lines(tmp_path / "predictions.jsonl")


@pytest.mark.parametrize(
    "broken",
    [gzip.compress(b"{}\n"), b"no gzip", gzip.compress(b"{}" * 999)[:-9], gzip.compress(b" " * 200_000)],
    ids=["not a prediction", "no gzip", "cut off", "too large"],
)
def test_a_packed_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    monkeypatch.setattr(predictions, "MAX_UNPACKED_BYTES", 100_000)
    (tmp_path / "predictions.jsonl.gz").write_bytes(broken)

    with pytest.raises(RpobenchError, match=r"predictions\.jsonl\.gz: (line 1 is no|not readable|over 100000 bytes)"):
        read_predictions(tmp_path / "predictions.jsonl")
