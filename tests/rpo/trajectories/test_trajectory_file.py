"""The file of trajectories: written, edited, read again, and refused where it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from training_jobs import TWEET

from rpobench.method.left_out import LeftOut
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Trajectory
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.rpo.trajectories.file import read_trajectories, store_trajectories
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.rpo.trajectories.writer import TrajectoryWriter
from rpobench.rpo.writers import get_writer
from rpobench.types import Example, ProfileItem, RpobenchError

EVIDENCE = (ProfileItem("1", {"text": "ok so the sun is up", "score": "4"}),)
BY_HAND = Trajectory("a", "b", "c")


def make_row(example_id: str, text: str = "lunch was good") -> TrainingRow:
    return TrainingRow(
        TWEET, Example(example_id, "u", text), "ok so lunch was really great", "The lunch was good", EVIDENCE
    )


def open_writer(file: Path) -> TrajectoryWriter:
    return get_writer(RPOConfig(trajectories=str(file)), file.parent, seed=0, left_out=LeftOut())


def name_in_spec(file: Path) -> str:
    return str(RPOConfig(trajectories=str(file)).model_dump(mode="json")["trajectories"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.jsonl"


def test_a_file_gives_the_same_trajectories_and_takes_edits(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [make_row("1"), make_row("2")]
    by_rules = RuleWriter().write(rows)
    store_trajectories(file, [Demonstration(*pair) for pair in zip(rows, by_rules, strict=True)])
    writer = open_writer(file)
    assert writer.write(rows) == by_rules
    name_before = name_in_spec(file)

    edited = json.loads(file.read_text().splitlines()[0]) | {"shows": "by hand"}
    file.write_text(json.dumps(edited) + "\n")
    trajectories = writer.write(rows)

    assert (trajectories[0].shows, trajectories[1]) == ("by hand", by_rules[1])
    assert "1 of 2 training examples are not in it" in capsys.readouterr().err
    assert name_before.startswith("sha256:") and name_before != name_in_spec(file), "a spec must name the content"


LINE = {"task": "a", "example": "b", "shows": "", "lacks": "", "rewrite": ""}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"task": "LaMP-7"}',
        json.dumps({**LINE, "shows": 1}),
        json.dumps({**LINE, "draft": 5}),
    ],
)
def test_a_line_that_is_no_trajectory_is_named(file: Path, line: str) -> None:
    file.write_text(f"\n{line}\n")

    with pytest.raises(RpobenchError, match=r"t\.jsonl:2: must be a JSON object"):
        read_trajectories(file)
    with pytest.raises(RpobenchError, match=r"t\.jsonl:2"):
        RPOConfig(trajectories=str(file))  # at once, not after an hour of drafts


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(RpobenchError, match=r"t\.jsonl: is no text in UTF-8"):
        read_trajectories(file)


def test_the_same_id_in_another_world_is_another_example(file: Path) -> None:
    row = make_row("1")
    store_trajectories(file, [Demonstration(row, BY_HAND)])

    with pytest.raises(RpobenchError, match="other data"):
        open_writer(file).write([make_row("1", "another tweet")])


def test_a_line_without_a_hash_meets_its_row_by_id(file: Path) -> None:
    row = make_row("1")
    store_trajectories(file, [Demonstration(row, BY_HAND)])
    record = json.loads(file.read_text())
    del record["input"]
    file.write_text(json.dumps(record) + "\n")  # by hand, or of an earlier version

    assert open_writer(file).write([row]) == [BY_HAND]


def test_a_file_of_other_data_is_refused(file: Path) -> None:
    store_trajectories(file, [Demonstration(make_row("other"), BY_HAND)])

    with pytest.raises(RpobenchError, match="other data"):
        open_writer(file).write([make_row("1")])


def test_an_empty_file_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")

    with pytest.raises(RpobenchError, match=r"empty\.jsonl: holds no trajectory"):
        RPOConfig(trajectories=str(tmp_path / "empty.jsonl"))
    with pytest.raises(ValidationError, match="no such file"):
        RPOConfig(trajectories=str(tmp_path / "none"))


def test_a_spec_reads_back_where_the_file_is_not(file: Path) -> None:
    store_trajectories(file, [Demonstration(make_row("other"), BY_HAND)])

    knobs = RPOConfig(trajectories=str(file)).model_dump(mode="json")

    assert RPOConfig(**knobs).model_dump(mode="json") == knobs
    with pytest.raises(RpobenchError, match="by its path"):  # before anything is drafted for it
        get_writer(RPOConfig(**knobs), file.parent, seed=0, left_out=LeftOut())
