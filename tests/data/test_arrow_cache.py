"""Large questions files: read once, then mapped; the same examples; nothing half-written, no licensed text."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from lamp_folder import write_split

from rpobench import get_task
from rpobench.data.dataset import find_shared_example
from rpobench.data.lazy_examples import LazyLabelled
from rpobench.data.official import arrow_cache, questions
from rpobench.data.official.folder import load_official, split_users
from rpobench.types import Example, RpobenchError

TASK = get_task("LaMP-3")


def record(key: int, **fields: Any) -> dict[str, Any]:
    items = [
        {
            "id": f"{key}-{position}",
            "text": f"grün {key // 3} {position} 😀",
            "score": str(1 + position),
            "date": f"201{position}",
        }
        for position in range(key % 4)
    ]
    return {"id": str(key), "input": f"{TASK.instruction}text {key}", "profile": items, **fields}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every file is large, batches are small, and the cache is the test's own."""
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(questions, "LARGE", 0)
    monkeypatch.setattr(arrow_cache, "BATCH_CHARACTERS", 100)
    return tmp_path / "cache" / "questions"


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


@pytest.mark.parametrize("fields", [{}, {"user_id": "u"}])
def test_mapped_examples_are_those_that_reading_gives(tmp_path: Path, cache: Path, fields: dict[str, str]) -> None:
    folder = write_split(tmp_path, [record(key, **fields) for key in range(30)])
    first, second = (load_official(TASK, folder, "dev") for _ in range(2))

    with pytest.MonkeyPatch.context() as small:
        small.setattr(questions, "LARGE", 2**40)
        whole = load_official(TASK, folder, "dev")
    assert isinstance(first.labelled, LazyLabelled) and isinstance(whole.labelled, tuple)
    assert tuple(first.labelled) == tuple(second.labelled) == whole.labelled
    assert first.users == second.users == whole.users == ("given" if fields else "inferred")
    assert second.sha256 == whole.sha256 and second.labelled[-1] == whole.labelled[-1]
    with pytest.raises(IndexError):
        second.labelled[30]

    if not fields:
        split, mapped = split_users(whole, 0.5, seed=0), split_users(second, 0.5, seed=0)
        assert [tuple(side.labelled) for side in mapped] == [side.labelled for side in split]
        assert all(isinstance(side.labelled, LazyLabelled) for side in mapped)


