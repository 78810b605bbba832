"""Histories of people who write commits with bodies, and the questions that are built of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from git_history import Commit

SIGNED = "\n\nSigned-off-by: Ada Byron <ada@byron.org>\nReviewed-by: Bo <bo@x.org>\n"
PEOPLE = [f"Person Number{letter} <p{letter}@x.org>" for letter in "abcdefghijklmnopqrst"]


def write_prose(topic: str, words: int = 30) -> str:
    """Write a body of some words that no other topic has."""
    return " ".join(f"{topic}{'abcdefghij'[number % 10]}{'abcdefghij'[number // 10]}" for number in range(words))


def write_message(topic: str, ending: str = SIGNED) -> str:
    """Write a message with subject, body and trailers."""
    return f"subject of {topic}\n\n{write_prose(topic)}{ending}"


def write_history(people: list[str], each: int = 12) -> list[Commit]:
    """Commits of people in turn, one a day; the topics of `PEOPLE` are their own."""
    commits = []
    for round_number in range(each):
        for person in people:
            number = PEOPLE.index(person) if person in PEOPLE else -1
            topic = f"topic{'abcdefghijklmnopqrstz'[number]}{'abcdefghijklmnopqrst'[round_number]}"
            commits.append(Commit(write_message(topic), person, day=round_number))
    return commits


def read_questions(out: Path, task: str = "LaMP_6") -> list[dict[str, Any]]:
    """All questions of a built folder, with their targets and splits."""
    questions = []
    for file in sorted((out / task).glob("*_questions.json")):
        golds = json.loads(file.with_name(file.name.replace("questions", "outputs")).read_text())["golds"]
        targets = {gold["id"]: gold["output"] for gold in golds}
        for question in json.loads(file.read_text()):
            questions.append({**question, "target": targets[question["id"]], "split": file.name.split("_")[0]})
    return questions
