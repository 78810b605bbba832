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
from rpobench.data.official.defects import Defect, find_defects
from rpobench.data.official.folder import MissingData, load_official
from rpobench.data.official.split_statistics import describe_split
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.types import RpobenchError

OFFICIAL = json.loads((GOLDEN / "retrieval_and_prompts.json").read_text())
ANSWERS = {"LaMP-1": "[1]", "LaMP-2": "classic", "LaMP-2N": "crime", "LaMP-3": "3"}


def write_clean(folder: Path, name: str = "LaMP-2", count: int = 3) -> Path:
    """Golden questions of a task as an official folder, with targets that no profile holds."""
    cases = [case for case in OFFICIAL if case["task"] == name][:count]
    official_name = name.replace("-", "_")

    questions, golds = [], []
    for number, case in enumerate(cases):
        example_id = str(110 + number)
        questions.append({"id": example_id, "input": case["input"], "profile": case["profile"]})
        golds.append({"id": example_id, "output": ANSWERS.get(name, f"words of {example_id}")})

    (folder / official_name).mkdir()
    write(folder / official_name / "dev_questions.json", questions)
    write(folder / official_name / "dev_outputs.json", {"task": official_name, "golds": golds})
    return folder


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def defects_of(folder: Path, name: str = "LaMP-2") -> list[Defect]:
    return find_defects(folder, [get_task(name)])


@pytest.mark.parametrize("name", [f"LaMP-{number}" for number in (*range(1, 8), "2N")])
def test_a_clean_folder_has_no_defect(tmp_path: Path, name: str) -> None:
    assert defects_of(write_clean(tmp_path, name), name) == []


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
    folder = write_clean(tmp_path) / "LaMP_2"
    questions = read(folder / "dev_questions.json")
    outputs = read(folder / "dev_outputs.json")
    change(questions, outputs["golds"])
    write(folder / "dev_questions.json", questions)
    write(folder / "dev_outputs.json", outputs)

    (defect,) = defects_of(tmp_path)

    level, file_name, record, fault = expected.split(maxsplit=3)
    assert (defect.level, Path(defect.file).name, str(defect.record)) == (level, file_name, record)
    assert fault in defect.what
    if level == "error":
        with pytest.raises(RpobenchError):
            load_official(get_task("LaMP-2"), tmp_path, "dev")
    else:
        load_official(get_task("LaMP-2"), tmp_path, "dev")


def test_items_without_text_or_answer_are_warnings_in_texts(tmp_path: Path) -> None:
    folder = write_clean(tmp_path, "LaMP-4") / "LaMP_4"
    questions = read(folder / "dev_questions.json")
    questions[1]["profile"][0].update(text="", title=" ")
    questions[2]["profile"][0].update(title="")
    write(folder / "dev_questions.json", questions)

    defects = defects_of(tmp_path, "LaMP-4")

    assert [(defect.level, defect.record, defect.what.split(": ")[1]) for defect in defects] == [
        ("warning", 1, "a profile item holds no text"),
        ("warning", 2, "a profile item has no 'title'"),
    ]
    load_official(get_task("LaMP-4"), tmp_path, "dev")


@pytest.mark.parametrize("score", ["great", "", "nan", "4/5"])
def test_a_rating_in_a_profile_that_is_no_number_is_an_error(tmp_path: Path, score: str) -> None:
    folder = write_clean(tmp_path, "LaMP-3") / "LaMP_3"
    questions = read(folder / "dev_questions.json")
    questions[1]["profile"][0]["score"] = score
    write(folder / "dev_questions.json", questions)

    (defect,) = defects_of(tmp_path, "LaMP-3")

    assert (defect.level, defect.record) == ("error", 1)
    assert "id '111': profile item 0: 'score' is" in defect.what
    with pytest.raises(RpobenchError, match=r"dev_questions.json: record 1: id '111': profile item 0: 'score' is"):
        load_official(get_task("LaMP-3"), tmp_path, "dev")


def test_all_defects_are_named_and_not_the_first_alone(tmp_path: Path) -> None:
    folder = write_clean(tmp_path, "LaMP-4") / "LaMP_4"
    questions = read(folder / "dev_questions.json")
    for question in questions:
        del question["profile"][0]["title"]
    write(folder / "dev_questions.json", questions)

    defects = defects_of(tmp_path, "LaMP-4")

    assert [defect.record for defect in defects] == [0, 1, 2]