def test_a_file_is_read_once_and_its_sum_is_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_split(tmp_path, [record(key) for key in range(9)])
    file = folder / "LaMP_3" / "dev_questions.json"
    load_official(TASK, folder, "dev")
    (entry,) = entries(cache)
    about = json.loads((entry / "about.json").read_text())

    assert about["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest() and about["size"] == file.stat().st_size

    monkeypatch.setattr(arrow_cache, "stream_questions", lambda *given, **named: pytest.fail("read again"))
    monkeypatch.chdir(folder)

    assert len(load_official(TASK, Path("."), "dev").labelled) == 9


def test_only_what_is_asked_for_is_made(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, rows_read = write_split(tmp_path, [record(key) for key in range(20)]), []
    read_example = arrow_cache.CacheEntry.example

    def count_example(self: arrow_cache.CacheEntry, row: int) -> Example:
        rows_read.append(row)
        return read_example(self, row)

    monkeypatch.setattr(arrow_cache.CacheEntry, "example", count_example)
    data = load_official(TASK, folder, "dev", limit=5)
    train, _ = split_users(data, 0.5, seed=0)

    assert rows_read == [] and len(data.labelled) == 5 > len(train.labelled)
    assert [labelled.example.id for labelled in data.labelled[1:3]] == ["1", "2"] and rows_read == [1, 2]


def test_ids_targets_and_shared_examples_need_no_reading(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_split(tmp_path, [record(key) for key in range(6)])
    write_split(tmp_path, [record(key) for key in range(100, 106)], split="train")
    data, train = load_official(TASK, folder, "dev"), load_official(TASK, folder, "train")

    monkeypatch.setattr(arrow_cache.CacheEntry, "example", lambda *_: pytest.fail("an example was read"))

    assert data.ids == [str(key) for key in range(6)] and data.targets == ["5"] * 6
    assert find_shared_example(train, data) is None


def test_an_example_is_in_memory_once_and_only_while_it_is_used(tmp_path: Path, cache: Path) -> None:
    data = load_official(TASK, write_split(tmp_path, [record(key) for key in range(6)]), "dev")

    held = data.examples[2]
    again = data.labelled[2].example
    reference = weakref.ref(held)

    assert again is held
    del held, again
    assert reference() is None and data.examples[2].id == "2"


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_file_is_read_anew_and_its_old_entry_goes(tmp_path: Path, cache: Path, change: str) -> None:
    folder = write_split(tmp_path, [record(key) for key in range(3)])
    load_official(TASK, folder, "dev")
    (old,) = entries(cache)

    if change == "size":
        write_split(tmp_path, [record(key) for key in range(4)])
    else:
        os.utime(folder / "LaMP_3" / "dev_questions.json", ns=(1, 1))

    assert len(load_official(TASK, folder, "dev").labelled) == (4 if change == "size" else 3)

    (new,) = entries(cache)
    assert new != old


def test_a_broken_file_is_named_and_leaves_no_entry(tmp_path: Path, cache: Path) -> None:
    folder = write_split(tmp_path, [*(record(key) for key in range(8)), {"id": "8", "input": "x"}])
    with pytest.raises(RpobenchError, match=r"dev_questions.json: record 8: id '8': no list 'profile'"):
        load_official(TASK, folder, "dev")
    assert all(path.suffix == ".part" for path in entries(cache))

    write_split(tmp_path, [record(key) for key in range(8)])
    assert len(load_official(TASK, folder, "dev").labelled) == 8


KILLED = """
import os, signal, sys
from pathlib import Path
from rpobench import get_task
from rpobench.data.official import arrow_cache, questions
questions.LARGE, arrow_cache.BATCH_CHARACTERS = 0, 100
arrow_cache.SharedItems.find_users = lambda self: os.kill(os.getpid(), signal.SIGKILL)
questions.read_questions(get_task("LaMP-3"), Path(sys.argv[1]))
"""


def test_what_a_kill_left_is_not_read(tmp_path: Path, cache: Path) -> None:
    folder = write_split(tmp_path, [record(key) for key in range(8)])
    file = folder / "LaMP_3" / "dev_questions.json"

    assert subprocess.run([sys.executable, "-c", KILLED, str(file)]).returncode == -9

    (half,) = entries(cache)
    assert half.suffix == ".part" and (half / "examples.arrow").exists()
    assert len(load_official(TASK, folder, "dev").labelled) == 8
    assert [path.suffix for path in entries(cache)] == [""]


def test_a_damaged_entry_is_named(tmp_path: Path, cache: Path) -> None:
    folder = write_split(tmp_path, [record(key) for key in range(8)])
    load_official(TASK, folder, "dev")
    (entry,) = entries(cache)
    (entry / "examples.arrow").write_bytes(b"ARROW1")

    with pytest.raises(RpobenchError, match=r"is damaged .*: delete this folder"):
        load_official(TASK, folder, "dev")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, cache: Path) -> None:
    folder = write_split(tmp_path, [record(key) for key in range(8)])
    cache.parent.write_text("a file")
    with pytest.raises(RpobenchError, match=r"cannot keep dev_questions.json there .* set RPOBENCH_CACHE"):
        load_official(TASK, folder, "dev")


def test_licensed_texts_stay_beside_their_file(tmp_path: Path, cache: Path) -> None:
    mail = {"id": "1", "input": "x", "profile": [{"id": "2", "title": "secret", "text": "secret"}]}
    folder = write_split(tmp_path, [mail], name="LaMP_6")
    assert len(load_official(get_task("LaMP-6"), folder, "dev").labelled) == 1
    assert not cache.exists() and len(list((folder / "LaMP_6" / ".rpobench").glob("*/examples.arrow"))) == 1


MEASURED = """
import sys
from pathlib import Path
from rpobench import get_task
from rpobench.data.official import questions
questions.LARGE = 0
examples, _ = questions.read_questions(get_task("LaMP-3"), Path(sys.argv[1]))
# Not getrusage: what it says begins with the memory of the process that started this one.
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(len(examples), int(peak.split()[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.alone  # it measures memory
def test_a_first_load_needs_far_less_memory_than_the_file(tmp_path: Path, cache: Path) -> None:
    text = "a review of some words " * 100
    file = tmp_path / "questions.json"

    with file.open("w") as sink:
        for key in range(2000):
            items = [
                {"id": f"{key}-{position}", "text": f"{key} {position} {text}", "score": "3"} for position in range(100)
            ]
            sink.write(f"{',' if key else '['}{json.dumps(record(key) | {'profile': items})}")
        sink.write("]")

    assert file.stat().st_size > 400 * 2**20

    done = subprocess.run([sys.executable, "-c", MEASURED, str(file)], capture_output=True, text=True, check=True)
    count, peak = map(int, done.stdout.split())

    assert count == 2000 and peak < 400
