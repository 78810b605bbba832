"""The folder of what is learned of a user: whole or not there, made once, and named by all that is in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from rpobench.method.per_user import PartKey, keep_part, name_part
from rpobench.store.recorded import recorded_profile
from rpobench.types import ProfileItem

KEY = PartKey("key", "recorded")


def test_a_broken_attempt_leaves_no_part(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_part(tmp_path, KEY, fail)
    assert not (tmp_path / "key").exists() and (tmp_path / "key.part" / "half").exists()

    part = keep_part(tmp_path, KEY, lambda folder: (folder / "whole").write_text("x") and None)
    assert [path.name for path in part.iterdir()] == ["whole"]


def test_of_several_at_once_the_first_learns_a_part(tmp_path: Path) -> None:
    folders = []

    def learn(folder: Path) -> None:
        folders.append(folder)
        (folder / "whole").write_text("x")

    with ThreadPoolExecutor(4) as pool:
        parts = set(pool.map(lambda _: keep_part(tmp_path, KEY, learn), range(8)))

    assert parts == {tmp_path / "key"} and len(folders) == 1


def test_another_item_or_order_is_another_name() -> None:
    first, second = ProfileItem("1", {"text": "a", "tag": "b"}, date(2020, 1, 1)), ProfileItem("2", {"text": "c"})
    same = ProfileItem("1", {"tag": "b", "text": "a"}, date(2020, 1, 1))
    profiles = [
        (first, second), (second, first), (first,), (ProfileItem("3", first.fields, first.date), second),
        (ProfileItem("1", {"text": "a", "tag": "d"}, first.date), second), (ProfileItem("1", first.fields), second),
    ]  # fmt: skip
    keys = [name_part(["model", profile], recorded_profile(profile)) for profile in profiles]

    assert len({key.name for key in keys}) == len({key.recorded for key in keys}) == len(keys)
    assert name_part(["model", (same, second)], recorded_profile((same, second))) == keys[0]
    assert name_part(["other model", profiles[0]], "").name not in {key.name for key in keys}


def test_a_part_that_version_0_1_learned_is_used(tmp_path: Path) -> None:
    (tmp_path / "recorded").mkdir()

    part = keep_part(tmp_path, KEY, lambda folder: pytest.fail("it was learned before"))

    assert part == tmp_path / "recorded"
