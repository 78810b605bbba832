"""Every command of docs/real-lamp.md works in its order, on a made-up folder and on real reviews."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from official_files import write_official_split
from paths import LAMP_SAMPLE, ROOT
from shared_data import require_shared

from rpobench.data.synth.world import generate

# Methods that need no weights stand in for those of the page.
STAND_INS = {"untrained": "zero-shot,rag-bm25,majority", "rpo": "majority", "sft-rag": "zero-shot"}
NEEDS_THE_NETWORK = "data download"


def list_commands() -> list[list[str]]:
    """The commands of the page in order, without their comments."""
    page = (ROOT / "docs" / "real-lamp.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", page, re.DOTALL | re.MULTILINE)

    commands = []
    for line in "".join(blocks).splitlines():
        if line.startswith("rpobench ") and NEEDS_THE_NETWORK not in line:
            commands.append(shlex.split(line, comments=True)[1:])
    return commands


def stand_in(command: list[str]) -> list[str]:
    """The same command with a scripted model and methods that need no weights."""
    words = []
    for word in command:
        names = [STAND_INS.get(name, name) for name in word.split(",")]
        words.append(",".join(dict.fromkeys(",".join(names).split(","))))
    return [*words, "--base-model", "scripted:echo"] if command[0] == "run" else words


def write_made_up(root: Path) -> None:
    for name in ("LaMP-3", "LaMP-4"):
        for split, count in (("train", 110), ("dev", 60), ("test", 5)):
            write_official_split(root, name, split, generate(name, split, count).labelled, with_users=False)
        (root / name.replace("-", "_") / "test_outputs.json").unlink()


def write_real(root: Path) -> None:
    """Half of the shared reviews train, and half are dev; test has dev's questions."""
    source = require_shared(LAMP_SAMPLE) / "LaMP_3"
    questions: list[Any] = json.loads((source / "dev_questions.json").read_text(encoding="utf-8"))
    golds: list[Any] = json.loads((source / "dev_outputs.json").read_text(encoding="utf-8"))["golds"]

    folder = root / "LaMP_3"
    folder.mkdir(parents=True)
    for split, part in (("train", slice(0, 25)), ("dev", slice(25, 50)), ("test", slice(25, 50))):
        ids = {question["id"] for question in questions[part]}
        outputs = {"task": "LaMP_3", "golds": [gold for gold in golds if gold["id"] in ids]}
        (folder / f"{split}_questions.json").write_text(json.dumps(questions[part]), encoding="utf-8")
        if split != "test":
            (folder / f"{split}_outputs.json").write_text(json.dumps(outputs), encoding="utf-8")


@pytest.mark.parametrize("write_folder", [write_made_up, write_real])
def test_every_command_of_the_page_works(write_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "lamp-user")

    commands = list_commands()
    for command in commands:
        done = run_rpobench(*stand_in(command))
        assert done.returncode == 0, f"rpobench {' '.join(command)}\n{done.stderr}"

    assert len(commands) > 12
    assert all((tmp_path / name).stat().st_size for name in ("report.md", "tables.tex", "preds.zip"))


def test_the_table_of_presets_names_them_all() -> None:
    from rpobench.method.presets import PRESETS

    page = (ROOT / "docs" / "real-lamp.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == list(PRESETS)
