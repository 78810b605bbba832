"""Predictions in three forms score alike, and each form has its own clear fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench

from rpobench import score
from rpobench.scoring.official import read_answers
from rpobench.types import RpobenchError

OUTPUTS = {"1": "5", "2": "3"}
RECORDS = [{"id": example_id, "output": output} for example_id, output in OUTPUTS.items()]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)


def write(file: Path, content: str) -> Path:
    file.write_text(content)
    return file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("official.json", json.dumps({"task": "LaMP_3", "golds": RECORDS})),
        ("list.json", json.dumps(RECORDS)),
        ("object.json", json.dumps(OUTPUTS)),
        ("numbers.json", '{"1": 5, "2": 3.0}'),
        ("lines.jsonl", LINES),
        ("lines.txt", LINES),
        ("marked.jsonl", "\ufeff" + LINES.replace("\n", "\r\n\n")),
    ],
)
def test_every_form_of_predictions_is_read_alike(tmp_path: Path, name: str, content: str) -> None:
    assert read_answers("LaMP-3", "preds", write(tmp_path / name, content)) == OUTPUTS


@pytest.mark.parametrize("name", ["one.jsonl", "one.json"])
def test_a_single_line_is_one_record(tmp_path: Path, name: str) -> None:
    assert read_answers("LaMP-3", "preds", write(tmp_path / name, json.dumps(RECORDS[0]))) == {"1": "5"}


def test_an_object_in_memory_is_scored_too() -> None:
    assert score("LaMP-3", OUTPUTS, {"2": "3", "1": "4"})["MAE"] == 0.5


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("twice.json", '{"1": "5", "1": "4"}', "id '1' stands twice, keep one"),
        ("twice.jsonl", LINES + LINES, "record 2: id '1' stands twice, keep one"),
        ("broken.jsonl", LINES + '{"id": "3"', "broken.jsonl: line 3: broken or truncated JSON"),
        ("list.json", '{"1": ["5"]}', "record 0: id '1': no text 'output'"),
        ("null.json", '{"1": null}', "record 0: id '1': no text 'output'"),
        ("words.jsonl", '{"id": "1", "prediction": "5"}\n', "record 0: id '1': no text 'output'"),
        ("bare.jsonl", '"5"\n', "record 0: expected an object with 'id' and 'output'"),
        ("other.json", json.dumps({"task": "LaMP_2", "golds": RECORDS}), "is for task 'LaMP_2'"),
        ("none.jsonl", None, "No such file"),
    ],
)
def test_a_faulty_form_is_named_in_one_line(tmp_path: Path, name: str, content: Any, fault: str) -> None:
    if content is not None:
        write(tmp_path / name, content)

    with pytest.raises(RpobenchError) as error:
        read_answers("LaMP-3", "preds", tmp_path / name)

    assert name in str(error.value) and fault in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_extra_says_where_it_adds_nothing(tmp_path: Path, as_json: list[str]) -> None:
    golds = write(tmp_path / "golds.json", json.dumps(OUTPUTS))

    rated = run_rpobench("score", "--task", "LaMP-3", "--golds", golds, "--preds", golds, "--extra", *as_json)
    titled = run_rpobench("score", "--task", "LaMP-4", "--golds", golds, "--preds", golds, "--extra", *as_json)

    assert rated.stderr == "note: LaMP-3: --extra adds nothing to the MAE and RMSE of a rating task\n"
    assert "METEOR" in titled.stdout and titled.stderr == ""