def test_one_defect_hides_no_other(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    questions = read(folder / "dev_questions.json")
    outputs = read(folder / "dev_outputs.json")
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
    write(folder / "dev_questions.json", questions)
    write(folder / "dev_outputs.json", outputs)

    defects = defects_of(tmp_path)

    item_location = "id '110': profile item"
    assert [(Path(defect.file).name, defect.record, defect.what) for defect in defects] == [
        ("dev_questions.json", 0, "id '110': no text 'input'"),
        ("dev_questions.json", 0, f"{item_location} 0: no text 'tag'"),
        (
            "dev_questions.json",
            0,
            f"{item_location} 1: no text 'description' but 1.5: a text or a whole number is wanted",
        ),
        ("dev_questions.json", 0, f"{item_location} 1: 'May' is no date such as 2014-11-13 or 2014"),
        ("dev_questions.json", 0, f"{item_location} 2: expected an object with 'id', 'description', 'tag'"),
        ("dev_questions.json", 3, "expected an object with 'id', 'input' and 'profile'"),
        ("dev_outputs.json", 0, "id '110': no text 'output'"),
        ("dev_outputs.json", 1, "no text 'id'"),
        ("dev_outputs.json", 3, "id '9': unknown label 'x'"),
    ]


def test_a_faulty_record_still_has_its_partner(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    questions = read(folder / "dev_questions.json")
    del questions[0]["input"]
    write(folder / "dev_questions.json", questions[:2])

    defects = defects_of(tmp_path)

    assert [(Path(defect.file).name, defect.record, defect.what) for defect in defects] == [
        ("dev_questions.json", 0, "id '110': no text 'input'"),
        ("dev_outputs.json", 2, "id '112': has no partner in dev_questions.json"),
    ]


def test_users_and_dates_that_only_some_have_are_warnings(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    questions = read(folder / "dev_questions.json")
    questions[1]["user_id"] = "7"
    del questions[0]["profile"][0]["date"]
    write(folder / "dev_questions.json", questions)
    items = sum(len(question["profile"]) for question in questions)

    of_users, of_dates = defects_of(tmp_path)

    assert (of_users.level, of_users.record) == (of_dates.level, of_dates.record) == ("warning", None)
    assert of_users.what.startswith("1 of 3 questions have a user_id")
    assert of_dates.what.startswith(f"{items - 1} of {items} profile items have a date")


def test_outputs_without_questions_are_an_error(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    (folder / "train_outputs.json").write_bytes((folder / "dev_outputs.json").read_bytes())

    (defect,) = defects_of(tmp_path)

    assert (defect.level, Path(defect.file).name) == ("error", "train_outputs.json")
    assert defect.what == "has no train_questions.json beside it"


def test_a_title_among_the_users_own_is_a_warning(tmp_path: Path) -> None:
    folder = write_clean(tmp_path, "LaMP-4") / "LaMP_4"
    outputs = read(folder / "dev_outputs.json")
    item = read(folder / "dev_questions.json")[2]["profile"][0]
    outputs["golds"][2]["output"] = item["title"]
    write(folder / "dev_outputs.json", outputs)

    (defect,) = defects_of(tmp_path, "LaMP-4")

    assert defect.record == 2 and repr(item["id"]) in defect.what


def test_unreadable_and_absent_files_are_named(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"

    (folder / "dev_outputs.json").write_text("<html>")
    (defect,) = defects_of(tmp_path)
    assert defect.record is None and defect.what.startswith("is a web page")

    (folder / "dev_outputs.json").unlink()
    assert "absent" in defects_of(tmp_path)[0].what

    (folder / "dev_questions.json").rename(folder / "test_questions.json")
    assert defects_of(tmp_path) == []

    with pytest.raises(MissingData, match="LaMP_3"):
        defects_of(tmp_path, "LaMP-3")


def run_data(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_fails_for_errors_and_not_for_warnings(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    assert run_data("check", tmp_path).stdout == "no defect\n"

    questions = read(folder / "dev_questions.json")
    questions[0]["profile"] = []
    write(folder / "dev_questions.json", questions)
    with_warning = run_data("check", tmp_path, "--json")
    assert with_warning.exit_code == 0 and json.loads(with_warning.stdout)[0]["level"] == "warning"

    del questions[1]["id"]
    write(folder / "dev_questions.json", questions)
    with_error = run_data("check", tmp_path, "--task", "LaMP-2")
    assert isinstance(with_error.exception, RpobenchError) and "1 errors, 1 warnings" in str(with_error.exception)
    assert "error:" in with_error.stdout and "record 1: no text 'id'" in with_error.stdout


def test_info_counts_what_a_folder_holds(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    questions = read(folder / "dev_questions.json")
    questions[0]["profile"] = []
    del questions[1]["profile"][0]["date"]
    write(folder / "dev_questions.json", questions)
    profile_sizes = [len(question["profile"]) for question in questions]
    lengths = [len(reference_tokenizer().encode(question["input"])) for question in questions]

    description = asdict(describe_split(get_task("LaMP-2"), tmp_path, "dev", reference_tokenizer()))

    assert (description["examples"], description["targets"]) == (3, 3)
    assert description["users"] == {"count": 3, "ids": "inferred"}
    profile = description["profile"]
    assert (profile["empty"], profile["most"], profile["least"]) == (1, max(profile_sizes), 0)
    assert description["dates"] == "some items" and description["labels"] == {"classic": 1.0}
    assert description["tokens"]["input"]["most"] == max(lengths)
    assert description["tokens"]["target"]["most"] == 1
    assert json.loads(run_data("info", tmp_path, "--json").stdout) == [description]


@pytest.mark.parametrize("columns", ["80", "160"])
def test_info_is_a_table_that_shortens_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("rpobench.terminal.PIPED_WIDTH", int(columns))
    write_clean(write_clean(tmp_path), "LaMP-4")

    lines = run_data("info", tmp_path).stdout.splitlines()

    rows = [line.split() for line in lines if " dev " in line and "targets:" not in line]
    assert [row[:6] for row in rows[:2]] == [
        ["LaMP-2", "dev", "3", "3", "3", "inferred"],
        ["LaMP-4", "dev", "3", "3", "3", "inferred"],
    ]
    assert len(rows) == 4 and all(len(line) <= int(columns) for line in lines)
    assert "LaMP-2 dev targets: classic 100.0%" in lines and "…" not in "".join(lines)


def test_warnings_alike_share_a_line_and_totals_end_it(tmp_path: Path) -> None:
    folder = write_clean(tmp_path, count=4) / "LaMP_2"
    questions = read(folder / "dev_questions.json")
    for question in questions[:3]:
        question["profile"] = []
    questions[3]["input"] = "Robots."
    write(folder / "dev_questions.json", questions)

    folded = run_data("check", tmp_path).stdout.splitlines()
    every = run_data("check", tmp_path, "--all").stdout.splitlines()

    assert [line.split("json: ")[-1] for line in folded] == [
        "record 0: id '110': the profile is empty (2 more like this: records 1, 2)",
        f"record 3: id '113': malformed input: does not begin with {get_task('LaMP-2').instruction[:40]!r}",
        "0 errors, 4 warnings in 1 file",
    ]
    assert len(every) == 5 and every[-1] == folded[-1]
    assert len(json.loads(run_data("check", tmp_path, "--json").stdout)) == 4


def test_errors_are_all_named_and_counted(tmp_path: Path) -> None:
    folder = write_clean(tmp_path) / "LaMP_2"
    outputs = read(folder / "dev_outputs.json")
    for gold in outputs["golds"]:
        gold["output"] = "horror"
    write(folder / "dev_outputs.json", outputs)

    result = run_data("check", tmp_path)

    assert result.stdout.count("unknown label 'horror'") == 3
    assert result.stdout.splitlines()[-1] == "3 errors, 0 warnings in 1 file"
    assert str(result.exception) == f"{tmp_path}: 3 errors, 0 warnings in 1 file"


@pytest.mark.parametrize("name", [f"LaMP-{number}" for number in (*range(1, 8), "2N")])
def test_rankings_and_prompts_are_the_official_ones(tmp_path: Path, name: str) -> None:
    cases_of_task = [case for case in OFFICIAL if case["task"] == name]
    cases = {str(110 + number): case for number, case in enumerate(cases_of_task)}
    questions = write_clean(tmp_path, name, len(cases)) / name.replace("-", "_") / "dev_questions.json"
    arguments = ("--task", name, "--questions", questions, "--out", tmp_path / "out.json")

    assert run_data("rank", *arguments).exit_code == 0
    rankings = read(tmp_path / "out.json")
    for example_id, case in cases.items():
        item_ids = [item["id"] for item in case["profile"]]
        scores = dict(zip(item_ids, case["bm25_scores"], strict=True))
        official_scores = [scores[item_id] for item_id in case["bm25_order"]]
        assert [scores[item_id] for item_id in rankings[example_id]] == pytest.approx(official_scores, abs=1e-9)

    compared = 0
    for options, limit in (((), "max100000"), (("--max-prompt-tokens", 384), "max384")):
        assert run_data("prompts", *arguments, "--k", 4, *options).exit_code == 0
        prompts = read(tmp_path / "out.json")
        for example_id, case in cases.items():
            # Of equal scores another order is right too.
            same_items = rankings[example_id][:4] == case["bm25_order"][:4]
            if same_items and f"bm25_k4_{limit}" in case["prompts"]:
                assert prompts[example_id] == case["prompts"][f"bm25_k4_{limit}"]
                compared += 1
    assert compared >= 4


def test_other_rankers_and_no_items(tmp_path: Path) -> None:
    questions = write_clean(tmp_path) / "LaMP_2" / "dev_questions.json"
    arguments = ("--task", "LaMP-2", "--questions", questions, "--out", tmp_path / "out.json")
    case = next(case for case in OFFICIAL if case["task"] == "LaMP-2")

    assert run_data("rank", *arguments, "--retriever", "recency").exit_code == 0
    assert read(tmp_path / "out.json")["110"] == case["recency_order"]

    assert run_data("prompts", *arguments, "--k", 0).exit_code == 0
    assert read(tmp_path / "out.json")["110"] == case["input"]

    misspelt = run_data("rank", *arguments, "--retriever", "bm52")
    assert isinstance(misspelt.exception, RpobenchError) and "bm25" in str(misspelt.exception)
