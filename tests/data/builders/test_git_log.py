"""`rpobench data build git-log` on repositories that the tests make: what becomes a question, and what is left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from git_history import Commit, make_repository
from people_history import PEOPLE, SIGNED, read_questions, write_history, write_message, write_prose

from rpobench import get_task
from rpobench.data.builders.build import BuildOptions, build
from rpobench.data.official.built import BuiltSource
from rpobench.data.official.defects import find_defects
from rpobench.data.official.folder import load_official

TASK = get_task("LaMP-6")


def build_log(tmp_path: Path, commits: list[Commit], **options: Any) -> tuple[BuiltSource, Path]:
    """Build the history of a new repository."""
    repository = make_repository(tmp_path / "clone", commits)
    out = tmp_path / "data"
    return build("git-log", [str(repository)], out, BuildOptions(**options)), out


def test_a_body_asks_for_its_subject_with_earlier_ones_as_profile(tmp_path: Path) -> None:
    built, out = build_log(tmp_path, write_history(PEOPLE))

    questions = read_questions(out)
    latest = next(question for question in questions if question["target"] == "subject of topical")
    assert latest["input"] == f"{TASK.instruction}{write_prose('topical')}"
    assert [item["title"] for item in latest["profile"]] == [f"subject of topica{letter}" for letter in "abcdefghijk"]
    assert latest["profile"][0]["date"] == "2020-09-13" and latest["profile"][-1]["date"] == "2020-09-23"
    assert built.counts["LaMP-6"].questions == Counter(question["split"] for question in questions)


def test_nothing_is_wrong_with_what_is_built_and_it_loads(tmp_path: Path) -> None:
    _, out = build_log(tmp_path, write_history(PEOPLE))

    assert find_defects(out, [TASK]) == []
    data = load_official(TASK, out, "train")
    assert data.users == "given" and all(item.date for item in data.labelled[0].example.profile)


def test_people_stand_in_one_split_each_and_items_with_them(tmp_path: Path) -> None:
    _, out = build_log(tmp_path, write_history(PEOPLE))

    splits_by_person: dict[str, set[str]] = {}
    splits_by_item: dict[str, set[str]] = {}
    for question in read_questions(out):
        splits_by_person.setdefault(question["user_id"], set()).add(question["split"])
        for item_id in (question["id"], *(item["id"] for item in question["profile"])):
            splits_by_item.setdefault(item_id, set()).add(question["split"])

    assert {len(splits) for splits in (splits_by_person | splits_by_item).values()} == {1}
    assert set().union(*splits_by_person.values()) == {"train", "dev", "test"} and len(splits_by_person) == 20


def test_later_commits_move_nobody_to_another_split(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    _, out = build_log(tmp_path, write_history(PEOPLE, each=12))
    _, later_out = build_log(tmp_path / "later", write_history(PEOPLE, each=15))

    before = {question["user_id"]: question["split"] for question in read_questions(out)}
    assert before == {question["user_id"]: question["split"] for question in read_questions(later_out)}


def test_a_profile_is_strictly_before_its_question_and_limited(tmp_path: Path) -> None:
    commits = write_history(PEOPLE[:1], each=14)
    same_second = Commit(write_message("twin"), PEOPLE[0], day=13)
    _, out = build_log(tmp_path, [*commits, same_second], profile_items=11)

    questions = {question["target"]: question for question in read_questions(out)}
    profile = [item["title"] for item in questions["subject of twin"]["profile"]]
    assert "subject of topican" not in profile and len(profile) == 11
    assert profile[0] == "subject of topicac", "the latest stay"


def test_who_has_too_few_commits_is_left_out(tmp_path: Path) -> None:
    commits = [*write_history(PEOPLE[:2], each=10), *write_history(PEOPLE[2:3], each=9)]
    built, out = build_log(tmp_path, commits)

    assert len({question["user_id"] for question in read_questions(out)}) == 2
    assert built.counts["LaMP-6"].left_out["by people who have fewer than 10"] == 9


def test_least_says_who_counts_and_what_a_profile_has(tmp_path: Path) -> None:
    _, out = build_log(tmp_path, write_history(PEOPLE, each=4), least=3)

    assert {len(question["profile"]) for question in read_questions(out)} == {2, 3}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Merge branch 'topic' into main\n\n" + write_prose("merged"), "merges"),
        ('Revert "subject of topicaa"\n\nThis reverts commit 0123456789abcdef.\n' + write_prose("undone"), "reverts"),
        ("take it back\n\nThis reverts commit 0123456789abcdef.\n" + write_prose("undone"), "reverts"),
        ("fixup! subject of topicaa\n\n" + write_prose("fixing"), "unfinished commits"),
        ("a subject without a body", "texts too short"),
        ("a subject with trailers alone" + SIGNED, "texts too short"),
        ("a list of lines\n\n" + " ".join(f"file.c:{n}," for n in range(1000, 1030)), "texts of numbers and signs"),
        ("word\n\n" + write_prose("lonely"), "titles too short or too long"),
        ("длинное имя\n\n" + write_prose("cyrillic"), "titles without a letter a-z or a digit"),
        ("another subject\n\n" + write_prose("topicaa"), "duplicates"),
        (b"latin \xe9t\xe9 without a header\n\n" + write_prose("broken").encode(), "undecodable"),
        ("", "titles too short or too long"),
    ],
)
def test_what_is_no_text_of_its_author_is_left_out_and_counted(
    tmp_path: Path, message: str | bytes, reason: str
) -> None:
    plain, _ = build_log(tmp_path, write_history(PEOPLE[:1]))
    (tmp_path / "more").mkdir()
    built, _ = build_log(tmp_path / "more", [*write_history(PEOPLE[:1]), Commit(message, PEOPLE[0], day=40)])

    assert plain.counts["LaMP-6"].left_out == {}
    assert built.counts["LaMP-6"].left_out == {reason: 1}
    assert built.counts["LaMP-6"].questions == plain.counts["LaMP-6"].questions


def test_merges_are_left_out_by_their_parents(tmp_path: Path) -> None:
    merge = Commit(write_message("merging"), PEOPLE[0], day=40, merges=3)
    built, _ = build_log(tmp_path, [*write_history(PEOPLE[:1]), merge])

    assert built.counts["LaMP-6"].left_out == {"merges": 1}


def test_a_bot_with_ten_thousand_commits_is_nobody(tmp_path: Path) -> None:
    bot = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
    commits = [Commit(write_message(f"bump{number}"), bot, day=number / 1000) for number in range(10_000)]
    built, out = build_log(tmp_path, [*write_history(PEOPLE[:3]), *commits])

    assert built.counts["LaMP-6"].left_out == {"bots": 10_000}
    assert len({question["user_id"] for question in read_questions(out)}) == 3


def test_a_question_whose_answer_stands_in_the_profile_is_left_out(tmp_path: Path) -> None:
    commits = write_history(PEOPLE[:1])
    again = Commit(f"Subject of  topicac\n\n{write_prose('again')}", PEOPLE[0], day=50)
    quoting = Commit(f"more of it\n\n{write_prose('quoting')} see 'a later title' there", PEOPLE[0], day=51)
    later = Commit(f"a later title\n\n{write_prose('later')}", PEOPLE[0], day=52)
    built, out = build_log(tmp_path, [*commits, again, quoting, later])

    assert built.counts["LaMP-6"].left_out == {"questions whose answer stands in the profile": 2}
    assert "a later title" not in [question["target"] for question in read_questions(out)]


def test_commits_in_other_encodings_are_read_by_their_header(tmp_path: Path) -> None:
    message = "un été à Paris\n\n" + write_prose("summer")
    latin = Commit(message, "Zoë Été <zoe@x.org>", day=40, encoding="ISO-8859-1")
    unknown = Commit(b"un \xe9t\xe9\n\n" + write_prose("autumn").encode(), PEOPLE[0], day=41, encoding="x-unknown")
    built, out = build_log(tmp_path, [*write_history(["Zoë Été <zoe@x.org>"]), latin, unknown])

    assert built.counts["LaMP-6"].left_out == {"undecodable": 1}
    assert "un été à Paris" in [question["target"] for question in read_questions(out)]
