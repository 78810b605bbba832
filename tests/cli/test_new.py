"""`rpobench new`: what it writes works as it stands, on a machine with the installed package and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import run_rpobench
from paths import ROOT

# Kind, name and options.
CASES = [
    ("method", "Own-way", ()),
    ("method", "own-lesson", ("--trains",)),
    ("task", "Own-2", ()),
    ("model", "own-model", ()),
]


def write_new(folder: Path, kind: str, name: str, *options: str) -> Path:
    result = run_rpobench("new", kind, name, *options, "--out", folder)

    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.replace(str(folder), "").splitlines())) <= 80
    return folder / name.lower()


@pytest.mark.parametrize(("kind", "name", "options"), CASES)
def test_a_package_holds_code_entry_point_test_and_readme(
    tmp_path: Path, kind: str, name: str, options: tuple[str, ...]
) -> None:
    package = write_new(tmp_path, kind, name, *options)

    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    (target,) = project["entry-points"][f"rpobench.{kind}s"].values()
    module, _, attribute = target.partition(":")
    source = (package / f"{module.replace('.', '/')}.py").read_text()
    assert re.search(rf"^(class|def) {attribute}\b", source, re.M)
    assert project["entry-points"][f"rpobench.{kind}s"].keys() == {name}

    (test,) = (package / "tests").iterdir()
    for file in [package / "README.md", test, package / f"{module.replace('.', '/')}.py"]:
        text = file.read_text()
        assert name in text and "$" not in text
    for imported in re.findall(r"from (rpobench[\w.]*)", source):
        assert imported == "rpobench.api"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("methods", "x"), "new methods: choose one of method, task, model"),
        (("method", "my method"), "give a name of letters, digits and dashes, such as my-method"),
        (("method", "../x"), "give a name of letters, digits and dashes"),
        (("method", "all"), "give a name of letters, digits and dashes"),
        (("method", "rpo"), "there is a method of this name; choose another"),
        (("task", "LaMP-3"), "there is a task of this name; choose another"),
        (("method", "json"), "Python has a module json; choose another, such as my-json"),
        (("method", "class"), "Python has a module class"),
        (("model", "torch"), "Python has a module torch"),
        (("task", "Mine-1", "--trains"), "--trains: a task does not train; leave it out"),
    ],
)
def test_a_wrong_name_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run_rpobench("new", *arguments, "--out", tmp_path)

    assert result.returncode == 1 and message in result.stderr and len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "own-model").mkdir()
    (tmp_path / "own-model" / "notes").write_text("mine")

    result = run_rpobench("new", "model", "own-model", "--out", tmp_path)

    assert result.returncode == 1 and "own-model: exists; move it away" in result.stderr
    assert [file.name for file in (tmp_path / "own-model").iterdir()] == ["notes"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a new environment with the built wheel; other libraries come from this one."""
    folder = tmp_path_factory.mktemp("fresh")
    source = folder / "source"
    source.mkdir()
    for name in ("rpobench", "baselines", "leaderboard", "tasks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)

    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    commands = folder / "venv" / "bin"
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "distutils-precedence.pth").unlink(missing_ok=True)
    for old in (*site.glob("setuptools*"), site / "_distutils_hack"):
        shutil.rmtree(old, ignore_errors=True)  # rpobench brings a newer one
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    pip(sys.executable, "wheel", "--no-build-isolation", "--wheel-dir", str(folder / "dist"), str(source))
    (wheel,) = (folder / "dist").iterdir()
    pip(str(commands / "python"), "install", "--ignore-installed", str(wheel))
    shutil.rmtree(source)
    return commands


def pip(python: str, command: str, *arguments: str) -> None:
    process = subprocess.run(
        [python, "-m", "pip", command, "-q", "--no-index", "--no-deps", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


@pytest.fixture
def run_as_user(installed: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a line of a README as a new user types it: no checkout, no shared data, no network, an empty cache."""
    environment = {**os.environ, "PATH": f"{installed}:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
    environment |= {"RPOBENCH_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)

    def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        process = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, (command, process.stdout, process.stderr)
        assert "skipped" not in process.stderr and "Traceback" not in process.stderr
        return process

    where = run("python -c 'import rpobench; print(rpobench.__file__)'", tmp_path).stdout
    assert where.startswith(str(installed.parent))
    return run


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name", "options"), CASES)
def test_a_package_works_where_only_the_wheel_is(
    run_as_user: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    kind: str,
    name: str,
    options: tuple[str, ...],
) -> None:
    run_as_user(f"rpobench new {kind} {name} {' '.join(options)}", tmp_path)
    package = tmp_path / name.lower()

    for command in read_commands((package / "README.md").read_text()):
        last = run_as_user(command, package)
    run_as_user(f"python tests/test_{name.lower().replace('-', '_')}.py", package)

    results = list((package / "runs").glob("*/result.json"))
    assert len(results) >= 2 and last.stdout
    specs = [json.loads((result.parent / "spec.json").read_text()) for result in results]
    key = {"method": "method", "task": "task", "model": "base_model"}[kind]
    assert any(str(spec[key]).startswith(name) for spec in specs)


@pytest.mark.slow
def test_contributing_leads_to_a_table_with_an_own_trained_method(
    run_as_user: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    commands = read_commands(text[text.index("## From an idea to a table") :])
    new, change_folder, *further = commands
    assert change_folder.startswith("cd ")

    run_as_user(new, tmp_path)
    for command in further:
        last = run_as_user(command, tmp_path / change_folder.removeprefix("cd "))

    assert further[-1] == "rpobench report" and "my-classifier" in last.stdout


def read_commands(text: str) -> list[str]:
    """The lines of a text's first block of commands."""
    return text.split("```")[1].replace("\\\n", "").strip().splitlines()
