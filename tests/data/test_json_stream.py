"""Streaming a JSON array: what `json` would give, whatever the pieces; clear errors; the memory of one record."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpobench.data.official.json_stream import stream_records
from rpobench.types import RpobenchError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("records")
    return folder / "questions.json"


@given(
    content=st.lists(values, max_size=6),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_=st.booleans(),
)
def test_any_array_streams_as_json_reads_it(
    file: Path, content: list[Any], chunk: int, indent: int | None, ascii_: bool
) -> None:
    file.write_bytes(json.dumps(content, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass"))
    pieces = hashlib.sha256()

    assert list(stream_records(file, chunk=chunk, on_piece=pieces.update)) == content
    assert pieces.hexdigest() == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("chunk", range(1, 12))
def test_numbers_on_the_border_of_two_pieces_stay_whole(file: Path, chunk: int) -> None:
    file.write_text("[100.5, 12e3, -7, 1E+2, 3.0 , -0.25e-1,true,1234567]")
    assert list(stream_records(file, chunk=chunk)) == [100.5, 12e3, -7, 1e2, 3.0, -0.025, True, 1234567]


def test_what_other_parsers_change_stays(file: Path) -> None:
    file.write_text('\ufeff[{"a": "\\ud83d"}, 123456789012345678901234567890, NaN]', encoding="utf-8")
    first, second, third = stream_records(file, chunk=3)
    assert first == {"a": "\ud83d"} and second == 123456789012345678901234567890 and math.isnan(third)


BROKEN = {
    b'[{"a": 1}': "expected a comma or the list's end",
    b'[{"a": "x': "Unterminated string",
    b'[{"a": "x"}, ': "Expecting value",
    b'[{"a" 1}, {"b": "long enough to be no end of the file"}]': "Expecting ':' delimiter near character 6)",
    b'[{"a": 1} {"b": 2}]': "expected a comma",
    b"[1, ]": "Expecting value",
    b"[1e]": "expected a comma or the list's end near character 3)",
    b"[1] 2": "something follows the list",
    b"": "no value",
    b"  ": "no value",
    b'{"item": []}': "expected a list of questions",
    b" <!DOCTYPE html>": "is a web page",
    b'["ok", "\xff"]': "no UTF-8 at byte 8",
    b'["\xc3': "no UTF-8 at byte 2",
    b"[" * 100_000: "recursion",
    b"[" + b"1" * 5000 + b"]": "digits",
}


@pytest.mark.parametrize("content", BROKEN, ids=lambda content: repr(content[:24]))
@pytest.mark.parametrize("chunk", [4, 10_000])
def test_broken_files_are_named_with_the_place(file: Path, content: bytes, chunk: int) -> None:
    file.write_bytes(content)
    with pytest.raises(RpobenchError) as caught:
        list(stream_records(file, chunk=chunk))
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and BROKEN[content] in message and len(message.splitlines()) == 1


@given(content=st.binary(max_size=40), chunk=st.integers(1, 9))
def test_any_bytes_stream_or_are_refused(file: Path, content: bytes, chunk: int) -> None:
    file.write_bytes(content)
    try:
        records = list(stream_records(file, chunk=chunk))
    except RpobenchError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert repr(records) == repr(json.loads(content.decode("utf-8-sig")))


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match=r"none.json: No such file"):
        list(stream_records(tmp_path / "none.json"))


MEASURE = """
import sys, tracemalloc
from pathlib import Path
from rpobench.data.official.json_stream import stream_records
tracemalloc.start()
print(sum(1 for _ in stream_records(Path(sys.argv[1]), chunk=2**16)), tracemalloc.get_traced_memory()[1])
"""


def test_the_memory_is_that_of_a_record_and_not_of_the_file(file: Path) -> None:
    record = json.dumps({"text": "w" * 2000})
    file.write_text("[" + ",".join([record] * 5000) + "]")  # 10 MB
    done = subprocess.run([sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True)
    count, peak = map(int, done.stdout.split())
    assert count == 5000 and peak < 10**6
