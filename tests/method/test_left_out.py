"""Training goes on without what a model refused, and says so: in drafts, of the teacher, and in HYDRA."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rpobench.method.left_out import LeftOut
from rpobench.types import Completion, RpobenchError


def refused(*numbers: int) -> dict[str, Completion]:
    return {f"id-{number}": Completion("", failure="refused", permanent=True) for number in numbers}


def test_a_few_are_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = LeftOut()

    left_out.add("LaMP-3", refused(1, 2), 100, "drafts")
    left_out.add("LaMP-3", refused(1, 2), 100, "drafts")

    assert left_out.list_ids() == {"LaMP-3": ["id-1", "id-2"]}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("LaMP-3: 2 of 100 training examples are left out, the model gives them no answer")
    assert line.endswith(": 'id-1', 'id-2' (refused)")


def test_more_than_the_share_stop_with_their_ids() -> None:
    with pytest.raises(RpobenchError, match=r"6 of 100 .*--max-left-out 0.05 allows: 'id-0', .*'id-5' \(refused\)"):
        LeftOut().add("LaMP-3", refused(*range(6)), 100, "drafts")

    LeftOut(0.06).add("LaMP-3", refused(*range(6)), 100, "drafts")


def test_several_calls_add_up() -> None:
    left_out = LeftOut()
    left_out.add("LaMP-3", refused(1, 2, 3), 100, "drafts")

    with pytest.raises(RpobenchError, match="6 of 100"):
        left_out.add("LaMP-3", refused(4, 5, 6), 100, "texts of the teacher")


def test_what_may_still_be_answered_is_not_left_out() -> None:
    failed = {**refused(1), "id-2": Completion("", failure="out of order")}

    with pytest.raises(RpobenchError, match=r"1 of 100 training drafts have no answer \(out of order\)"):
        LeftOut().add("LaMP-3", failed, 100, "drafts")


def test_a_killed_fit_does_not_forget_them(tmp_path: Path) -> None:
    file = tmp_path / "left_out.json"
    LeftOut(file=file).add("LaMP-3", refused(1), 100, "texts of the teacher")

    assert json.loads(file.read_text()) == {"LaMP-3": {"id-1": "refused"}}
    assert LeftOut(file=file).list_ids() == {"LaMP-3": ["id-1"]}


def test_nothing_refused_leaves_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left_out = LeftOut(file=tmp_path / "left_out.json")

    left_out.add("LaMP-3", {}, 100, "drafts")

    assert left_out.list_ids() == {} and list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""
