"""Thinking is taken out of a text in every published form, and nothing else is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpobench import get_task
from rpobench.task.thinking import strip_thinking

BLOCKS = [
    ("<think>", "</think>"),
    ("<think>\n", "\n</think>\n\n"),
    ("<THINK>", "</Think>"),
    ('< think type="deep" >', "< /think >"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("<reflection>", "</reflection>"),
    ("<analysis>", "</analysis>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<chain_of_thought>", "</chain_of_thought>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<thinking>", "</thinking>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<think_never_used_51bce0>", "</think_never_used_51bce0>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("[THINK]", "[/THINK]"),
    ("[think]", "[/think]"),
    ("[REASONING]", "[/REASONING]"),
    ("[Thought]", "[/Thought]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n\n<|begin_of_solution|>"),
    ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<seed:think>a<seed:cot_budget_reflect>", "</seed:cot_budget_reflect>b</seed:think>"),
    ("<thinking>a<reflection>", "</reflection>b</thinking><output>"),
    ("<think><think>", "</think>"),
    ("<think>a<think>", "</think>b</think>"),
    ("<think>", "</thinking>"),
    ("<think>", "</think><think>again</think>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>"),
    ("<|start|>assistant<|channel|>commentary to=user<|message|>", "<|call|><|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),
    ("analysis", "assistantcommentary more assistantfinal"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("[unused16]", "[unused17]"),
    ('<details type="reasoning" done="true">\n<summary>Thought</summary>\n', "</details>\n"),
    ("Here is my thought process: ", "Here is my response: "),
    ("Here's my thought process:", "Here's my response:"),
]
HARMLESS = [
    "Analysis of the final results",
    "analysis of a thought: the final answer",
    "Final thoughts on reasoning",
    "[Analysis] Who won the final",
    "[Reflections] on thinking twice",
    "I think, therefore I am",
    "a < b > c [1] and x<y",
    "The assistant final is on Friday",
    "Assistant finalists think ahead",
    "<thinkpad@example.org> wrote",
    "<b>Rain</b> and <title>sun</title>",
    "  spaces\tand lines\r\n stay \n",
    "4<|end|>",
    "</details>",
    "Here is my response: rain",
    "",
    " ",
]
# Words of a model that hold no mark. "thought" is in no other piece of a generated text.
SECRET = "QZXthoughtQZX"
WORDS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="<>[]{}&|◁▷｜"), max_size=30).filter(
    lambda text: not re.search("assistant|my response|analysis|final", text, re.IGNORECASE)
)


@pytest.mark.parametrize(("begin", "end"), BLOCKS)
def test_what_stands_behind_thinking_is_the_answer(begin: str, end: str) -> None:
    assert (strip_thinking(f"{begin}The user wants 3.{end}4") or "").strip() == "4"
    assert get_task("LaMP-3").parse(f"{begin}The user wants 3.{end}4") == "4"


@pytest.mark.parametrize("begin", sorted({begin for begin, _ in BLOCKS} - {"[Thought]"}))  # alone it begins a title
def test_a_block_without_its_end_is_no_answer(begin: str) -> None:
    assert strip_thinking(f"{begin}The user wants 3") is None
    if begin.strip().startswith(("<", "[", "◁")):
        assert strip_thinking(f"It is 4. {begin}The user wants 3") is None, "also behind a text"


@pytest.mark.parametrize(
    "end",
    ["</think>", "</thinking>", "[/THINK]", "◁/think▷", "<|end_of_thought|>", "<|END_THINKING|>", "<channel|>",
     "assistantfinal", "<|channel|>final<|message|>", "</seed:think>", "<unused95>"],
)  # fmt: skip
def test_an_end_without_its_beginning_ends_the_thinking(end: str) -> None:
    assert strip_thinking(f"The user wants 3{end}4") == "4"


@pytest.mark.parametrize("text", HARMLESS)
def test_texts_without_marks_stay_byte_for_byte(text: str) -> None:
    assert strip_thinking(text) == text


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        ("<answer>4</answer>", "4"),
        ("Let me see: 3? <answer>4</answer> That is all.", "4"),
        ("<think>perhaps <answer>3</answer></think><answer>4</answer>", "4"),
        ("<think>3</think>\n<response>4", "4"),
        ("4</answer>", "4"),
        ("[ANSWER]4[/ANSWER]", "4"),
        ("<|START_RESPONSE|>4<|END_RESPONSE|>", "4"),
        ("<|begin_of_box|>4<|end_of_box|>", "4"),
        ("<final_answer>4</final_answer>", "4"),
        ("<|channel|>final<|message|>4<|return|>", "4"),
        ("finalRain stops play", "Rain stops play"),
        ("<|channel>thought\n<channel|>4<turn|>", "4"),
        ("<think/>4", "4"),
        ("4<think>why</think>", "4"),
        ("<think>3</think>4</think>", ""),
    ],
)
def test_answers_are_unwrapped(raw: str, answer: str) -> None:
    assert strip_thinking(raw) == answer


@pytest.mark.parametrize(
    "raw",
    [
        "analysisThe user wants",
        "analysis\n\nWe need",
        "thought\nThe user",
        "<|channel|>",
        "<|channel|>analysis",
        "<think",
    ],
)
def test_cut_off_openings_are_unfinished(raw: str) -> None:
    assert strip_thinking(raw) is None


def check_no_thinking_remains(
    blocks: list[tuple[tuple[str, str], str]], before: str, answer: str, *, is_finished: bool
) -> None:
    """Build a text of blocks with a secret in each, and look for the secret in what every task reads of it."""
    text = before
    for number, ((begin, end), thought) in enumerate(blocks, start=1):
        is_last = number == len(blocks)
        text += f"{begin}The {thought}{SECRET}{thought}" + ("" if is_last and not is_finished else end)
    text += answer if is_finished else ""

    stripped = strip_thinking(text)

    assert SECRET not in (stripped or "")
    assert (stripped is None) == (not is_finished)
    for name in ("LaMP-1", "LaMP-3", "LaMP-4"):
        task = get_task(name)
        assert SECRET not in task.parse(text)
        assert is_finished or task.parse(text) == ""


CLOSED_BLOCKS = [block for block in BLOCKS if block[0].startswith(("<", "[THINK", "◁"))]
BLOCK_LISTS = st.lists(st.tuples(st.sampled_from(CLOSED_BLOCKS), WORDS), min_size=1, max_size=3)
AROUND = {"blocks": BLOCK_LISTS, "before": WORDS, "answer": WORDS, "is_finished": st.booleans()}


@given(**AROUND)
def test_no_thinking_remains_in_an_answer(
    blocks: list[tuple[tuple[str, str], str]], before: str, answer: str, is_finished: bool
) -> None:
    check_no_thinking_remains(blocks, before, answer, is_finished=is_finished)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(**AROUND)
def test_no_thinking_remains_in_ten_thousand_answers(
    blocks: list[tuple[tuple[str, str], str]], before: str, answer: str, is_finished: bool
) -> None:
    check_no_thinking_remains(blocks, before, answer, is_finished=is_finished)


PIECES = st.sampled_from([part for block in BLOCKS for part in block] + [*HARMLESS, "<", ">", "[/", "<|", "answer>"])


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(parts=st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12))
def test_any_mix_of_marks_is_read(parts: list[str]) -> None:
    text = "".join(parts)

    stripped = strip_thinking(text)

    assert stripped is None or stripped in text
    for name in ("LaMP-1", "LaMP-2", "LaMP-3", "LaMP-4"):
        get_task(name).parse(text)
