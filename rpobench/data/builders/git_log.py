"""The source `git-log`: a commit's subject is the title of its body (LaMP-6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from rpobench.data.builders.commit_message import check_message, read_prose, split_message
from rpobench.data.builders.passages import cut_addresses, join_words
from rpobench.data.builders.people import is_program
from rpobench.data.builders.repository import Repository
from rpobench.data.builders.writing import Alias, LeftOut, Lengths, Tally, Writing, is_datable, shape_writing
from rpobench.terminal import show_progress

LENGTHS = Lengths(title=(2, 25), text=25, cut=110)
PLACEHOLDERS = ("%H", "%P", "%aN", "%aE", "%at", "%e", "%B")
PROGRESS_STEP = 5000  # commits between two moves of the progress bar


def read_commits(repositories: Sequence[Repository], tally: Tally) -> list[Writing]:
    """Read the commits of some repositories, and leave out what no person wrote as a text.

    Args:
        repositories: The clones, with their whole history.
        tally: Counts what is left out.

    Returns:
        The commits as writings, in no order.

    Raises:
        RpobenchError: A clone is shallow, or git cannot read it.
    """
    for repository in repositories:
        repository.check_history()

    commits: dict[bytes, Writing | None] = {}
    for repository in repositories:
        with show_progress(f"commits {repository.name}".strip(), repository.count_commits()) as advance:
            for count, fields in enumerate(repository.stream_log(PLACEHOLDERS), start=1):
                key = fields[0]
                if key not in commits:  # two clones may share history
                    commits[key] = tally.collect(partial(_read_commit, fields))
                if count % PROGRESS_STEP == 0:
                    advance(PROGRESS_STEP)
            advance(count % PROGRESS_STEP)

    return [commit for commit in commits.values() if commit is not None]


def _read_commit(fields: Sequence[bytes], passages: Counter[str]) -> Writing:
    """Read one commit; raises LeftOut where it is none that a person wrote as a text."""
    key, parents, name, mail, time, encoding, message = fields
    if b" " in parents:
        raise LeftOut("merges")

    author_name, author_mail, text = _decode([name, mail, message], encoding.decode("ascii", "replace"))
    author = Alias(author_name, author_mail)
    if is_program(author):
        raise LeftOut("bots")

    title, body = split_message(text)
    check_message(title, body)
    title = join_words(cut_addresses(title, passages))
    writing = Writing(key.decode(), (author,), _parse_time(time), title, read_prose(title, body, passages))
    return shape_writing(writing, LENGTHS)


def _decode(texts: Sequence[bytes], encoding: str) -> list[str]:
    """Decode the texts of a commit; raises LeftOut where they are in no encoding that is known.

    git recodes what it can to UTF-8. What it cannot it leaves in the encoding that the commit names.
    """
    for candidate in ("utf-8", encoding):
        try:
            return [text.decode(candidate) for text in texts]
        except (UnicodeDecodeError, LookupError):
            continue
    raise LeftOut("undecodable")


def _parse_time(text: bytes) -> int:
    """Parse git's seconds since 1970; raises LeftOut where they make no day."""
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or not is_datable(int(text)):
        raise LeftOut("without a usable date")
    return int(text)
