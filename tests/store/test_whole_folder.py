"""Folders that are filled aside and then put in place: complete or absent, whatever ends the process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpobench.store.whole_folder import fill_once, whole_folder


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"

    with whole_folder(folder) as aside:
        (aside / "first").write_text("1")
        is_early = folder.exists()
        (aside / "second").write_text("2")

    assert not is_early
    assert sorted(file.name for file in folder.iterdir()) == ["first", "second"]
    assert list(folder.parent.iterdir()) == [folder], "nothing stays aside"


def test_a_kill_leaves_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    with pytest.raises(KeyboardInterrupt), whole_folder(folder) as aside:
        (aside / "partial").write_text("1")
        raise KeyboardInterrupt

    assert not folder.exists()


def test_the_next_attempt_starts_empty(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with pytest.raises(KeyboardInterrupt), whole_folder(folder) as aside:
        (aside / "partial").write_text("1")
        raise KeyboardInterrupt

    with whole_folder(folder) as aside:
        assert list(aside.iterdir()) == []
        (aside / "complete").write_text("2")

    assert [file.name for file in folder.iterdir()] == ["complete"]


def test_many_processes_fill_a_folder_once(tmp_path: Path) -> None:
    calls = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "file").write_text("1")

    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fill_once(tmp_path / "folder", fill), range(8)))

    assert folders == {tmp_path / "folder"}
    assert len(calls) == 1


def test_a_folder_that_stands_is_not_filled_again(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    folder = fill_once(tmp_path / "folder", lambda aside: pytest.fail("it stands already"))

    assert folder == tmp_path / "folder"
