"""Scoring official files and zips of them: the same numbers, and one clear line for every fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rpobench import score
from rpobench.cli.main import app
from rpobench.scoring import official as scoring
from rpobench.scoring.official import score_all
from rpobench.types import RpobenchError


def answers(task: str, **outputs: Any) -> dict[str, Any]:
    return {"task": task, "golds": [{"id": key, "output": text} for key, text in outputs.items()]}


GOLDS = {
    "LaMP_1": answers("LaMP_1", a="[1]", b="[2]"),
    "LaMP_2": answers("LaMP_2", a="comedy"),
    "LaMP_3": answers("LaMP_3", a="5", b="1"),
    "LaMP_7": answers("LaMP_7", a="so tired"),
}
PREDS = {
    "LaMP_1": answers("LaMP_1", b="[2]", a="[2]"),
    "LaMP_2": answers("LaMP_2", a=" comedy\n"),
    "LaMP_3": answers("LaMP_3", a="3", b="no idea"),
    "LaMP_7": answers("LaMP_7", a="tired so"),
}


def write_zip(file: Path, contents: dict[str, Any]) -> Path:
    with ZipFile(file, "w") as zipped:
        for name, content in contents.items():
            zipped.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return file


def write_zips(folder: Path) -> tuple[Path, Path]:
    """Golds and predictions of all tasks."""
    golds = write_zip(folder / "golds.zip", {f"deep/{name}.json": content for name, content in GOLDS.items()})
    preds = write_zip(folder / "preds.zip", {f"{name}_mine.json": content for name, content in PREDS.items()})
    return golds, preds


def test_a_zip_scores_as_its_files_do(tmp_path: Path) -> None:
    golds, preds = write_zips(tmp_path)

    metrics_by_task = score_all(golds, preds)

    assert list(metrics_by_task) == ["LaMP-1", "LaMP-2", "LaMP-3", "LaMP-7"]
    for task, metrics in metrics_by_task.items():
        official_name = task.replace("-", "_")
        assert metrics == score(task, golds, preds) == score(task, GOLDS[official_name], PREDS[official_name])
    assert metrics_by_task["LaMP-3"]["MAE"] == 3.0 and metrics_by_task["LaMP-1"]["accuracy"] == 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["golds.zip", "preds.zip"]


def test_a_zip_and_a_plain_file_go_together(tmp_path: Path) -> None:
    preds = tmp_path / "preds.json"
    preds.write_text(json.dumps(PREDS["LaMP_3"]))
    assert score("LaMP-3", write_zips(tmp_path)[0], preds)["MAE"] == 3.0


def test_golds_of_news_may_call_themselves_lamp_2() -> None:
    news = answers("LaMP_2", a="sports")
    assert score("LaMP-2N", news, answers("LaMP_2N", a="sports"))["accuracy"] == 1.0


def test_numbers_are_read_as_their_text() -> None:
    golds = answers("LaMP_3", a="5", b=1, c="3")
    assert score("LaMP-3", golds, answers("LaMP_3", a=4.5, b=1, c="3")) == score(
        "LaMP-3", golds, answers("LaMP_3", a="4.5", b="1", c="3")
    )


def test_a_whole_number_written_with_a_point_is_a_rating() -> None:
    golds, preds = answers("LaMP_3", a=5.0, b="1"), answers("LaMP_3", a="5", b=1.0)

    assert score("LaMP-3", golds, preds)["MAE"] == 0
    for odd in (4.5, float("nan"), float("inf")):
        fault = f"id 'a' has output '{odd}', which is no answer of LaMP-3: wanted is one of 1, 2, 3, 4, 5"
        with pytest.raises(RpobenchError, match=fault):
            score("LaMP-3", answers("LaMP_3", a=odd), answers("LaMP_3", a="5"))


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a lacking task": ({"1.json": PREDS["LaMP_1"]}, "preds: hold no LaMP_2, which golds do"),
    "a task twice": ({"1.json": PREDS["LaMP_1"], "2.json": PREDS["LaMP_1"]}, "2.json: a second file of LaMP_1"),
    "no official form": ({"1.json": [1]}, '1.json: expected {"task"'),
    "a web page": ({"1.json": b"<html>"}, "1.json: is a web page"),
    "another file": ({"notes.txt": b"hello"}, "preds: hold no LaMP_1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_zip_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    contents, message = BROKEN[name]
    golds, preds = write_zips(tmp_path)[0], write_zip(tmp_path / "broken.zip", contents)

    with pytest.raises(RpobenchError) as failure:
        score_all(golds, preds)

    assert message in str(failure.value) and len(str(failure.value).splitlines()) == 1


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    golds, preds = write_zips(tmp_path)
    content = preds.read_bytes()
    position = content.index(b"LaMP_3", content.index(b"LaMP_3_mine.json") + 8)

    preds.write_bytes(content[:position] + b"XXXX" + content[position + 4 :])
    with pytest.raises(RpobenchError, match=r"preds.zip: no readable zip \(Bad CRC"):
        score_all(golds, preds)

    preds.write_bytes(content[: len(content) // 2])
    with pytest.raises(RpobenchError, match=r"preds.zip: no readable zip"):
        score_all(golds, preds)


def test_a_zip_of_other_tasks_is_refused(tmp_path: Path) -> None:
    golds, _ = write_zips(tmp_path)
    unknown = write_zip(tmp_path / "unknown.zip", {"9.json": answers("LaMP_9", a="x")})
    with pytest.raises(RpobenchError, match="unknown task 'LaMP-9'"):
        score_all(unknown, unknown)

    with pytest.raises(RpobenchError, match="holds no official outputs"):
        score_all(write_zip(golds, {}), golds)
    with pytest.raises(RpobenchError, match="holds no outputs of LaMP-3"):
        score("LaMP-3", unknown, unknown)


@given(st.binary(max_size=80))
def test_any_bytes_score_or_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(content)

    for golds, preds in ((GOLDS["LaMP_3"], file), (file, PREDS["LaMP_3"])):
        with pytest.raises(RpobenchError) as failure:
            score("LaMP-3", golds, preds)
        assert len(str(failure.value).splitlines()) == 1


def test_the_command_scores_all_tasks_of_two_zips(tmp_path: Path) -> None:
    golds, preds = write_zips(tmp_path)

    arguments = ["score", "--task", "all", "--golds", str(golds), "--preds", str(preds)]
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout) == score_all(golds, preds)
    assert "LaMP-3\tMAE\t3.000000" in CliRunner().invoke(app, arguments).stdout.splitlines()


def test_extra_metrics_of_all_tasks_join_the_official_ones(tmp_path: Path) -> None:
    golds, preds = write_zips(tmp_path)

    metrics_by_task = score_all(golds, preds, extra=True)

    assert metrics_by_task["LaMP-1"]["confusion"]["[1]"] == {"[1]": 0, "[2]": 1, "other": 0}
    assert set(metrics_by_task["LaMP-7"]) == {"rouge-1", "rouge-L", "rouge-2", "BLEU", "METEOR"}


@pytest.mark.parametrize("honest", [True, False])
def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool) -> None:
    monkeypatch.setattr(scoring, "MAX_UNPACKED_BYTES", 100_000)
    golds = write_zips(tmp_path)[0]
    bomb = tmp_path / "bomb.zip"
    with ZipFile(bomb, "w", ZIP_DEFLATED) as zipped:
        zipped.writestr("LaMP_3.json", b" " * 60_000)
        zipped.writestr("more.json", b" " * 60_000)

    if not honest:  # both members say that they unpack to ten bytes
        bomb.write_bytes(bomb.read_bytes().replace((60_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))

    message = "more.json: over 100000 bytes unpacked" if honest else "no readable zip"
    with pytest.raises(RpobenchError, match=message):
        score("LaMP-3", golds, bomb)
