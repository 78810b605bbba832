"""One rule for numbers: 5, 5.0, "5" and "5.0" are the same rating and the same id, wherever they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from lamp_folder import write_split

from rpobench import get_task, score
from rpobench.data.official.folder import load_official
from rpobench.data.official.records import parse_gold, parse_question
from rpobench.data.official.writer import write_official
from rpobench.data.synth.world import generate
from rpobench.scoring.official import score_extra

SPELLINGS = [5, 5.0, "5", "5.0", " 5.00 "]
IDS = [12, 12.0, "12", "12.0"]
LAMP_3 = get_task("LaMP-3")


def make_question(**changes: Any) -> dict[str, Any]:
    item = {"id": "7", "text": "a book", "score": "4"}
    return {"id": "12", "user_id": "3", "input": "review: good", "profile": [item], **changes}


@pytest.mark.parametrize("gold", SPELLINGS)
@pytest.mark.parametrize("pred", SPELLINGS)
def test_a_rating_is_the_same_in_golds_and_predictions(gold: Any, pred: Any) -> None:
    golds, preds = [{"id": "1", "output": gold}], [{"id": "1", "output": pred}]

    assert score("LaMP-3", golds, preds) == {"MAE": 0.0, "RMSE": 0.0}
    assert score_extra("LaMP-3", golds, preds) == score_extra("LaMP-3", golds, golds)


@pytest.mark.parametrize("rating", SPELLINGS)
def test_a_rating_is_the_same_in_data(rating: Any, tmp_path: Path) -> None:
    questions = [make_question(profile=[{"id": 7.0, "text": "a", "score": rating}])]

    folder = write_split(tmp_path, questions, {"task": "LaMP_3", "golds": [{"id": 12.0, "output": rating}]})
    (labelled,) = load_official(LAMP_3, folder, "dev").labelled

    assert (labelled.target, labelled.example.profile[0].fields["score"]) == ("5", "5")


@pytest.mark.parametrize("gold_id", IDS)
@pytest.mark.parametrize("pred_id", IDS)
def test_an_id_is_the_same_in_golds_and_predictions(gold_id: Any, pred_id: Any) -> None:
    golds, preds = [{"id": gold_id, "output": "5"}], [{"id": pred_id, "output": "4"}]

    assert score("LaMP-3", golds, preds)["MAE"] == 1


@pytest.mark.parametrize("spelling", IDS)
def test_ids_of_examples_users_and_items_are_the_same(spelling: Any) -> None:
    item = {"id": spelling, "text": "a", "score": "4"}

    example, faults = parse_question(LAMP_3, make_question(id=spelling, user_id=spelling, profile=[item]), "here")

    assert not faults and example
    assert (example.id, example.user_id, example.profile[0].id) == ("12", "12", "12")


@pytest.mark.parametrize("text", ["1.10", "007", "1.5", "12.0a", "v2.0", "-"])
def test_other_ids_stay_as_they_are(text: str) -> None:
    example, _ = parse_question(LAMP_3, make_question(id=text), "here")

    assert example and example.id == text


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ({"id": 1.5, "output": "5"}, "here: no text 'id' but 1.5: a text or a whole number is wanted"),
        ({"id": True, "output": "5"}, "here: no text 'id' but true: a text or a whole number is wanted"),
        ({"id": "1", "output": [5]}, "here: id '1': no text 'output' but [5]: a text or a number is wanted"),
        ({"id": "1"}, "here: id '1': no text 'output'"),
    ],
)
def test_a_fault_says_what_stands_there_and_what_is_wanted(record: dict[str, Any], fault: str) -> None:
    assert parse_gold(record, "here") == (None, [fault])


def test_titles_keep_their_numbers() -> None:
    golds, preds = [{"id": "1", "output": "5.0"}], [{"id": "1", "output": "5"}]

    assert score("LaMP-4", golds, preds)["rouge-1"] < 1


def test_an_import_takes_numbers_as_they_come(tmp_path: Path) -> None:
    data = generate("LaMP-3", "dev", 4)
    preds = [{"id": labelled.example.id, "output": float(labelled.target)} for labelled in data.labelled]
    (tmp_path / "preds.json").write_text(json.dumps({"task": "LaMP_3", "golds": preds}))

    options = ("--preds", tmp_path / "preds.json", "--name", "theirs", "--out", tmp_path / "runs")
    done = run_rpobench("import", "--task", "LaMP-3", *options)

    folder = Path(done.stdout.strip())
    assert json.loads((folder / "result.json").read_text())["strict"]["MAE"] == 0
    assert '"text": "' + data.labelled[0].target + '"' in (folder / "predictions.jsonl").read_text().splitlines()[0]
    assert run_rpobench("check", tmp_path / "runs").returncode == 0


UNSEEN = "2 of 3 {} hold no letter a-z and no digit, such as '雨が降る': ROUGE sees nothing in them and scores 0"


def write_outputs(file: Path, *texts: str) -> Path:
    golds = [{"id": str(number), "output": text} for number, text in enumerate(texts)]
    file.write_text(json.dumps({"task": "LaMP_4", "golds": golds}))
    return file


def test_score_warns_of_texts_that_rouge_cannot_see(tmp_path: Path) -> None:
    golds = write_outputs(tmp_path / "golds.json", "雨が降る", "Дождь", "Rain")
    preds = write_outputs(tmp_path / "preds.json", "It rains", "", "È")

    done = run_rpobench("score", "--task", "LaMP-4", "--golds", golds, "--preds", preds, "--json")

    assert done.returncode == 0 and set(json.loads(done.stdout)) == {"rouge-1", "rouge-L"}
    assert f"warning: LaMP-4: {UNSEEN.format('golds')}" in done.stderr
    assert "warning: LaMP-4: 1 of 3 preds hold no letter a-z" in done.stderr
    assert "warning" not in run_rpobench("score", "--task", "LaMP-4", "--golds", preds, "--preds", preds).stdout


def test_data_check_warns_of_targets_that_rouge_cannot_see(tmp_path: Path) -> None:
    write_official(generate("LaMP-4", "dev", 3), tmp_path)
    outputs_file = tmp_path / "LaMP_4" / "dev_outputs.json"
    outputs = json.loads(outputs_file.read_text())
    for gold, text in zip(outputs["golds"], ("雨が降る", "Дождь", "Rain"), strict=True):
        gold["output"] = text
    outputs_file.write_text(json.dumps(outputs))

    done = run_rpobench("data", "check", tmp_path, "--task", "LaMP-4")

    assert done.returncode == 0
    assert f"warning: {outputs_file}: {UNSEEN.format('targets')}" in done.stdout
