"""Official folders: what loads, who the users are, and one clear line for everything that is broken."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamp_folder import write_split
from paths import LAMP_SAMPLE
from shared_data import require_shared

from rpobench import get_task
from rpobench.data.official.folder import MissingData, load_official, locate_split, split_users
from rpobench.data.official.golds import parse_json, read_golds
from rpobench.data.official.records import read_example
from rpobench.types import Example, RpobenchError

TASK = get_task("LaMP-3")


def question(key: str, **changes: Any) -> dict[str, Any]:
    item = {"id": f"{key}-0", "text": f"book {key}", "score": "4"}
    return {"id": key, "input": f"review: text {key}", "profile": [item], **changes}


def test_an_own_task_lies_under_its_name_with_underscores(tmp_path: Path) -> None:
    class RecipeRating(type(TASK)):  # type: ignore[misc]
        name = "recipe-rating"

    write_split(tmp_path, [question("1")], name="recipe_rating")

    questions_file, _ = locate_split(RecipeRating(), tmp_path, "dev")

    assert questions_file == tmp_path / "recipe_rating" / "dev_questions.json"


def test_an_official_folder_loads_with_ids_dates_and_targets(tmp_path: Path) -> None:
    item = {"id": "7", "text": "a", "score": 3, "date": "2014"}
    data = load_official(
        TASK, write_split(tmp_path, [question("1", user_id=9, profile=[item]), question("2", user_id=9)]), "dev"
    )
    first = data.labelled[0]

    assert (first.example.user_id, first.target, data.users) == ("9", "5", "given")
    assert first.example.profile[0].date == date(2014, 1, 1)
    assert first.example.profile[0].fields == {"text": "a", "score": "3"}


def test_the_task_folder_itself_and_split_folders_load_too(tmp_path: Path) -> None:
    assert len(load_official(TASK, write_split(tmp_path, [question("1")]) / "LaMP_3", "dev").labelled) == 1

    inner = tmp_path / "LaMP_3" / "train"
    inner.mkdir()

    for name in ("questions", "outputs"):
        source = (tmp_path / "LaMP_3" / f"dev_{name}.json").read_bytes()
        (inner / f"train_{name}.json").write_bytes(source)
    assert len(load_official(TASK, tmp_path, "train").labelled) == 1


def test_without_ids_questions_that_share_items_are_one_user(tmp_path: Path) -> None:
    shared = [{"id": "x", "text": "the same", "score": "1"}]
    questions = [question("1", profile=shared), question("2"), question("3", profile=[{**shared[0], "id": "y"}])]
    data = load_official(TASK, write_split(tmp_path, questions), "dev")
    first, second, third = (labelled.example.user_id for labelled in data.labelled)
    assert data.users == "inferred" and first == third != second


def test_half_a_profile_links_questions_and_one_item_does_not(tmp_path: Path) -> None:
    """Forty users of two questions each, where each also holds one item of the next user."""

    def item(user: int, position: int) -> dict[str, str]:
        return {"id": f"{user}-{position}", "text": f"text {position} of {user % 40}", "score": "1"}

    questions = []
    for user in range(40):
        items = [item(user, position) for position in range(6)]
        questions += [
            question(f"{user}a", profile=items[:5]),
            question(f"{user}b", profile=[*items, item(user + 1, 0)]),
        ]

    data = load_official(TASK, write_split(tmp_path, questions), "dev")
    users = [labelled.example.user_id for labelled in data.labelled]

    assert users[::2] == users[1::2] and len(set(users)) == 40


def test_users_of_popular_items_are_inferred_in_any_order(tmp_path: Path) -> None:
    """Fifty users of four questions each, whose items are drawn from two hundred that everybody knows, shuffled."""
    rng = Random(0)
    all_items = [{"id": str(position), "text": f"film {position}", "score": "1"} for position in range(200)]
    questions = []

    for user in range(50):
        user_items = rng.sample(all_items, 20)
        questions += [question(f"{user}-{number}", profile=rng.sample(user_items, 18)) for number in range(4)]

    rng.shuffle(questions)
    data = load_official(TASK, write_split(tmp_path, questions), "dev")
    users: dict[str, set[str]] = {}
    for labelled in data.labelled:
        users.setdefault(labelled.example.user_id, set()).add(labelled.example.id.split("-")[0])

    assert len(users) == 50 and all(len(real) == 1 for real in users.values())


def test_one_item_of_a_small_profile_joins_no_strangers(tmp_path: Path) -> None:
    """Each of twenty users holds two items, one of which the next user holds too."""
    items = [{"id": str(position), "text": f"film {position}", "score": "1"} for position in range(21)]
    questions = [question(str(user), profile=items[user : user + 2]) for user in range(20)]
    data = load_official(TASK, write_split(tmp_path, questions), "dev")
    assert len({labelled.example.user_id for labelled in data.labelled}) == 20


def test_both_ways_to_give_a_folder_name_the_same_source(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    root = write_split(tmp_path / "mine", [question("1")])
    task_folder = next(root.glob("LaMP_3"))
    assert {load_official(TASK, folder, "dev").source for folder in (root, task_folder)} == {root.name}


def test_an_empty_profile_is_kept(tmp_path: Path) -> None:
    assert (
        load_official(TASK, write_split(tmp_path, [question("1", profile=[])]), "dev").labelled[0].example.profile == ()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [(2014, (2014, 1, 1)), ("2014-5", (2014, 5, 1)), ("2014-11-13 08:00", (2014, 11, 13)), ("", None), (None, None)],
)
def test_dates_may_be_a_year_a_month_or_a_day(tmp_path: Path, text: Any, expected: tuple[int, int, int] | None) -> None:
    item = {"id": "7", "text": "a", "score": "3", "date": text}
    data = load_official(TASK, write_split(tmp_path, [question("1", profile=[item])]), "dev")
    assert data.labelled[0].example.profile[0].date == (date(*expected) if expected else None)


def test_a_user_id_of_null_is_none_given(tmp_path: Path) -> None:
    data = load_official(TASK, write_split(tmp_path, [question("1", user_id=None), question("2", user_id=None)]), "dev")
    assert data.users == "inferred" and len({labelled.example.user_id for labelled in data.labelled}) == 2


def test_movies_are_found_in_new_and_news_beside_it(tmp_path: Path) -> None:
    movie = [{"id": "1", "input": "m", "profile": [{"id": "p", "description": "d", "tag": "comedy"}]}]
    news = [{"id": "2", "input": "n", "profile": [{"id": "p", "text": "t", "title": "h", "category": "crime"}]}]

    for folder, questions, answer in (("LaMP_2/new/dev", movie, "classic"), ("LaMP_2/dev", news, "sports")):
        split_folder = tmp_path / folder
        split_folder.mkdir(parents=True)
        (split_folder / "dev_questions.json").write_text(json.dumps(questions))
        golds = [{"id": questions[0]["id"], "output": answer}]
        (split_folder / "dev_outputs.json").write_text(json.dumps({"task": "LaMP_2", "golds": golds}))

    for base in (tmp_path, tmp_path / "LaMP_2"):
        assert load_official(get_task("LaMP-2"), base, "dev").labelled[0].target == "classic"
        assert load_official(get_task("LaMP-2N"), base, "dev").labelled[0].target == "sports"
        assert load_official(get_task("LaMP-2N"), base, "dev").source == tmp_path.name


def test_a_holdout_divides_users_and_not_examples(tmp_path: Path) -> None:
    data = load_official(TASK, write_split(tmp_path, [question(str(i), user_id=i // 3) for i in range(12)]), "dev")
    train, scored = split_users(data, 0.5, seed=0)
    users = [{labelled.example.user_id for labelled in part.labelled} for part in (train, scored)]

    assert users[0].isdisjoint(users[1]) and len(users[0]) == len(users[1]) == 2
    assert split_users(data, 0.5, seed=0) == (train, scored) != split_users(data, 0.5, seed=3)
    with pytest.raises(RpobenchError, match="--holdout"):
        split_users(data, 1.0, seed=0)


BROKEN: dict[str, tuple[Any, Any, str]] = {
    "truncated": (b'[{"id": "1"', {}, "dev_questions.json: broken or truncated"),
    "not utf-8": (b"\xff\xfe[]", {}, "dev_questions.json: no UTF-8"),
    "a web page": (b"<!DOCTYPE html><html>", {}, "dev_questions.json: is a web page"),
    "no list": ({"a": 1}, {}, "dev_questions.json: expected a list"),
    "empty": ([], {"task": "LaMP_3", "golds": []}, "dev_questions.json: holds no question"),
    "no id": ([{"input": "x", "profile": []}], {}, "record 0: no text 'id'"),
    "no input": ([{"id": "1", "profile": []}], {}, "record 0: id '1': no text 'input'"),
    "no profile": ([{"id": "1", "input": "x"}], {}, "record 0: id '1': no list 'profile'"),
    "no field": ([question("1", profile=[{"id": "2", "text": "x"}])], None, "profile item 0: no text 'score'"),
    "a wrong date": (
        [question("1", profile=[{"id": "2", "text": "", "score": "1", "date": "May"}])],
        None,
        "'May' is no date",
    ),
    "a twin": ([question("1"), question("1")], None, "record 1: id '1' stands twice"),
    "a twin gold": (
        [question("1")],
        {"task": "LaMP_3", "golds": [{"id": "1", "output": "1"}] * 2},
        "record 1: id '1' stands twice",
    ),
    "a missing gold": ([question("1")], {"task": "LaMP_3", "golds": []}, "dev_outputs.json: lacks id '1'"),
    "a gold too many": (
        [question("1")],
        {"task": "LaMP_3", "golds": [{"id": key, "output": "1"} for key in "12"]},
        "dev_questions.json: lacks id '2'",
    ),
    "a gold that is no answer": (
        [question("1")],
        {"task": "LaMP_3", "golds": [{"id": "1", "output": "great"}]},
        "dev_outputs.json: id '1' has output 'great', which is no answer of LaMP-3",
    ),
    "an id that is no number": (b'[{"id": NaN, "input": "x", "profile": []}]', {}, "record 0: no text 'id'"),
    "a user that is a list": ([question("1", user_id=["7"])], None, "record 0: id '1': no text 'user_id'"),
    "half a character": (
        [question("1", input="review: \ud83d")],
        None,
        "record 0: id '1': 'input' holds a broken character",
    ),
    "a line break in an id": ([question("a\nb")] * 2, None, "record 1: id 'a\\nb' stands twice"),
    "a date of four parts": (
        [question("1", profile=[{"id": "2", "text": "", "score": "1", "date": "1-1-1-1"}])],
        None,
        "'1-1-1-1' is no date",
    ),
    "another task": ([question("1")], {"task": "LaMP_4", "golds": []}, "is for task 'LaMP_4', expected 'LaMP_3'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named_in_one_line(tmp_path: Path, name: str) -> None:
    questions, outputs, message = BROKEN[name]
    with pytest.raises(RpobenchError) as caught:
        load_official(TASK, write_split(tmp_path, questions, outputs), "dev")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_absent_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no LaMP_3/dev_questions"):
        load_official(TASK, tmp_path, "dev")
    (write_split(tmp_path, [question("1")]) / "LaMP_3" / "dev_outputs.json").unlink()
    with pytest.raises(MissingData, match="without targets"):
        load_official(TASK, tmp_path, "dev")


def test_a_citation_question_without_its_references_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "LaMP_1"
    folder.mkdir()
    (folder / "dev_questions.json").write_text(json.dumps([{"id": "1", "input": 'title "a"', "profile": []}]))
    (folder / "dev_outputs.json").write_text(json.dumps([{"id": "1", "output": "[1]"}]))

    with pytest.raises(RpobenchError, match="record 0: id '1': the input must say"):
        load_official(get_task("LaMP-1"), tmp_path, "dev")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_a_line(content: bytes) -> None:
    try:
        parse_json(content, "x")
    except RpobenchError as error:
        assert len(str(error).splitlines()) == 1


def json_values(*names: str) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.sampled_from(["1", "LaMP_3"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner),
        max_leaves=12,
    )


@given(json_values("id", "output", "task", "golds"))
def test_any_json_is_golds_or_refused(content: Any) -> None:
    try:
        assert isinstance(read_golds(content, "LaMP-3", "x"), dict)
    except RpobenchError as error:
        assert len(str(error).splitlines()) == 1


@given(st.lists(json_values("id", "input", "profile", "user_id", "text", "score", "date"), max_size=3))
def test_any_json_is_questions_or_refused(content: list[Any]) -> None:
    for position, record in enumerate(content):
        try:
            assert isinstance(read_example(TASK, record, f"x: record {position}"), Example)
        except RpobenchError as error:
            assert len(str(error).splitlines()) == 1


def test_the_real_sample_loads() -> None:
    data = load_official(TASK, require_shared(LAMP_SAMPLE), "dev")

    sizes = [len(labelled.example.profile) for labelled in data.labelled]
    assert (len(sizes), sizes.count(0), data.users) == (50, 20, "inferred")
