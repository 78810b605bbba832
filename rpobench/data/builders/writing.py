"""What a source yields: a title with its text, who wrote it and when; and the count of what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from rpobench.data.builders.passages import count_words, is_seen_by_rouge, join_words, measure_prose

LEAST_PROSE = 0.75  # share of letters and spaces: lists of versions and lines of code have less
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name under which a person wrote, with the mail address beside it; either may be empty."""

    name: str
    mail: str = ""


@dataclass(frozen=True, slots=True)
class Writing:
    """A text with its title.

    Attributes:
        key: What names it in its source, such as a commit's hash.
        authors: Who wrote it, the first author first.
        time: When, in seconds since 1970 (UTC); a day without a time is its first second.
        title: Its title, free of what is left out of titles.
        text: Its text, free of what is left out of texts.
        requires: The keys of the writings that it builds on, as the source names them.
    """

    key: str
    authors: tuple[Alias, ...]
    time: int
    title: str
    text: str
    requires: tuple[str, ...] = ()

    @property
    def day(self) -> date:
        """The day of writing, in UTC."""
        return (EPOCH + timedelta(seconds=self.time)).date()


def is_datable(time: int) -> bool:
    """Say whether a time can be written as a day of the years 1 to 9999."""
    try:
        EPOCH + timedelta(seconds=time)
    except OverflowError:
        return False
    return True


class LeftOut(Exception):
    """A writing is left out; the text is the reason, as it is counted."""


@dataclass
class Tally:
    """Counts what was left out, by the reason.

    Attributes:
        writings: How many writings, or questions, were left out.
        passages: How many lines, blocks and addresses were cut out of texts that stayed.
    """

    writings: Counter[str] = field(default_factory=Counter)
    passages: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: str) -> None:
        """Count a writing that is left out."""
        self.writings[reason] += 1

    def collect(self, read: Callable[[Counter[str]], Writing]) -> Writing | None:
        """Read a writing, or count why it is left out.

        Args:
            read: Reads it, and counts in its argument what it cuts out of the text.

        Returns:
            The writing; None where it is left out.
        """
        passages: Counter[str] = Counter()
        try:
            writing = read(passages)
        except LeftOut as reason:
            self.leave_out(str(reason))
            return None

        self.passages.update(+passages)
        return writing


@dataclass(frozen=True)
class Lengths:
    """How long a writing must and may be, in words.

    Attributes:
        title: The least and the most words of a title; others are left out.
        text: The least words of a text; shorter ones are left out.
        cut: The most words of a text; longer ones are cut there.
    """

    title: tuple[int, int]
    text: int
    cut: int


def decode_text(content: bytes) -> str:
    """Decode a file as UTF-8 with line feeds alone; raises LeftOut where it is in another encoding."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise LeftOut("undecodable") from error


def shape_writing(writing: Writing, lengths: Lengths) -> Writing:
    """Bring a writing to its length.

    Args:
        writing: The writing, whose text may be too long.
        lengths: How long it must and may be.

    Returns:
        The writing.

    Raises:
        LeftOut: It is too short, or ROUGE would see nothing of its title.
    """
    shortest_title, longest_title = lengths.title
    if not shortest_title <= count_words(writing.title) <= longest_title:
        raise LeftOut("titles too short or too long")
    if not is_seen_by_rouge(writing.title):
        raise LeftOut("titles without a letter a-z or a digit")

    if count_words(writing.text) < lengths.text:
        raise LeftOut("texts too short")

    text = join_words(writing.text, lengths.cut)
    if measure_prose(text) < LEAST_PROSE:
        raise LeftOut("texts of numbers and signs")
    return replace(writing, text=text)
