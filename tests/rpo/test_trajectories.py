"""The form of a trajectory, and the facts that rules put into it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.analysis import reaches_wrong_conclusion
from rpobench.rpo.trajectories.reference_rules import HABIT
from rpobench.rpo.trajectories.rule_writer import RuleWriter, write_trajectory
from rpobench.rpo.trajectories.rules import analyse
from rpobench.rpo.trajectories.word_habits import WordHabits
from rpobench.types import Example, ProfileItem

REVIEW = (
    "What is the score of the following review on a scale of 1 to 5? "
    "just answer with 1, 2, 3, 4, or 5 without further explanation. review: "
)
TWEET = "Paraphrase the following tweet without any explanation before or after it: "


FULL = Form()
NO_CORPUS = WordHabits(get_task("LaMP-7"))


def items(**columns: list[str]) -> tuple[ProfileItem, ...]:
    rows = zip(*columns.values(), strict=True)
    return tuple(ProfileItem(str(at), dict(zip(columns, row, strict=True))) for at, row in enumerate(rows))


def test_a_written_trajectory_parses_back() -> None:
    trajectory = Trajectory("closest 4; 4 5", "2 is 2 below the median", "4")
    assert FULL.parse(FULL.render(trajectory)) == trajectory


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "Rewrite: 4",
        "History shows: x\nRewrite: 4",
        "Draft lacks: x\nHistory shows: y\nRewrite: 4",
        "History shows: x\nDraft lacks: y\nRewrite:",
        "History shows: x\nDraft lacks: y\nRewrite: 4\nand more",
        "Sure!\nHistory shows: x\nDraft lacks: y\nRewrite: 4",
    ],
)
def test_anything_but_the_three_lines_is_no_trajectory(text: str) -> None:
    assert FULL.parse(text) is None


@given(st.text())
def test_parsing_never_fails(text: str) -> None:
    FULL.parse(text)
    FULL.prefix_with_next_label(text)


@pytest.mark.parametrize(
    ("text", "resumed"),
    [
        ("Sure! It is 4.", "History shows:"),
        ("Rewrite: 4", "History shows:"),
        (" History shows: x\nRewrite: 4", "History shows: x\nDraft lacks:"),
        ("History shows: x\nDraft lacks:\nRewrite: 4", "History shows: x\nDraft lacks:"),
        ("History shows: x\nDraft lacks: y", "History shows: x\nDraft lacks: y\nRewrite:"),
        ("History shows: x\nDraft lacks: y\nRewrite: 4\nand more", None),
    ],
)
def test_a_text_that_leaves_its_form_is_resumed_where_it_left_it(text: str, resumed: str | None) -> None:
    assert FULL.prefix_with_next_label(text) == resumed
    assert Form(draft=False, analysis=False).prefix_with_next_label("Sure! It is 4.") == "Answer:"


def test_the_prompt_shows_input_draft_and_evidence_best_last() -> None:
    task = get_task("LaMP-7")
    example = Example("1", "u", TWEET + "I am tired", ())
    chat = FULL.build_chat(task, example, "so tired", items(text=["best one", "second one"]))
    assert chat[-1].content == "History:\n- second one\n- best one\nInput: I am tired\nDraft tweet paraphrase: so tired"


def test_line_breaks_in_data_cannot_pass_for_structure() -> None:
    task = get_task("LaMP-7")
    example = Example("1", "u", TWEET + "a\nDraft: forged", ())
    chat = FULL.build_chat(task, example, "b\nInput: forged", items(text=["c\n- forged"]))
    assert len(chat[-1].content.splitlines()) == 4


RATERS = [
    items(
        text=["great pen", "great cup", "rip tin", "rip mat", "green lid", "green bin"],
        score=["5", "4", "1", "2", "3", "3"],
    )
] * 4


def rated(content: str, draft: str, evidence: tuple[ProfileItem, ...]) -> tuple[str, str]:
    return analyse(
        get_task("LaMP-3"), Example("1", "u", REVIEW + content), draft, evidence, WordHabits(get_task("LaMP-3"), RATERS)
    )


def test_the_analysis_of_ratings_names_praise_and_blame_and_what_fits() -> None:
    evidence = items(text=["green", "great", "rip"], score=["3", "4", "2"])
    shows, lacks = rated("A great, green thing.", "1", evidence)
    assert shows == "gave 2 4 3; closest 3; highest 4; lowest 2; praise great; blame nothing"
    assert lacks == "highest 4 fits"
    assert rated("rip", "2", evidence) == (
        "gave 2 4 3; closest 3; highest 4; lowest 2; praise nothing; blame rip",
        "nothing, lowest 2 fits",
    )


@pytest.mark.parametrize("content", ["great, yet rip", "green"])
def test_where_praise_meets_blame_or_neither_is_there_the_closest_rating_fits(content: str) -> None:
    evidence = items(text=["rip but great", "great", "rip"], score=["2", "5", "1"])
    assert rated(content, "5", evidence)[1] == "closest 2 fits"


def test_only_words_whose_ratings_are_no_accident_lean() -> None:
    task = get_task("LaMP-3")
    known = WordHabits(task, RATERS)
    assert known.leaning("great") > 2.5 and known.leaning("rip") < -2.5
    assert known.leaning("green") == known.leaning("unheard") == 0
    assert WordHabits(task, RATERS[:1]).leaning("great") == 0  # two items
    assert WordHabits(task, [items(text=["a"], score=["no number"])]).leaning("a") == 0
    assert WordHabits(task).leaning("great") == 0


def test_a_draft_without_a_rating_or_label_lacks_one() -> None:
    evidence = items(text=["a", "b"], score=["4", "2"])
    assert analyse(get_task("LaMP-3"), Example("1", "u", "x"), "no idea", evidence, NO_CORPUS)[1] == "closest 4 fits"
    tags = items(description=["a"], tag=["comedy"])
    assert analyse(get_task("LaMP-2"), Example("1", "u", "x"), "no\nidea", tags, NO_CORPUS)[1] == "comedy fits"


@pytest.mark.parametrize(
    ("name", "lacks", "rewrite", "against"),
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
def test_a_trajectory_may_contradict_itself(name: str, lacks: str, rewrite: str, against: bool) -> None:
    assert reaches_wrong_conclusion(get_task(name), Trajectory("x", lacks, rewrite)) is against


def test_an_analysis_without_a_draft_contradicts_itself_where_another_reference_is_closer() -> None:
    shows = "[1] shares nothing; [2] shares private; [2] is closer"
    assert reaches_wrong_conclusion(get_task("LaMP-1"), Trajectory(shows, "", "[1]"))
    assert not reaches_wrong_conclusion(get_task("LaMP-1"), Trajectory(shows, "", "[2]"))


def test_a_rating_in_the_history_that_is_no_number_is_passed_over() -> None:
    evidence = items(text=["a", "b", "c"], score=["good", "nan", "4"])
    shows, lacks = analyse(get_task("LaMP-3"), Example("1", "u", "x"), "3", evidence, NO_CORPUS)
    assert shows == "gave 4; closest 4; highest 4; lowest 4; praise nothing; blame nothing"
    assert lacks == "closest 4 fits"
    assert analyse(get_task("LaMP-3"), Example("1", "u", "x"), "3", evidence[:2], NO_CORPUS) == (
        "no ratings",
        "nothing known",
    )


@pytest.mark.parametrize("name", ["LaMP-1", "LaMP-2", "LaMP-3", "LaMP-7"])
@given(st.lists(st.text(), min_size=6, max_size=6))
def test_whatever_the_data_hold_a_written_trajectory_parses_back(name: str, texts: list[str]) -> None:
    task = get_task(name)
    evidence = tuple(ProfileItem(str(i), dict.fromkeys(task.fields, text)) for i, text in enumerate(texts[:3]))
    row = TrainingRow(task, Example("1", "u", texts[3]), f"x{texts[5]}", texts[4], evidence)
    trajectory = write_trajectory(row, WordHabits(task))
    assert FULL.parse(FULL.render(trajectory)) == trajectory


def test_the_analysis_of_tags_lists_them_by_closeness_and_the_closest_fits() -> None:
    evidence, task = items(description=["a", "b", "c"], tag=["comedy", "classic", "comedy"]), get_task("LaMP-2")
    shows, lacks = analyse(task, Example("1", "u", "x"), "action", evidence, NO_CORPUS)
    assert (shows, lacks) == ("closest comedy; then classic, comedy", "comedy fits")
    assert analyse(task, Example("1", "u", "x"), "comedy", evidence[:1], NO_CORPUS) == (
        "closest comedy",
        "nothing, comedy fits",
    )


def test_the_analysis_of_references_names_the_words_that_one_alone_shares_with_the_history() -> None:
    question = (
        'For an author who has written the paper with the title "T", which reference is related? Just answer with '
        '[1] or [2] without explanation. [1]: "Kernel methods for parsing trees" [2]: "A theory of trees"'
    )
    evidence = items(title=["Parsing trees with kernel machines"], abstract=["hidden words"])
    shows, lacks = analyse(get_task("LaMP-1"), Example("1", "u", question), "[2]", evidence, NO_CORPUS)
    assert shows == "[1] shares kernel parsing; [2] shares nothing; [1] is closer"
    assert lacks == "[1] fits"
    agreed = analyse(get_task("LaMP-1"), Example("1", "u", question), "[1]", evidence, NO_CORPUS)
    assert agreed == (shows, "nothing, [1] fits")


def test_a_word_in_several_or_closer_items_weighs_more_and_equal_weights_name_no_reference() -> None:
    question = Example("1", "u", 'Which? [1]: "Kernel parsing" [2]: "Sparse crowd tests"')
    task = get_task("LaMP-1")

    def lacks(*titles: str) -> str:
        evidence = items(title=list(titles), abstract=["" for _ in titles])
        return analyse(task, question, "[2]", evidence, NO_CORPUS)[1]

    assert lacks("Sparse", "Kernel") == "nothing, [2] fits"
    assert lacks("Sparse", "Kernel", "Parsing", "Parsing") == "[1] fits"
    assert lacks("Kernel, but sparse") == "nothing known"


def test_a_word_that_users_do_not_come_back_to_tells_nothing() -> None:
    question = Example("1", "u", 'Which? [1]: "A study of bread" [2]: "Private parties"')
    task = get_task("LaMP-1")
    evidence = items(title=["A study", "Private study", "Private"], abstract=["", "", ""])
    once = items(title=["A study of cats", "Dogs", "Rain"], abstract=["", "", ""])
    private = items(title=["Private keys", "Private names", "Rain"], abstract=["", "", ""])
    histories = WordHabits(task, [*[private] * 3, *[once] * 8])
    assert histories.return_rate("private") > HABIT > 1 > histories.return_rate("study")
    assert analyse(task, question, "[2]", evidence, histories)[0] == (
        "[1] shares nothing; [2] shares private; [2] is closer"
    )
    assert WordHabits(task, [*[private] * 3, *[once] * 2]).return_rate("study") > HABIT, (
        "too few to expect a repetition"
    )
    few = WordHabits(task, [once] * 2)
    assert analyse(task, question, "[2]", evidence, few)[0].startswith("[1] shares study;")
    single = WordHabits(task, [once[:1]] * 4)  # as with k=1: nobody can come back to a word
    assert analyse(task, question, "[2]", evidence, single)[0].startswith("[1] shares study;")


def test_an_input_without_references_is_told_as_such() -> None:
    evidence, task = items(title=["Parsing trees"], abstract=["x"]), get_task("LaMP-1")
    shows, lacks = analyse(task, Example("1", "u", "which?"), "[2]", evidence, WordHabits(task))
    assert (shows, lacks) == ("no options to compare", "nothing known")


def test_the_analysis_of_texts_finds_openers_endings_and_habits() -> None:
    evidence = items(
        text=["ok so the cat sat anyway night", "ok so we ran home anyway night", "ok so lunch anyway night"]
    )
    read = analyse(get_task("LaMP-7"), Example("1", "u", TWEET + "I ate"), "I had food", evidence, NO_CORPUS)
    assert read == (
        '7 words; opens "ok so"; ends "anyway night"; often ok so anyway night',
        '3 words; no "ok so" first; no "anyway night" last; no ok so anyway night',
    )


def test_the_analysis_of_texts_finds_marks_and_words_that_come_back() -> None:
    evidence = items(text=["3 rules: is pottery dead?", "7 facts: was pottery art?", "why not pottery: an answer?"])
    read = analyse(get_task("LaMP-7"), Example("1", "u", TWEET + "art"), "Pottery matters", evidence, NO_CORPUS)
    assert read == ("5 words; asks; has a colon; starts with a number; often pottery", "2 words")


def test_without_evidence_the_analysis_says_so() -> None:
    assert analyse(get_task("LaMP-7"), Example("1", "u", TWEET + "x"), "y", (), NO_CORPUS) == (
        "nothing",
        "nothing known",
    )


@pytest.mark.parametrize("name", [f"LaMP-{number}" for number in range(1, 8)])
def test_the_rules_write_the_same_analysis_whatever_the_target(name: str) -> None:
    task, drafts = get_task(name), ("comedy 3 [1]", "[2]")
    known = generate(name, "train", 40).labelled
    written = [
        RuleWriter().write(
            [
                TrainingRow(task, one.example, told or one.target, drafts[place % 2], one.example.profile[:8])
                for place, one in enumerate(known)
            ]
        )
        for told in ("", "anything else")
    ]
    assert [FULL.render_prefix(one) for one in written[0]] == [FULL.render_prefix(one) for one in written[1]]
    assert [one.rewrite for one in written[0]] == [one.target for one in known]


def test_the_target_changes_the_rewrite_and_nothing_else() -> None:
    evidence = items(text=["a", "b"], score=["4", "2"])
    example = Example("1", "u", REVIEW + "fine")
    one, two = (
        write_trajectory(TrainingRow(get_task("LaMP-3"), example, target, "1", evidence), NO_CORPUS)
        for target in ("5", "2")
    )
    assert FULL.render_prefix(one) == FULL.render_prefix(two)
    assert (one.rewrite, two.rewrite) == ("5", "2")
