"""LaMP-6 out of the licensed Avocado collection and LaMP's id files, as LaMP's released script makes it.

An id file is a questions file that says a mail's file name where its text belongs: in `input`, and in each profile
item's `text`. The collection (`avocado-1.0.2/data/text`) is a folder of zips of such files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from rpobench.data.official.folder import SPLITS
from rpobench.data.official.golds import official_name
from rpobench.data.official.json_stream import stream_records
from rpobench.store.files import UNREADABLE_ZIP, write_text
from rpobench.task.contract import Task
from rpobench.terminal import progress
from rpobench.types import RpobenchError


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail's subject and its text, without the white space around it."""

    subject: str
    body: str


def build_lamp6(task: Task, avocado: Path, ids: Path, out: Path) -> None:
    """Write `out/LaMP_6/SPLIT_questions.json`, and the outputs of train and dev, for every id file in `ids`.

    Whatever else a question or an item holds (`user_id` in the time split, dates) stays as it is. Raises RpobenchError,
    and writes nothing, where a mail is absent, no mail, or in two versions, or where a file stands already.
    """
    parse = _parser()
    folder = out / official_name(task.name)
    asked = {split: list(_questions(file)) for split, file in _id_files(ids).items()}
    for split in asked:
        for part in ("questions", "outputs"):
            if (file := folder / f"{split}_{part}.json").exists():
                raise RpobenchError(f"{file}: stands already: move it away or use --out")
    wanted = {name: at for records in asked.values() for at, record in records for name in _mails(record)}
    mails = _read_mails(avocado, wanted, parse)
    for split, records in asked.items():
        made = [_with_texts(task, record, mails) for _, record in records]
        write_text(folder / f"{split}_questions.json", json.dumps(made, ensure_ascii=False) + "\n")
        if split != "test":  # as LaMP does: the targets of test are withheld
            golds = [{"id": record["id"], "output": mails[record["input"]].subject} for _, record in records]
            answers = {"task": official_name(task.name), "golds": golds}
            write_text(folder / f"{split}_outputs.json", json.dumps(answers, ensure_ascii=False) + "\n")


def _parser() -> Callable[[bytes], Any]:
    try:
        from mailparser import parse_from_bytes
    except ImportError as error:
        raise RpobenchError(
            "data build-lamp6 needs the package mail-parser: pip install 'rpobench[avocado]'"
        ) from error
    parse: Callable[[bytes], Any] = parse_from_bytes
    return parse


def _id_files(ids: Path) -> dict[str, Path]:
    """The id file of each split that the folder has, there or in a folder of the split's name."""
    places = {split: [ids / f"{split}_questions.json", ids / split / f"{split}_questions.json"] for split in SPLITS}
    found = {split: file for split, files in places.items() for file in reversed(files) if file.exists()}
    if not found:
        raise RpobenchError(f"--ids {ids}: no dev_questions.json or the like: `rpobench data download` fetches them")
    return found


def _questions(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each question of an id file with its place, for errors."""
    for place, record in enumerate(stream_records(file)):
        at = f"{file}: record {place}"
        profile = record.get("profile") if isinstance(record, dict) else None
        if not isinstance(profile, list) or not {"id", "input"} <= record.keys():
            raise RpobenchError(f"{at}: expected an object with 'id', 'input' and a list 'profile'")
        if not all(isinstance(item, dict) and "id" in item for item in profile):
            raise RpobenchError(f"{at}: expected profile items with 'id' and 'text'")
        if not all(isinstance(name, str) for name in _mails(record)):
            raise RpobenchError(f"{at}: 'input' and each item's 'text' must be a mail's file name")
        yield at, record


def _mails(record: dict[str, Any]) -> list[Any]:
    """The names of all mails of one question."""
    return [record["input"], *(item.get("text") for item in record["profile"])]


def _read_mails(avocado: Path, wanted: dict[str, str], parse: Callable[[bytes], Any]) -> dict[str, Mail]:
    """The wanted mails by name; `wanted` gives a place where each is asked for."""
    zips = sorted(avocado.glob("*.zip"))
    if not zips:
        raise RpobenchError(f"--avocado {avocado}: holds no zip: give the collection's folder data/text")
    mails: dict[str, Mail] = {}
    with progress("Avocado", len(zips)) as advance:
        for file in zips:
            for name, content in _members(file, wanted):
                mail = _mail(parse, content, f"{file}: {name}")
                if mails.setdefault(name, mail) != mail:
                    raise RpobenchError(f"{file}: {name}: another zip holds another mail of this name, keep one")
            advance(1)
    if absent := [name for name in wanted if name not in mails]:
        raise RpobenchError(
            f"{wanted[absent[0]]}: mail {absent[0][:60]!r} is in no zip of {avocado} ({len(absent)} in all): ids and "
            "collection (avocado-1.0.2) do not belong together"
        )
    return mails


def _members(file: Path, wanted: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of the wanted members of a zip; nothing is unpacked to disk."""
    try:
        with ZipFile(file) as zipped:
            for member in zipped.infolist():
                name = PurePosixPath(member.filename).name
                if name in wanted:
                    yield name, zipped.read(member)
    except UNREADABLE_ZIP as error:
        raise RpobenchError(f"{file}: no readable zip ({error}): copy it again from the collection") from error


def _mail(parse: Callable[[bytes], Any], content: bytes, at: str) -> Mail:
    from mailparser.exceptions import MailParserError

    try:
        parsed = parse(content)
    except MailParserError as error:
        raise RpobenchError(f"{at}: no readable mail ({error}): copy its zip again from the collection") from error
    subject = parsed.subject if isinstance(parsed.subject, str) else parsed.subject[0]  # a list where it stands twice
    mail = Mail(subject, parsed.body.strip())
    if not (mail.subject or mail.body):
        raise RpobenchError(f"{at}: is no mail: it has neither subject nor text: copy its zip again")
    return mail


def _with_texts(task: Task, record: dict[str, Any], mails: dict[str, Mail]) -> dict[str, Any]:
    profile = [
        {**item, "text": mails[item["text"]].body, "title": mails[item["text"]].subject} for item in record["profile"]
    ]
    return {**record, "input": f"{task.instruction}{mails[record['input']].body}", "profile": profile}
