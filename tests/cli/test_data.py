"""`rpobench data`: every seeded defect is found and none in a clean folder; figures; rankings; prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from paths import GOLDEN
from typer.testing import CliRunner

from rpobench import get_task
from rpobench.cli.data import app
from rpobench.data.official.defects import find_defects
from rpobench.data.official.folder import MissingData, load_official
from rpobench.data.official.split_statistics import describe_split
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.types import RpobenchError

OFFICIAL = json.loads((GOLDEN / "retrieval_and_prompts.json").read_text())
ANSWERS = {"LaMP-1": "[1]", "LaMP-2": "classic", "LaMP-2N": "crime", "LaMP-3": "3"}


def clean(folder: Path, name: str = "LaMP-2", count: int = 3) -> Path:
    """Golden questions of a task in an official folder, with targets that no profile holds."""
    cases = [case for case in OFFICIAL if case["task"] == name][:count]
    questions = [
        {"id": str(110 + place), "input": case["input"], "profile": case["profile"]} for place, case in enumerate(cases)
    ]
    golds = [{"id": one["id"], "output": ANSWERS.get(name, f"words of {one['id']}")} for one in questions]
    place = folder / name.replace("-", "_")
    place.mkdir()
    write(place / "dev_questions.json", questions)
    write(place / "dev_outputs.json", {"task": name.replace("-", "_"), "golds": golds})
    return folder


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("name", [f"LaMP-{number}" for number in (*range(1, 8), "2N")])
def test_a_clean_folder_has_no_defect(tmp_path: Path, name: str) -> None:
    assert find_defects(clean(tmp_path, name), [get_task(name)]) == []


Records = list[dict[str, Any]]
SEEDED: dict[str, tuple[Callable[[Records, Records], Any], str]] = {
    "a missing field": (lambda q, g: q[1].pop("input"), "error dev_questions.json 1 no text 'input'"),
    "an item's missing field": (lambda q, g: q[2]["profile"][2].pop("tag"), "error dev_questions.json 2 no text 'tag'"),
    "a wrong type": (lambda q, g: q[0].update(profile="x"), "error dev_questions.json 0 no list 'profile'"),
    "a twin": (lambda q, g: q.append(q[0]), "error dev_questions.json 3 id '110' stands twice"),
    "a twin gold": (lambda q, g: g.append(g[1]), "error dev_outputs.json 3 id '111' stands twice"),
    "an empty profile": (lambda q, g: q[2].update(profile=[]), "warning dev_questions.json 2 the profile is empty"),
    "an unknown label": (lambda q, g: g[1].update(output="horror"), "error dev_outputs.json 1 unknown label 'horror'"),
    "no instruction": (lambda q, g: q[0].update(input="Robots."), "warning dev_questions.json 0 malformed input"),
    "no content": (
        lambda q, g: q[0].update(input=q[0]["input"].split("description:")[0] + "description: "),
        "warning dev_questions.json 0 malformed input: nothing follows",
    ),
    "an empty input": (lambda q, g: q[0].update(input=" "), "error dev_questions.json 0 the input is empty"),
    "a gold without question": (lambda q, g: q.pop(), "error dev_outputs.json 2 id '112': has no partner"),
    "a question without gold": (lambda q, g: g.pop(0), "error dev_questions.json 0 id '110': has no partner"),
    "an answer in the profile": (
        lambda q, g: q[2]["profile"][1].update(description=q[2]["input"].split("description: ")[1]),
        "warning dev_outputs.json 2 the user's own profile holds this answer",
    ),
    "an item twice": (
        lambda q, g: q[1]["profile"].append(q[1]["profile"][0]),
        "warning dev_questions.json 1 profile item",
    ),
    "an item without a label": (
        lambda q, g: q[1]["profile"][0].update(tag=" "),
        "error dev_questions.json 1 id '111': profile item 0: 'tag' is empty",
    ),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_defect_is_found_and_nothing_else(tmp_path: Path, name: str) -> None:
    change, expected = SEEDED[name]
    place = clean(tmp_path) / "LaMP_2"
    questions = json.loads((place / "dev_questions.json").read_text())
    outputs = json.loads((place / "dev_outputs.json").read_text())
    change(questions, outputs["golds"])
    write(place / "dev_questions.json", questions)
    write(place / "dev_outputs.json", outputs)
    level, file, record, what = expected.split(maxsplit=3)
    (found,) = find_defects(tmp_path, [get_task("LaMP-2")])
    assert (found.level, Path(found.file).name, str(found.record)) == (level, file, record) and what in found.what
    if level == "error":
        with pytest.raises(RpobenchError):
            load_official(get_task("LaMP-2"), tmp_path, "dev")
    else:
        load_official(get_task("LaMP-2"), tmp_path, "dev")


def test_an_item_without_text_and_one_without_an_answer_are_warnings_where_answers_are_texts(tmp_path: Path) -> None:
    place = clean(tmp_path, "LaMP-4") / "LaMP_4"
    questions = json.loads((place / "dev_questions.json").read_text())
    questions[1]["profile"][0].update(text="", title=" ")
    questions[2]["profile"][0].update(title="")
    write(place / "dev_questions.json", questions)
    found = [(one.level, one.record, one.what.split(": ")[1]) for one in find_defects(tmp_path, [get_task("LaMP-4")])]
    assert found == [("warning", 1, "a profile item holds no text"), ("warning", 2, "a profile item has no 'title'")]
    load_official(get_task("LaMP-4"), tmp_path, "dev")


@pytest.mark.parametrize("score", ["great", "", "nan", "4/5"])
def test_a_rating_in_a_profile_that_is_no_number_is_an_error(tmp_path: Path, score: str) -> None:
    place = clean(tmp_path, "LaMP-3") / "LaMP_3"
    questions = json.loads((place / "dev_questions.json").read_text())
    questions[1]["profile"][0]["score"] = score
    write(place / "dev_questions.json", questions)
    (found,) = find_defects(tmp_path, [get_task("LaMP-3")])
    assert (found.level, found.record) == ("error", 1) and "id '111': profile item 0: 'score' is" in found.what
    with pytest.raises(RpobenchError, match=r"dev_questions.json: record 1: id '111': profile item 0: 'score' is"):
        load_official(get_task("LaMP-3"), tmp_path, "dev")


def test_all_defects_are_named_and_not_the_first_alone(tmp_path: Path) -> None:
    place = clean(tmp_path, "LaMP-4") / "LaMP_4"
    questions = json.loads((place / "dev_questions.json").read_text())
    for one in questions:
        del one["profile"][0]["title"]
    write(place / "dev_questions.json", questions)
    assert [defect.record for defect in find_defects(tmp_path, [get_task("LaMP-4")])] == [0, 1, 2]


def test_one_defect_hides_no_other(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    questions = json.loads((place / "dev_questions.json").read_text())
    outputs = json.loads((place / "dev_outputs.json").read_text())
    item = questions[0]["profile"][0]
    untagged = {name: value for name, value in item.items() if name != "tag"}
    questions[0]["profile"] = [untagged, {**item, "date": "May", "description": 1.5}, "text"]
    del questions[0]["input"]
    questions.append("text")
    outputs["golds"] = [
        {"id": "110", "output": None},
        {"output": "classic"},
        *outputs["golds"][2:],
        {"id": "9", "output": "x"},
    ]
    write(place / "dev_questions.json", questions)
    write(place / "dev_outputs.json", outputs)
    found = [(Path(one.file).name, one.record, one.what) for one in find_defects(tmp_path, [get_task("LaMP-2")])]
    at = "id '110': profile item"
    assert found == [
        ("dev_questions.json", 0, "id '110': no text 'input'"),
        ("dev_questions.json", 0, f"{at} 0: no text 'tag'"),
        ("dev_questions.json", 0, f"{at} 1: no text 'description'"),
        ("dev_questions.json", 0, f"{at} 1: 'May' is no date such as 2014-11-13 or 2014"),
        ("dev_questions.json", 0, f"{at} 2: expected an object with 'id', 'description', 'tag'"),
        ("dev_questions.json", 3, "expected an object with 'id', 'input' and 'profile'"),
        ("dev_outputs.json", 0, "id '110': no text 'output'"),
        ("dev_outputs.json", 1, "no text 'id'"),
        ("dev_outputs.json", 3, "id '9': unknown label 'x'"),
    ]


def test_a_faulty_record_still_has_its_partner(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    questions = json.loads((place / "dev_questions.json").read_text())
    del questions[0]["input"]
    write(place / "dev_questions.json", questions[:2])
    found = [(Path(one.file).name, one.record, one.what) for one in find_defects(tmp_path, [get_task("LaMP-2")])]
    assert found == [
        ("dev_questions.json", 0, "id '110': no text 'input'"),
        ("dev_outputs.json", 2, "id '112': has no partner in dev_questions.json"),
    ]


def test_users_and_dates_that_only_some_have_are_warnings(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    questions = json.loads((place / "dev_questions.json").read_text())
    questions[1]["user_id"] = "7"
    del questions[0]["profile"][0]["date"]
    write(place / "dev_questions.json", questions)
    items = sum(len(one["profile"]) for one in questions)
    found = find_defects(tmp_path, [get_task("LaMP-2")])
    assert [(one.level, one.record) for one in found] == [("warning", None)] * 2
    assert found[0].what.startswith("1 of 3 questions have a user_id")
    assert found[1].what.startswith(f"{items - 1} of {items} profile items have a date")


def test_outputs_without_questions_are_an_error(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    (place / "train_outputs.json").write_bytes((place / "dev_outputs.json").read_bytes())
    (found,) = find_defects(tmp_path, [get_task("LaMP-2")])
    assert (found.level, Path(found.file).name) == ("error", "train_outputs.json")
    assert found.what == "has no train_questions.json beside it"


def test_a_title_among_the_users_own_is_a_warning(tmp_path: Path) -> None:
    place = clean(tmp_path, "LaMP-4") / "LaMP_4"
    outputs = json.loads((place / "dev_outputs.json").read_text())
    questions = json.loads((place / "dev_questions.json").read_text())
    outputs["golds"][2]["output"] = questions[2]["profile"][0]["title"]
    write(place / "dev_outputs.json", outputs)
    (found,) = find_defects(tmp_path, [get_task("LaMP-4")])
    assert found.record == 2 and repr(questions[2]["profile"][0]["id"]) in found.what


def test_whole_files_that_fail(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    task = get_task("LaMP-2")
    (place / "dev_outputs.json").write_text("<html>")
    (found,) = find_defects(tmp_path, [task])
    assert found.record is None and found.what.startswith("is a web page")
    (place / "dev_outputs.json").unlink()
    assert "absent" in find_defects(tmp_path, [task])[0].what
    (place / "dev_questions.json").rename(place / "test_questions.json")
    assert find_defects(tmp_path, [task]) == []
    with pytest.raises(MissingData, match="LaMP_3"):
        find_defects(tmp_path, [get_task("LaMP-3")])


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_fails_for_errors_and_not_for_warnings(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    assert run("check", tmp_path).stdout == "no defect\n"
    questions = json.loads((place / "dev_questions.json").read_text())
    questions[0]["profile"] = []
    write(place / "dev_questions.json", questions)
    done = run("check", tmp_path, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)[0]["level"] == "warning"
    del questions[1]["id"]
    write(place / "dev_questions.json", questions)
    done = run("check", tmp_path, "--task", "LaMP-2")
    assert isinstance(done.exception, RpobenchError) and "1 errors, 1 warnings" in str(done.exception)
    assert "error:" in done.stdout and "record 1: no text 'id'" in done.stdout


def test_info_counts_what_a_folder_holds(tmp_path: Path) -> None:
    place = clean(tmp_path) / "LaMP_2"
    questions = json.loads((place / "dev_questions.json").read_text())
    questions[0]["profile"] = []
    del questions[1]["profile"][0]["date"]
    write(place / "dev_questions.json", questions)
    found = asdict(describe_split(get_task("LaMP-2"), tmp_path, "dev", reference_tokenizer()))
    sizes = [len(one["profile"]) for one in questions]
    assert (found["examples"], found["targets"], found["users"]) == (3, 3, {"count": 3, "ids": "inferred"})
    assert (found["profile"]["empty"], found["profile"]["most"], found["profile"]["least"]) == (1, max(sizes), 0)
    assert found["dates"] == "some items" and found["labels"] == {"classic": 1.0}
    lengths = [len(reference_tokenizer().encode(one["input"])) for one in questions]
    assert found["tokens"]["input"]["most"] == max(lengths) and found["tokens"]["target"]["most"] == 1
    done = run("info", tmp_path)
    assert "users: count 3, ids inferred" in done.stdout and json.loads(run("info", tmp_path, "--json").stdout) == [
        found
    ]


@pytest.mark.parametrize("name", [f"LaMP-{number}" for number in (*range(1, 8), "2N")])
def test_rankings_and_prompts_are_the_official_ones(tmp_path: Path, name: str) -> None:
    cases = [case for case in OFFICIAL if case["task"] == name]
    questions = clean(tmp_path, name, len(cases)) / name.replace("-", "_") / "dev_questions.json"
    given = ("--task", name, "--questions", questions, "--out", tmp_path / "out.json")
    assert run("rank", *given).exit_code == 0
    orders = json.loads((tmp_path / "out.json").read_text())
    for place, case in enumerate(cases):
        scores = dict(zip((item["id"] for item in case["profile"]), case["bm25_scores"], strict=True))
        ranked = [scores[key] for key in orders[str(110 + place)]]
        assert ranked == pytest.approx([scores[key] for key in case["bm25_order"]], abs=1e-9)
    compared = 0
    for asked, limit in (((), "max100000"), (("--max-prompt-tokens", 384), "max384")):
        assert run("prompts", *given, "--k", 4, *asked).exit_code == 0
        texts = json.loads((tmp_path / "out.json").read_text())
        for place, case in enumerate(cases):
            same_four = (
                orders[str(110 + place)][:4] == case["bm25_order"][:4]
            )  # of equal scores another order is right too
            if same_four and f"bm25_k4_{limit}" in case["prompts"]:
                assert texts[str(110 + place)] == case["prompts"][f"bm25_k4_{limit}"]
                compared += 1
    assert compared >= 4


def test_other_rankers_and_no_items(tmp_path: Path) -> None:
    questions = clean(tmp_path) / "LaMP_2" / "dev_questions.json"
    given = ("--task", "LaMP-2", "--questions", questions, "--out", tmp_path / "out.json")
    assert run("rank", *given, "--retriever", "recency").exit_code == 0
    cases = [case for case in OFFICIAL if case["task"] == "LaMP-2"]
    assert json.loads((tmp_path / "out.json").read_text())["110"] == cases[0]["recency_order"]
    assert run("prompts", *given, "--k", 0).exit_code == 0
    assert json.loads((tmp_path / "out.json").read_text())["110"] == cases[0]["input"]
    done = run("rank", *given, "--retriever", "bm52")
    assert isinstance(done.exception, RpobenchError) and "bm25" in str(done.exception)
