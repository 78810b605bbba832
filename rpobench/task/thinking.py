"""What a model thinks before it answers is no part of the answer: the one place that takes it out.

The marks are those that chat templates and the reasoning parsers of servers publish, and their like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

# Parts of a tag's name that make it a mark: `<think>`, `<chain_of_thought>`, `<|START_THINKING|>`, `<seed:think>`.
THINKING_WORDS = frozenset({
    "think", "thinking", "thinks", "thought", "thoughts", "reason", "reasoning", "reasonings", "rationale", "analysis",
    "analyse", "analyze", "scratchpad", "cot", "monologue", "inner", "introspection", "deliberation", "contemplation",
    "contemplate", "contemplator", "brainstorm", "brainstorming", "plan", "planning", "reflection", "reflections",
    "reflect", "reflecting", "critique",
})  # fmt: skip
# Blocks that stand inside other thinking: their end is not the end of what is around them.
ASIDES = frozenset(["reflection", "reflections", "reflect", "reflecting", "critique"])
ANSWER_WORDS = frozenset(["answer", "response", "solution", "output", "final", "result", "reply", "conclusion", "box"])
ENDING_WORDS = frozenset(["end", "stop", "close", "suffix"])
OPENING_WORDS = frozenset(["start", "begin", "open", "prefix", "of"])

# In square brackets a word may begin a title, "[Analysis] Who won": alone, without its end, only these are marks.
SQUARE_ALONE = re.compile("(?i:think|thinking)|THOUGHT|REASONING|REFLECTION")

MARK = re.compile(
    r"""
      (?:<\|start\|>)?(?:assistant)?<\|channel\|>\s{0,3}(?P<channel>\w*)[^<>\n]{0,80}
        (?:<\|constrain\|>\s?\w*)?(?:<\|message\|>|(?=\n)|\Z|(?=<))          # harmony
    | <\|channel>\s{0,3}(?P<gemma>\w*)\n? | (?P<gemma_end><channel\|>)           # Gemma 4
    | (?P<special_end><\|(?:end|return|call)\|>|<turn\|>|<eos>)
    | (?P<special>(?:<\|start\|>(?:assistant)?)|<\|message\|>)
    | (?P<unused_open><unused94>(?:thought\n)?|\[unused16\])                       # MedGemma, Pangu
    | (?P<unused_close><unused95>|\[unused17\])
    | assistant(?P<bare_channel>final|analysis|commentary)                     # harmony, its special tokens gone
    | (?:<|&lt;|◁)\s{0,3}[|｜]?\s{0,3}(?P<slash>/?)\s{0,3}(?P<tag>[^\W\d][\w:.▁-]{0,60})
        (?P<attributes>\s[^<>]{0,300}?)?\s{0,3}(?P<empty>/?)[|｜]?(?:>|&gt;|▷|\Z)
    | \[\s{0,3}(?P<square_slash>/?)\s{0,3}(?P<square>[A-Za-z][A-Za-z_:-]{0,40})\s{0,3}\]
    | (?P<granite_open>\A\s*here(?:['’]s|\ is)\ my\ thought\ process:)
    | (?P<granite_close>here(?:['’]s|\ is)\ my\ response:)
    """,
    re.VERBOSE | re.IGNORECASE,
)
# The first channel's name, where a server took the special tokens away: "analysisThe user asks", "finalRain stops".
BARE_THINKING = re.compile(r"\s*(?:(?:analysis|commentary)(?=[A-Z\"'“\[]|\s*\n\s*\S)|thought\n)")
BARE_FINAL = re.compile(r"\s*final(?=[A-Z\d\"'“\[])")

Action = Literal["open", "close", "answer", "answer end", "final", "end", "empty", "skip"]


@dataclass(frozen=True)
class Mark:
    """A mark in a text: where it stands and what it does.

    Attributes:
        start: Its first character.
        end: The character behind it.
        action: What begins or ends there.
        name: Which block it is of.
    """

    start: int
    end: int
    action: Action
    name: str = ""


@dataclass
class Scan:
    """A text read from mark to mark.

    Attributes:
        open_blocks: The names of the blocks of thinking that are open, outermost first.
        in_answer: Whether the text stands between marks of an answer.
        texts: What stands outside of thinking.
        answers: What of it stands between marks of an answer.
    """

    open_blocks: list[str] = field(default_factory=list)
    in_answer: bool = False
    texts: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    def add_text(self, text: str) -> None:
        """Take a piece of text that holds no mark."""
        if not self.open_blocks:
            (self.answers if self.in_answer else self.texts).append(text)

    def apply(self, mark: Mark) -> None:
        """Do what a mark says."""
        if mark.action == "open" and mark.name not in self.open_blocks:
            self.open_blocks.append(mark.name)
        elif mark.action == "close":
            self._close(mark.name)
        elif mark.action == "final":
            self._forget()
        elif mark.action == "end" and "channel" in self.open_blocks:
            self._close("channel")
        elif not self.open_blocks and mark.action == "answer":
            self.in_answer = True
        elif not self.open_blocks and mark.action == "answer end":
            if not self.in_answer:
                self.answers.extend(self.texts[-1:])
            self.in_answer = False

    def read(self) -> str | None:
        """Return the answer; None while a block of thinking is open."""
        if self.open_blocks:
            return None

        pieces = self.answers or self.texts
        return next((piece for piece in reversed(pieces) if piece.strip()), "")

    def _close(self, name: str) -> None:
        """End a block with all blocks inside it. An end without a beginning says that all before it was thinking."""
        if name in self.open_blocks:
            del self.open_blocks[self.open_blocks.index(name) :]
        elif name not in ASIDES or not self.open_blocks:
            self._forget()

    def _forget(self) -> None:
        self.open_blocks, self.in_answer = [], False
        self.texts, self.answers = [], []


def strip_thinking(raw: str) -> str | None:
    """Take the thinking out of a model's text.

    A block without its end is unfinished, whatever stands before it. An end without its beginning ends what was thought
    from the first word on. Of several answers the last counts.

    Args:
        raw: All that the model wrote.

    Returns:
        The text as it is, where it holds no mark of thinking or of an answer; else what stands behind the thinking,
        without the marks of the answer. None where the text ends while the model is thinking.
    """
    marks = find_marks(raw)
    if not marks:
        return raw

    scan, position = Scan(), 0
    for mark in marks:
        scan.add_text(raw[position : mark.start])
        scan.apply(mark)
        position = mark.end

    scan.add_text(raw[position:])
    return scan.read()


def find_marks(raw: str) -> list[Mark]:
    """Find the marks of thinking and of answers in a text.

    Args:
        raw: Any text.

    Returns:
        The marks in order; none where nothing in the text is meant as one.
    """
    marks = []
    if match := BARE_THINKING.match(raw):
        marks.append(Mark(0, match.end(), "open", "channel"))
    elif match := BARE_FINAL.match(raw):
        marks.append(Mark(0, match.end(), "final"))

    for match in MARK.finditer(raw):
        mark = _read_mark(raw, match)
        if mark is not None:
            marks.append(mark)

    names = {mark.name for mark in marks if mark.action == "open"}
    marks = [mark for mark in marks if mark.name not in ("granite", "details") or mark.name in names]
    return marks if any(mark.action not in ("end", "skip") for mark in marks) else []


def _read_mark(raw: str, match: re.Match[str]) -> Mark | None:
    """What a match of `MARK` means; None where it only looks like a mark."""
    kind = str(match.lastgroup)
    start, end = match.span()

    if kind == "channel":
        is_final = match["channel"].lower() == "final"
        return Mark(start, end, "final") if is_final else Mark(start, end, "open", "channel")
    if kind == "bare_channel":
        return _read_bare_channel(match)
    if match["tag"] is not None:
        return _read_tag(match)
    if match["square"] is not None:
        return _read_square(raw, match)

    actions: dict[str, tuple[Action, str]] = {
        "gemma": ("open", "channel"),
        "gemma_end": ("close", "channel"),
        "special_end": ("end", ""),
        "special": ("skip", ""),
        "unused_open": ("open", "unused"),
        "unused_close": ("close", "unused"),
        "granite_open": ("open", "granite"),
        "granite_close": ("close", "granite"),
    }
    action, name = actions[kind]
    return Mark(start, end, action, name)


def _read_bare_channel(match: re.Match[str]) -> Mark | None:
    """A channel without special tokens: two words of lower case written as one, which no prose has."""
    if not match[0].islower():
        return None

    is_final = match["bare_channel"] == "final"
    return Mark(*match.span(), "final") if is_final else Mark(*match.span(), "open", "channel")


def _read_tag(match: re.Match[str]) -> Mark | None:
    name, attributes = match["tag"].lower(), (match["attributes"] or "").lower()
    if name == "details":  # Open WebUI: <details type="reasoning" done="true">
        if match["slash"]:
            return Mark(*match.span(), "close", name)
        return Mark(*match.span(), "open", name) if "reasoning" in attributes else None

    return _read_name(match.span(), name, is_end=bool(match["slash"]), is_empty=bool(match["empty"]))


def _read_square(raw: str, match: re.Match[str]) -> Mark | None:
    """A word in square brackets, where its partner shows that it is a mark, or where it is one by itself."""
    word, is_end = match["square"], bool(match["square_slash"])
    mark = _read_name(match.span(), word.lower(), is_end=is_end)
    if mark is None or is_end or SQUARE_ALONE.fullmatch(word):
        return mark

    has_end = re.search(rf"\[\s{{0,3}}/\s{{0,3}}{re.escape(word)}\s{{0,3}}\]", raw[match.end() :], re.IGNORECASE)
    return mark if has_end else None


def _read_name(span: tuple[int, int], name: str, *, is_end: bool, is_empty: bool = False) -> Mark | None:
    """The mark that a tag of this name is; None for any other tag."""
    words = set(re.split(r"[_:.▁-]+", name)) - {""}
    is_end = is_end or bool(words & ENDING_WORDS)
    own_words = words - ENDING_WORDS - OPENING_WORDS

    thinking_words = own_words & THINKING_WORDS
    if thinking_words:
        if is_empty:
            return Mark(*span, "empty")
        return Mark(*span, "close" if is_end else "open", min(thinking_words))
    if own_words & ANSWER_WORDS:
        return Mark(*span, "answer end" if is_end else "answer")
    return None
