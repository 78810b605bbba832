"""Makes LaMP-6 from the licensed Avocado collection and LaMP's id files, as LaMP's released script makes it.

An id file is a questions file that says a mail's file name where its text belongs: in `input`, and in each profile
item's `text`. The collection (`avocado-1.0.2/data/text`) is a folder of zips of such files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from rpobench.data.official.folder import SPLITS
from rpobench.data.official.golds import official_name
from rpobench.data.official.json_stream import stream_records
from rpobench.store.files import UNREADABLE_ZIP, write_text
from rpobench.task.contract import Task
from rpobench.terminal import show_progress
from rpobench.types import RpobenchError


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail's subject and its text, without the white space around it."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class _Question:
    """One question of an id file.

    Attributes:
        location: Names file and record, for errors.
        record: The parsed JSON.
    """

    location: str
    record: dict[str, Any]


def build_lamp6(task: Task, avocado: Path, ids: Path, out: Path) -> None:
    """Write `out/LaMP_6/SPLIT_questions.json`, and the outputs of train and dev, for every id file in `ids`.

    Whatever else a question or an item holds (`user_id` in the time split, dates) stays as it is.

    Args:
        task: LaMP-6.
        avocado: The collection's folder data/text.
        ids: The folder of LaMP's id files.
        out: The official folder to write to.

    Raises:
        RpobenchError: A mail is absent, no mail, or in two versions, or a file stands already. Nothing is written.
    """
    parse = _import_parser()
    folder = out / official_name(task.name)
    questions_by_split = {split: list(_read_questions(file)) for split, file in _find_id_files(ids).items()}
    _check_free(folder, questions_by_split)

    # Where each mail is asked for, for the error if it is absent.
    locations: dict[str, str] = {}
    for questions in questions_by_split.values():
        for question in questions:
            locations.update(dict.fromkeys(_list_mail_names(question.record), question.location))

    mails = _read_mails(avocado, locations, parse)
    for split, questions in questions_by_split.items():
        _write_questions(task, folder / f"{split}_questions.json", questions, mails)
        if split != "test":  # as LaMP does: the targets of test are withheld
            _write_outputs(task, folder / f"{split}_outputs.json", questions, mails)


def _write_questions(task: Task, file: Path, questions: Iterable[_Question], mails: dict[str, Mail]) -> None:
    records = [_fill_in_texts(task, question.record, mails) for question in questions]
    write_text(file, _to_json(records))


def _write_outputs(task: Task, file: Path, questions: Iterable[_Question], mails: dict[str, Mail]) -> None:
    """Write the subject of each question's mail as its target."""
    golds = []
    for question in questions:
        mail = mails[question.record["input"]]
        golds.append({"id": question.record["id"], "output": mail.subject})

    write_text(file, _to_json({"task": official_name(task.name), "golds": golds}))


def _to_json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"


def _check_free(folder: Path, splits: Iterable[str]) -> None:
    """Raise an error where a file that would be written stands already."""
    for split in splits:
        for part in ("questions", "outputs"):
            file = folder / f"{split}_{part}.json"
            if file.exists():
                raise RpobenchError(f"{file}: stands already: move it away or use --out")


def _import_parser() -> Callable[[bytes], Any]:
    try:
        from mailparser import parse_from_bytes
    except ImportError as error:
        raise RpobenchError(
            "data build-lamp6 needs the package mail-parser: pip install 'rpobench[avocado]'"
        ) from error

    parse: Callable[[bytes], Any] = parse_from_bytes
    return parse


def _find_id_files(ids: Path) -> dict[str, Path]:
    """Find the id file of each split that the folder has, there or in a folder of the split's name."""
    id_files = {}
    for split in SPLITS:
        name = f"{split}_questions.json"
        for file in (ids / name, ids / split / name):
            if file.exists():
                id_files[split] = file
                break

    if not id_files:
        raise RpobenchError(f"--ids {ids}: no dev_questions.json or the like: `rpobench data download` fetches them")
    return id_files


def _read_questions(file: Path) -> Iterator[_Question]:
    """Yield each question of an id file."""
    for position, record in enumerate(stream_records(file)):
        location = f"{file}: record {position}"
        profile = record.get("profile") if isinstance(record, dict) else None
        if not isinstance(profile, list) or not {"id", "input"} <= record.keys():
            raise RpobenchError(f"{location}: expected an object with 'id', 'input' and a list 'profile'")

        if not all(isinstance(item, dict) and "id" in item for item in profile):
            raise RpobenchError(f"{location}: expected profile items with 'id' and 'text'")
        if not all(isinstance(name, str) for name in _list_mail_names(record)):
            raise RpobenchError(f"{location}: 'input' and each item's 'text' must be a mail's file name")

        yield _Question(location, record)


def _list_mail_names(record: dict[str, Any]) -> list[Any]:
    """List the names of all mails of one question."""
    return [record["input"], *(item.get("text") for item in record["profile"])]


def _read_mails(avocado: Path, locations: dict[str, str], parse: Callable[[bytes], Any]) -> dict[str, Mail]:
    """Read mails from the collection.

    Args:
        avocado: The collection's folder data/text.
        locations: The names of the mails to read, each with the record that needs it.
        parse: Parses the bytes of a mail.

    Returns:
        The mails by name.

    Raises:
        RpobenchError: A mail is absent, or two zips hold different mails of one name.
    """
    zips = sorted(avocado.glob("*.zip"))
    if not zips:
        raise RpobenchError(f"--avocado {avocado}: holds no zip: give the collection's folder data/text")

    mails: dict[str, Mail] = {}
    with show_progress("Avocado", len(zips)) as advance:
        for file in zips:
            for name, content in _read_members(file, locations):
                mail = _parse_mail(parse, content, f"{file}: {name}")
                if mails.setdefault(name, mail) != mail:
                    raise RpobenchError(f"{file}: {name}: another zip holds another mail of this name, keep one")
            advance(1)

    absent_names = [name for name in locations if name not in mails]
    if absent_names:
        name = absent_names[0]
        raise RpobenchError(
            f"{locations[name]}: mail {name[:60]!r} is in no zip of {avocado} ({len(absent_names)} in all): ids and "
            "collection (avocado-1.0.2) do not belong together"
        )
    return mails


def _read_members(file: Path, names: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the members of a zip that have these names; nothing is unpacked to disk."""
    try:
        with ZipFile(file) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename).name
                if name in names:
                    yield name, archive.read(member)
    except UNREADABLE_ZIP as error:
        raise RpobenchError(f"{file}: no readable zip ({error}): copy it again from the collection") from error


def _parse_mail(parse: Callable[[bytes], Any], content: bytes, location: str) -> Mail:
    from mailparser.exceptions import MailParserError

    try:
        message = parse(content)
    except MailParserError as error:
        raise RpobenchError(
            f"{location}: no readable mail ({error}): copy its zip again from the collection"
        ) from error

    # A list where the header stands twice.
    subject = message.subject if isinstance(message.subject, str) else message.subject[0]
    mail = Mail(subject, message.body.strip())
    if not (mail.subject or mail.body):
        raise RpobenchError(f"{location}: is no mail: it has neither subject nor text: copy its zip again")
    return mail


def _fill_in_texts(task: Task, record: dict[str, Any], mails: dict[str, Mail]) -> dict[str, Any]:
    """Return the question with the mails' texts in place of their names."""
    profile = []
    for item in record["profile"]:
        mail = mails[item["text"]]
        profile.append({**item, "text": mail.body, "title": mail.subject})

    return {**record, "input": f"{task.instruction}{mails[record['input']].body}", "profile": profile}
