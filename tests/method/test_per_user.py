"""The folder of what is learned of a user: whole or not there, made once, and named by all that is in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from rpobench.method.per_user import content_key, kept, profile_content
from rpobench.types import ProfileItem


def test_what_a_broken_attempt_left_is_never_met(tmp_path: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, "key", breaks)
    assert not (tmp_path / "key").exists() and (tmp_path / "key.part" / "half").exists()
    place = kept(tmp_path, "key", lambda folder: (folder / "whole").write_text("x") and None)
    assert [path.name for path in place.iterdir()] == ["whole"]


def test_it_is_made_once_by_whoever_comes_first(tmp_path: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "whole").write_text("x")

    with ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: kept(tmp_path, "key", make), range(8)))
    assert places == {tmp_path / "key"} and len(made) == 1


def test_every_part_of_an_item_and_the_order_of_items_make_another_name() -> None:
    first, second = ProfileItem("1", {"text": "a", "tag": "b"}, date(2020, 1, 1)), ProfileItem("2", {"text": "c"})
    same = ProfileItem("1", {"tag": "b", "text": "a"}, date(2020, 1, 1))
    profiles = [
        (first, second), (second, first), (first,), (ProfileItem("3", first.fields, first.date), second),
        (ProfileItem("1", {"text": "a", "tag": "d"}, first.date), second), (ProfileItem("1", first.fields), second),
    ]  # fmt: skip
    keys = [content_key("model", profile_content(profile)) for profile in profiles]
    assert len(set(keys)) == len(keys)
    assert content_key("model", profile_content((same, second))) == keys[0]
    assert content_key("other model", profile_content(profiles[0])) not in keys
