"""The facts that rules put into an analysis, task by task, and when its conclusion is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_jobs import RATING, TWEET

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.analysis import Analysis, reaches_wrong_conclusion
from rpobench.rpo.trajectories.reference_rules import LEAST_RETURN_RATE
from rpobench.rpo.trajectories.rule_writer import RuleWriter, write_trajectory
from rpobench.rpo.trajectories.rules import analyse
from rpobench.rpo.trajectories.word_habits import WordHabits
from rpobench.types import Example, ProfileItem

REVIEW_QUESTION = (
    "What is the score of the following review on a scale of 1 to 5? "
    "just answer with 1, 2, 3, 4, or 5 without further explanation. review: "
)
TWEET_QUESTION = "Paraphrase the following tweet without any explanation before or after it: "

FORM = Form()
REFERENCES, TAGS = get_task("LaMP-1"), get_task("LaMP-2")
NO_HABITS = WordHabits(TWEET)


def make_items(**columns: list[str]) -> tuple[ProfileItem, ...]:
    """Profile items whose fields are the columns."""
    items = []
    for index, values in enumerate(zip(*columns.values(), strict=True)):
        items.append(ProfileItem(str(index), dict(zip(columns, values, strict=True))))
    return tuple(items)


def ask(text: str) -> Example:
    return Example("1", "u", text)


FOUR_RATERS = [
    make_items(
        text=["great pen", "great cup", "rip tin", "rip mat", "green lid", "green bin"],
        score=["5", "4", "1", "2", "3", "3"],
    )
] * 4


def analyse_review(review: str, draft: str, evidence: tuple[ProfileItem, ...]) -> Analysis:
    return analyse(RATING, ask(REVIEW_QUESTION + review), draft, evidence, WordHabits(RATING, FOUR_RATERS))


def test_ratings_name_praise_and_blame_and_what_fits() -> None:
    evidence = make_items(text=["green", "great", "rip"], score=["3", "4", "2"])

    praised = analyse_review("A great, green thing.", "1", evidence)
    blamed = analyse_review("rip", "2", evidence)

    assert praised.shows == "gave 2 4 3; closest 3; highest 4; lowest 2; praise great; blame nothing"
    assert praised.lacks == "highest 4 fits"
    assert blamed == (
        "gave 2 4 3; closest 3; highest 4; lowest 2; praise nothing; blame rip",
        "nothing, lowest 2 fits",
    )


@pytest.mark.parametrize("review", ["great, yet rip", "green"])
def test_with_both_or_neither_the_closest_rating_fits(review: str) -> None:
    evidence = make_items(text=["rip but great", "great", "rip"], score=["2", "5", "1"])

    assert analyse_review(review, "5", evidence).lacks == "closest 2 fits"


def test_only_words_whose_ratings_are_no_accident_lean() -> None:
    habits = WordHabits(RATING, FOUR_RATERS)
    two_items = WordHabits(RATING, FOUR_RATERS[:1])
    no_number = WordHabits(RATING, [make_items(text=["a"], score=["no number"])])

    assert habits.leaning("great") > 2.5 and habits.leaning("rip") < -2.5
    assert habits.leaning("green") == habits.leaning("unheard") == 0
    assert two_items.leaning("great") == 0
    assert no_number.leaning("a") == 0
    assert WordHabits(RATING).leaning("great") == 0


def test_a_draft_without_a_rating_or_label_lacks_one() -> None:
    ratings = make_items(text=["a", "b"], score=["4", "2"])
    tags = make_items(description=["a"], tag=["comedy"])

    assert analyse(RATING, ask("x"), "no idea", ratings, NO_HABITS).lacks == "closest 4 fits"
    assert analyse(TAGS, ask("x"), "no\nidea", tags, NO_HABITS).lacks == "comedy fits"


@pytest.mark.parametrize(
    ("task_name", "lacks", "rewrite", "is_wrong"),
    [
        ("LaMP-2", "comedy fits", "classic", True),
        ("LaMP-2", "nothing, comedy fits", "classic", True),
        ("LaMP-2", "comedy fits", "comedy", False),
        ("LaMP-2", "nothing known", "comedy", False),
        ("LaMP-3", "closest 4 fits", "5", True),
        ("LaMP-3", "nothing, highest 4 fits", "5", True),
        ("LaMP-3", "highest 5 fits", "5", False),
        ("LaMP-7", "comedy fits", "classic", False),
    ],
)
def test_an_analysis_may_reach_a_wrong_conclusion(task_name: str, lacks: str, rewrite: str, is_wrong: bool) -> None:
    assert reaches_wrong_conclusion(get_task(task_name), Trajectory("x", lacks, rewrite)) is is_wrong


def test_without_a_draft_another_closer_reference_is_wrong() -> None:
    shows = "[1] shares nothing; [2] shares private; [2] is closer"

    assert reaches_wrong_conclusion(REFERENCES, Trajectory(shows, "", "[1]"))
    assert not reaches_wrong_conclusion(REFERENCES, Trajectory(shows, "", "[2]"))


def test_a_rating_that_is_no_number_is_passed_over() -> None:
    evidence = make_items(text=["a", "b", "c"], score=["good", "nan", "4"])

    one_rating = analyse(RATING, ask("x"), "3", evidence, NO_HABITS)
    no_rating = analyse(RATING, ask("x"), "3", evidence[:2], NO_HABITS)

    assert one_rating.shows == "gave 4; closest 4; highest 4; lowest 4; praise nothing; blame nothing"
    assert one_rating.lacks == "closest 4 fits"
    assert no_rating == ("no ratings", "nothing known")


@pytest.mark.parametrize("task_name", ["LaMP-1", "LaMP-2", "LaMP-3", "LaMP-7"])
@given(st.lists(st.text(), min_size=6, max_size=6))
def test_a_trajectory_parses_back_whatever_the_data_hold(task_name: str, texts: list[str]) -> None:
    task = get_task(task_name)
    evidence = tuple(ProfileItem(str(i), dict.fromkeys(task.fields, text)) for i, text in enumerate(texts[:3]))
    row = TrainingRow(task, ask(texts[3]), f"x{texts[5]}", texts[4], evidence)

    trajectory = write_trajectory(row, WordHabits(task))

    assert FORM.parse(FORM.render(trajectory)) == trajectory


def test_tags_are_listed_by_closeness_and_the_closest_fits() -> None:
    evidence = make_items(description=["a", "b", "c"], tag=["comedy", "classic", "comedy"])

    of_three = analyse(TAGS, ask("x"), "action", evidence, NO_HABITS)
    of_one = analyse(TAGS, ask("x"), "comedy", evidence[:1], NO_HABITS)

    assert of_three == ("closest comedy; then classic, comedy", "comedy fits")
    assert of_one == ("closest comedy", "nothing, comedy fits")


def test_references_name_the_words_that_one_alone_shares() -> None:
    question = ask(
        'For an author who has written the paper with the title "T", which reference is related? Just answer with '
        '[1] or [2] without explanation. [1]: "Kernel methods for parsing trees" [2]: "A theory of trees"'
    )
    evidence = make_items(title=["Parsing trees with kernel machines"], abstract=["hidden words"])

    differing = analyse(REFERENCES, question, "[2]", evidence, NO_HABITS)
    agreeing = analyse(REFERENCES, question, "[1]", evidence, NO_HABITS)

    assert differing.shows == "[1] shares kernel parsing; [2] shares nothing; [1] is closer"
    assert differing.lacks == "[1] fits"
    assert agreeing == (differing.shows, "nothing, [1] fits")


def test_words_weigh_by_rank_and_equal_weights_name_none() -> None:
    question = ask('Which? [1]: "Kernel parsing" [2]: "Sparse crowd tests"')

    def lacks(*titles: str) -> str:
        evidence = make_items(title=list(titles), abstract=["" for _ in titles])
        return analyse(REFERENCES, question, "[2]", evidence, NO_HABITS).lacks

    assert lacks("Sparse", "Kernel") == "nothing, [2] fits"
    assert lacks("Sparse", "Kernel", "Parsing", "Parsing") == "[1] fits"
    assert lacks("Kernel, but sparse") == "nothing known"


NO_RETURN = make_items(title=["A study of cats", "Dogs", "Rain"], abstract=["", "", ""])
RETURN_TO_PRIVATE = make_items(title=["Private keys", "Private names", "Rain"], abstract=["", "", ""])


def shows_of_references(habits: WordHabits) -> str:
    question = ask('Which? [1]: "A study of bread" [2]: "Private parties"')
    evidence = make_items(title=["A study", "Private study", "Private"], abstract=["", "", ""])
    return analyse(REFERENCES, question, "[2]", evidence, habits).shows


def test_a_word_that_users_do_not_come_back_to_tells_nothing() -> None:
    habits = WordHabits(REFERENCES, [*[RETURN_TO_PRIVATE] * 3, *[NO_RETURN] * 8])

    assert habits.return_rate("private") > LEAST_RETURN_RATE > 1 > habits.return_rate("study")
    assert shows_of_references(habits) == "[1] shares nothing; [2] shares private; [2] is closer"


def test_of_few_users_no_repetition_is_expected() -> None:
    five_users = WordHabits(REFERENCES, [*[RETURN_TO_PRIVATE] * 3, *[NO_RETURN] * 2])
    two_users = WordHabits(REFERENCES, [NO_RETURN] * 2)
    single_items = WordHabits(REFERENCES, [NO_RETURN[:1]] * 4)  # as with k=1: nobody can come back to a word

    assert five_users.return_rate("study") > LEAST_RETURN_RATE, "too few to expect a repetition"
    assert shows_of_references(two_users).startswith("[1] shares study;")
    assert shows_of_references(single_items).startswith("[1] shares study;")


def test_an_input_without_references_is_told_as_such() -> None:
    evidence = make_items(title=["Parsing trees"], abstract=["x"])

    analysis = analyse(REFERENCES, ask("which?"), "[2]", evidence, WordHabits(REFERENCES))

    assert analysis == ("no options to compare", "nothing known")


def test_texts_show_openers_endings_and_habits() -> None:
    evidence = make_items(
        text=["ok so the cat sat anyway night", "ok so we ran home anyway night", "ok so lunch anyway night"]
    )

    analysis = analyse(TWEET, ask(TWEET_QUESTION + "I ate"), "I had food", evidence, NO_HABITS)

    assert analysis == (
        '7 words; opens "ok so"; ends "anyway night"; often ok so anyway night',
        '3 words; no "ok so" first; no "anyway night" last; no ok so anyway night',
    )


def test_texts_show_marks_and_words_that_come_back() -> None:
    evidence = make_items(
        text=["3 rules: is pottery dead?", "7 facts: was pottery art?", "why not pottery: an answer?"]
    )

    analysis = analyse(TWEET, ask(TWEET_QUESTION + "art"), "Pottery matters", evidence, NO_HABITS)

    assert analysis == ("5 words; asks; has a colon; starts with a number; often pottery", "2 words")


def test_without_evidence_the_analysis_says_so() -> None:
    assert analyse(TWEET, ask(TWEET_QUESTION + "x"), "y", (), NO_HABITS) == ("nothing", "nothing known")


@pytest.mark.parametrize("task_name", [f"LaMP-{number}" for number in range(1, 8)])
def test_the_analysis_is_the_same_whatever_the_target(task_name: str) -> None:
    task, drafts = get_task(task_name), ("comedy 3 [1]", "[2]")
    true_rows, other_rows = [], []
    for index, pair in enumerate(generate(task_name, "train", 40).labelled):
        evidence, draft = pair.example.profile[:8], drafts[index % 2]
        true_rows.append(TrainingRow(task, pair.example, pair.target, draft, evidence))
        other_rows.append(TrainingRow(task, pair.example, "anything else", draft, evidence))

    trajectories, other_trajectories = RuleWriter().write(true_rows), RuleWriter().write(other_rows)

    assert list(map(FORM.render_prefix, trajectories)) == list(map(FORM.render_prefix, other_trajectories))
    assert [trajectory.rewrite for trajectory in trajectories] == [row.target for row in true_rows]


def test_the_target_changes_the_rewrite_and_nothing_else() -> None:
    evidence = make_items(text=["a", "b"], score=["4", "2"])
    example = ask(REVIEW_QUESTION + "fine")

    high = write_trajectory(TrainingRow(RATING, example, "5", "1", evidence), NO_HABITS)
    low = write_trajectory(TrainingRow(RATING, example, "2", "1", evidence), NO_HABITS)

    assert FORM.render_prefix(high) == FORM.render_prefix(low)
    assert (high.rewrite, low.rewrite) == ("5", "2")


def test_rows_of_one_user_are_one_history() -> None:
    evidence = make_items(text=["great", "dull"], score=["5", "1"])

    def shows(user_ids: list[str]) -> str:
        examples = [Example(str(index), user_id, "review: great food") for index, user_id in enumerate(user_ids)]
        rows = [TrainingRow(RATING, example, "5", "3", evidence) for example in examples]
        return RuleWriter().write(rows)[0].shows

    assert "praise great" in shows([f"u{number}" for number in range(40)])
    assert "praise nothing" in shows(["u"] * 40), "one text that forty rows show is no proof of a word"
