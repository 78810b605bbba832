"""`rpobench data build-lamp6` on a small collection in Avocado's form, and what its licence asks of runs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from rpobench import get_model, get_task
from rpobench.cli.data import app
from rpobench.data.official.defects import find_defects
from rpobench.data.official.folder import load_official
from rpobench.data.synth.world import generate
from rpobench.runs.examples import find_entries
from rpobench.runs.runner import Runner
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import DataSpec, RunSpec
from rpobench.types import RpobenchError

TASK = get_task("LaMP-6")
MULTIPART = (
    "Subject: Lunch\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n"
    "--b\nContent-Type: text/plain\n\nAt noon?\n--b\nContent-Type: text/html\n\n<p>At noon?</p>\n--b--\n"
)
MAILS = {
    "001-000001-EM.txt": "From: a@x.com\nSubject: Plan\n\n\n  See you on Monday. \n\n",
    "001-000002-EM.txt": "Subject: =?utf-8?q?Caf=C3=A9?=\nContent-Type: text/plain; charset=iso-8859-1\n"
    "Content-Transfer-Encoding: quoted-printable\n\nThe caf=E9 is open.\n",
    "002-000001-EM.txt": MULTIPART,
    "002-000002-EM.txt": "Subject: one\nSubject: two\n\nTwice.\n",
    "002-000003-EM.txt": "\nno header, a text",
}


def collection(path: Path, mails: dict[str, str] = MAILS) -> Path:
    """A zip of each custodian, with the mails in a folder of its name, as the collection has them."""
    folder = path / "text"
    folder.mkdir()

    for name, content in mails.items():
        with ZipFile(folder / f"{name[:3]}.zip", "a") as zipped:
            zipped.writestr(f"{name[:3]}/{name}", content)
            if f"{name[:3]}/attachment.txt" not in zipped.namelist():
                zipped.writestr(f"{name[:3]}/attachment.txt", b"\xff not asked for")

    return folder


def make_question(key: str, mail: str, *items: str, **fields: str) -> dict[str, Any]:
    profile = [{"id": f"{key}-{position}", "text": name, **fields} for position, name in enumerate(items)]
    return {"id": key, "input": mail, "profile": profile}


def id_files(path: Path, **splits: Any) -> Path:
    folder = path / "LaMP_6-ids"
    folder.mkdir()
    for split, records in splits.items():
        (folder / f"{split}_questions.json").write_text(json.dumps(records))
    return folder


FIRST, SECOND, THIRD, FOURTH, FIFTH = MAILS


def build(avocado: Path, ids: Path, *more: str | Path) -> Any:
    return CliRunner().invoke(app, ["build-lamp6", "--avocado", str(avocado), "--ids", str(ids), *map(str, more)])


def test_the_user_split_is_built_in_official_form_and_loads(tmp_path: Path) -> None:
    first_question, second_question = make_question("10", FIRST, SECOND, THIRD), make_question("11", FOURTH, FIFTH)
    done = build(
        collection(tmp_path),
        id_files(tmp_path, train=[first_question, second_question], dev=[second_question], test=[first_question]),
    )

    assert done.exit_code == 0, done.exception
    assert done.stdout == f"{tmp_path}\n"

    task_folder = tmp_path / "LaMP_6"
    assert {file.name for file in task_folder.iterdir()} == {
        "train_questions.json", "train_outputs.json", "dev_questions.json", "dev_outputs.json", "test_questions.json"
    }  # fmt: skip

    first, second = json.loads((task_folder / "train_questions.json").read_text())
    assert first == {
        "id": "10",
        "input": "Generate a subject for the following email: See you on Monday.",
        "profile": [
            {"id": "10-0", "text": "The café is open.", "title": "Café"},
            {"id": "10-1", "text": "At noon?\n--- mail_boundary ---\n<p>At noon?</p>", "title": "Lunch"},
        ],
    }
    assert second["profile"] == [{"id": "11-0", "text": "no header, a text", "title": ""}]

    golds = [{"id": "10", "output": "Plan"}, {"id": "11", "output": "one"}]
    assert json.loads((task_folder / "train_outputs.json").read_text()) == {"task": "LaMP_6", "golds": golds}
    assert json.loads((task_folder / "test_questions.json").read_text()) == [first]
    assert [labelled.target for labelled in load_official(TASK, tmp_path, "train").labelled] == ["Plan", "one"]
    assert {defect.level for defect in find_defects(tmp_path, [TASK])} == {"warning"}


def test_the_time_split_keeps_users_and_dates(tmp_path: Path) -> None:
    records = [make_question("1", FIRST, SECOND, date="2001-05-03") | {"user_id": 7}]
    folder = tmp_path / "ids"
    (folder / "dev").mkdir(parents=True)
    (folder / "dev" / "dev_questions.json").write_text(json.dumps(records))

    assert build(collection(tmp_path), folder, "--out", tmp_path / "made").exit_code == 0

    data = load_official(TASK, tmp_path / "made", "dev")
    (labelled,) = data.labelled

    assert (labelled.example.user_id, data.users, labelled.target) == ("7", "given", "Plan")
    assert str(labelled.example.profile[0].date) == "2001-05-03"


BROKEN: dict[str, tuple[Any, str]] = {
    "an unknown id": (
        [make_question("1", FIRST, SECOND, "9.txt")],
        r"record 0: mail '9.txt' is in no zip of .*\(1 in all\)",
    ),
    "no object": (["x"], "record 0: expected an object with 'id', 'input' and a list 'profile'"),
    "no profile": ([{"id": "1", "input": FIRST}], "record 0: expected an object"),
    "an item without text": (
        [{"id": "1", "input": FIRST, "profile": [{"id": "2"}]}],
        "record 0: 'input' and each item's 'text' must be a mail",
    ),
    "an item that is a name": (
        [{"id": "1", "input": FIRST, "profile": [SECOND]}],
        "record 0: expected profile items with 'id'",
    ),
    "no list": ({"a": 1}, "expected a list"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_id_files_are_named_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    records, message = BROKEN[name]
    done = build(collection(tmp_path), id_files(tmp_path, dev=records))

    assert isinstance(done.exception, RpobenchError)
    with pytest.raises(RpobenchError, match=f"dev_questions.json: {message}"):
        raise done.exception
    assert not (tmp_path / "LaMP_6").exists()


def refusal(tmp_path: Path, avocado: Path, message: str) -> None:
    done = build(avocado, id_files(tmp_path, dev=[make_question("1", FIRST, SECOND)]))
    assert isinstance(done.exception, RpobenchError) and "\n" not in str(done.exception)
    with pytest.raises(RpobenchError, match=message):
        raise done.exception
    assert not (tmp_path / "LaMP_6").exists()


def test_a_missing_zip_and_a_folder_without_zips_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refusal(tmp_path, tmp_path / "empty", "--avocado .*empty: holds no zip")


def test_a_mail_whose_zip_is_absent_is_told(tmp_path: Path) -> None:
    avocado = collection(tmp_path)
    (avocado / "001.zip").unlink()
    refusal(tmp_path, avocado, r"mail '001-000001-EM.txt' is in no zip of .* \(2 in all\)")


def test_a_torn_zip_is_told(tmp_path: Path) -> None:
    avocado = collection(tmp_path)
    content = (avocado / "001.zip").read_bytes()
    (avocado / "001.zip").write_bytes(content[: len(content) // 2])
    refusal(tmp_path, avocado, r"001.zip: no readable zip \(")


def test_a_zip_whose_bytes_changed_is_told(tmp_path: Path) -> None:
    avocado = collection(tmp_path)
    content = (avocado / "001.zip").read_bytes()
    (avocado / "001.zip").write_bytes(content.replace(b"on Monday", b"on Sunday"))
    refusal(tmp_path, avocado, r"001.zip: no readable zip \(Bad CRC-32")


@pytest.mark.parametrize("content", ["", "Date: today\n\n \n"])
def test_what_is_no_mail_is_told(tmp_path: Path, content: str) -> None:
    refusal(tmp_path, collection(tmp_path, {**MAILS, SECOND: content}), rf"001.zip: {SECOND}: is no mail")


def test_a_mail_nested_without_end_is_told(tmp_path: Path) -> None:
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n" for depth in range(3000))
    refusal(tmp_path, collection(tmp_path, {**MAILS, SECOND: nested}), rf"{SECOND}: no readable mail \(.*nesting")


def test_two_mails_of_one_name_are_told(tmp_path: Path) -> None:
    avocado = collection(tmp_path)
    with ZipFile(avocado / "copy.zip", "w") as zipped:
        zipped.writestr(SECOND, "Subject: other\n\nother")
    refusal(tmp_path, avocado, f"copy.zip: {SECOND}: another zip holds another mail of this name")


def test_what_stands_is_not_overwritten(tmp_path: Path) -> None:
    avocado, ids = collection(tmp_path), id_files(tmp_path, dev=[make_question("1", FIRST)])
    assert build(avocado, ids).exit_code == 0
    assert "dev_questions.json: stands already" in str(build(avocado, ids).exception)


def test_no_id_files_are_told(tmp_path: Path) -> None:
    assert "no dev_questions.json" in str(build(collection(tmp_path), tmp_path).exception)


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mailparser", None)
    refusal(tmp_path, collection(tmp_path), r"needs the package mail-parser: pip install 'rpobench\[avocado\]'")


@pytest.mark.parametrize(
    ("name", "synthetic", "shows_texts"), [("LaMP-6", False, False), ("LaMP-6", True, True), ("LaMP-7", False, True)]
)
def test_results_of_the_licensed_task_show_no_texts(
    tmp_path: Path, name: str, synthetic: bool, shows_texts: bool
) -> None:
    from rpobench import get_method

    task, data = get_task(name), replace(generate(name, "dev", 3), synthetic=synthetic)
    model, method_class = get_model("scripted:echo"), get_method("zero-shot")
    zero_shot = method_class(method_class.Config())
    data_spec = DataSpec(source=data.source, split="dev", limit=3, holdout=None, seed=0, sha256=data.sha256)
    spec = RunSpec(
        task=f"{task.name}@{task.version}",
        data=data_spec,
        profiles="own",
        method=zero_shot.name,
        version=zero_shot.version,
        config={},
        base_model=model.identity,
        fit=None,
        seed=0,
    )
    result = Runner(ResultStore(tmp_path), model, seed=0).run(zero_shot, task, data, spec)

    assert read_json(result.folder / "result.json")["texts"] is shows_texts

    entries = find_entries(tmp_path, result.folder.name)
    assert all((entry.input is not None) is shows_texts for entry in entries)
    assert shows_texts or entries == [entry.without_texts() for entry in entries]
