"""The house: what is packaged, what may be imported from where."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAPPED = {"tasks": "rpobench.tasks", "baselines": "rpobench.baselines", "leaderboard": "rpobench.leaderboard"}
# What runs code out of a file: pickles under any name, checkpoints read by them, foreign model code.
UNSAFE = re.compile(
    r"(import|from) +(\w*pickle|joblib|shelve|marshal)|torch\.load\(|weights_only=False|allow_pickle=True"
    r"|trust_remote_code *= *True"
)


def test_every_package_is_listed() -> None:
    """In an editable install a package that is not listed works; in the wheel it is missing."""
    packages = set()
    for top in ("rpobench", *MAPPED):
        for init in (ROOT / top).rglob("__init__.py"):
            first, *rest = init.parent.relative_to(ROOT).parts
            packages.add(".".join([MAPPED.get(first, first), *rest]))

    assert sorted(packages) == sorted(PROJECT["tool"]["setuptools"]["packages"])


def test_every_folder_with_code_is_a_package() -> None:
    for top in ("rpobench", *MAPPED):
        for file in (ROOT / top).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), file


@pytest.mark.parametrize("folder", list(MAPPED))
def test_a_mapped_folder_has_one_name(folder: str) -> None:
    process = subprocess.run([sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True)

    assert process.returncode == 1
    assert f"ImportError: import this package as {MAPPED[folder]}" in process.stderr


def test_built_ins_stand_in_the_public_groups() -> None:
    groups = PROJECT["project"]["entry-points"]

    assert set(groups) == {f"rpobench.{name}" for name in ("tasks", "methods", "models", "retrievers", "commands")}
    assert {f"LaMP-{number}" for number in range(1, 8)} | {"LaMP-2N"} <= set(groups["rpobench.tasks"])


def test_types_are_shipped() -> None:
    assert (ROOT / "rpobench" / "py.typed").exists()


def test_no_file_is_too_long_or_loads_foreign_code() -> None:
    for top in ("rpobench", *MAPPED):
        for file in (ROOT / top).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert len(text.splitlines()) < 400, f"{file}: split it by subject"
            assert not UNSAFE.search(text), file


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import cloudpickle",
        "from pickle import load",
        "torch.load(path)",
        "np.load(file, allow_pickle=True)",
        "load(path, trust_remote_code=True)",
        "options = dict(trust_remote_code = True)",
    ],
)
def test_unsafe_loads_would_be_found(line: str) -> None:
    assert UNSAFE.search(line) and not UNSAFE.search("pickled weights are refused; np.load(file, allow_pickle=False)")


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        (None, ""),
        *[(module, "rpobench.tasks.lamp1") for module in ("plan", "data/users", "new_module")],
        ("rpo/histories", "rpobench.data.synth.world"),
        ("leaderboard/rows", "rpobench"),
        ("baselines/zero_shot", "rpobench.runs.plan"),
        ("tasks/lamp1", "rpobench.cli.options"),
        ("api", "rpobench.scoring.result"),
        ("data/synth/wording", "rpobench.rpo.trajectories.rules"),
    ],
)
def test_no_module_of_the_core_imports_what_it_must_not(tmp_path: Path, importer: str | None, imported: str) -> None:
    """In the layout of the wheel; whichever module does so is named, also one that nobody has listed."""
    shutil.copytree(ROOT / "rpobench", tmp_path / "rpobench")
    for folder in MAPPED:
        shutil.copytree(ROOT / folder, tmp_path / "rpobench" / folder)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    if importer:
        with (tmp_path / "rpobench" / f"{importer}.py").open("a") as module:
            module.write(f"\nimport {imported}\n")

    process = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip

    assert process.returncode == (1 if importer else 0), process.stdout
    if importer:
        assert f"rpobench.{importer.replace('/', '.')} -> {imported}" in process.stdout
