"""Somebody else's package that does not work: one line says where and what to do, and nobody else is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from command_line import run_rpobench

from rpobench import registry
from rpobench.registry import get_method, get_model, get_task
from rpobench.types import RpobenchError

HEAD = "from rpobench.api import *\n\n"
GOOD = "    def predict(self, task, examples, c):\n        yield from (Prediction(e.id, '1', '1') for e in examples)\n"
CLASS = "class Mine(Method):\n    name = 'mine'\n"
PluginWriter = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginWriter]:
    """Writes a module and entry points to it, as an installed package has them."""
    modules: list[str] = []

    def write(source: str, *, group: str = "methods", name: str = "mine", target: str = "Mine") -> Path:
        module = f"plugin_{tmp_path.name}_{len(modules)}".replace("-", "_")
        modules.append(module)
        file = tmp_path / f"{module}.py"
        file.write_text(HEAD + dedent(source))

        folder = tmp_path / f"{module}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        point = target if ":" in target else f"{module}:{target}"
        (folder / "entry_points.txt").write_text(f"[rpobench.{group}]\n{name} = {point}\n")
        registry._entry_points_by_name.cache_clear()
        return file

    monkeypatch.syspath_prepend(str(tmp_path))
    registry._entry_points_by_name.cache_clear()
    registry.get_task.cache_clear()
    yield write
    registry._entry_points_by_name.cache_clear()
    registry.get_task.cache_clear()


MISTAKES = {
    "no name": ("class Mine(Method):\n" + GOOD, 3, 'Mine has no `name`; write `name = "mine"`'),
    "no predict": (CLASS, 3, "Mine has no `predict`; write `def predict"),
    "another name": (
        "class Mine(Method):\n    name = 'ours'\n" + GOOD, 3, "calls itself 'ours' and its entry point calls it 'mine'",
    ),
    "config is a dataclass": (
        CLASS + "    class Config:\n        k = 3\n" + GOOD,
        5, "Config of Mine is no MethodConfig; write `class Config(Method.Config)`",
    ),
    "config is a value": (
        CLASS + "    Config = {'k': 3}\n" + GOOD, 3, "Config of Mine is no MethodConfig",
    ),
    "knob without default": (
        CLASS + "    class Config(Method.Config):\n        k: int\n" + GOOD,
        5, "knob 'k' of Mine has no default",
    ),
    "trains forgotten": (
        CLASS + "    def fit(self, train, context): ...\n" + GOOD,
        3, "Mine has `fit`, but nothing says that it trains; write `trains = True`",
    ),
    "trains switched off beside fit": (
        CLASS + "    trains = False\n    def fit(self, train, context): ...\n" + GOOD,
        3, "Mine has `fit`, but nothing says that it trains; write `trains = True`",
    ),
    "fit forgotten": (CLASS + "    trains = True\n" + GOOD, 3, "trains, but has no `fit`"),
    "save forgotten": (
        CLASS + "    trains = True\n    def fit(self, train, context): ...\n" + GOOD,
        3, "Mine trains, but has no `save`; write `def save(self, path)`",
    ),
    "load forgotten": (
        CLASS + "    trains = True\n    def fit(self, train, context): ...\n"
        "    def save(self, path): ...\n" + GOOD,
        3, "Mine trains, but has no `load`",
    ),
    "a plain class": ("class Mine:\n    name = 'mine'\n", 3, "Mine is no Method; write `class Mine(Method)`"),
    "a function": ("def Mine(config): ...\n", 3, "Mine is no Method"),
    "an error at import": ("x = 1\n\ny = x / 0\n", 5, "ZeroDivisionError: division by zero; correct it, or uninstall"),
    "a syntax error": ("def Mine(:\n", 3, "SyntaxError"),
    "a missing import": ("import nosuchmodule\n", 3, "No module named 'nosuchmodule'"),
    "an exit at import": ("raise SystemExit(3)\n", 3, "SystemExit"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(install: PluginWriter, case: str) -> None:
    source, line, message = MISTAKES[case]
    file = install(source)

    with pytest.raises(RpobenchError) as failure:
        get_method("mine")

    assert f"{file}:{line}: " in str(failure.value) and message in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [("nosuch_package:Mine", "names no module: no 'nosuch_package'"), ("Myne", "has no 'Myne' (there is Mine)")],
)
def test_an_entry_point_that_leads_nowhere_is_named(install: PluginWriter, target: str, message: str) -> None:
    install(CLASS + GOOD, target=target)

    with pytest.raises(RpobenchError, match=r"method 'mine' of plugin_.*correct \[project.entry-points") as failure:
        get_method("mine")

    assert message in str(failure.value)


ANSWERS = {
    "strings": ("        yield from ['1' for example in examples]\n", "yields str '1' in place of a Prediction"),
    "nothing at all": ("        pass\n", "returns nothing; yield a Prediction for each example"),
    "one text": ("        return 'answer'\n", "returns str 'answer'"),
    "a number as text": ("        yield from (Prediction(e.id, 1, '1') for e in examples)\n", "with int '1'; make it"),
    "a missing one": ("        yield from (Prediction(e.id, '1', '1') for e in examples[1:])\n", "0 for example"),
    "a foreign one": (
        "        yield from (Prediction(e.id, '1', '1') for e in examples)\n        yield Prediction('x', '1', '1')\n",
        "one for 'x', which was not asked",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_wrong_answers_are_one_line(install: PluginWriter, tmp_path: Path, case: str) -> None:
    body, message = ANSWERS[case]
    file = install(CLASS + "    def predict(self, task, examples, context):\n" + body)

    result = run(tmp_path, "mine")

    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert f"rpobench: {file}:5: " in result.stderr and message in result.stderr


def run(tmp_path: Path, method: str):  # type: ignore[no-untyped-def]
    options = ["--task", "LaMP-3", "--limit", "4", "--base-model", "scripted:echo", "--out", str(tmp_path / "runs")]
    return run_rpobench("run", "--method", method, *options, "--json")


BROKEN = {
    "at import": "x = 1 / 0\n",
    "in its class": CLASS,
    "in its answers": CLASS + "    def predict(self, t, examples, c):\n        return ['a']\n",
    "in predict": CLASS + "    def predict(self, t, examples, c):\n        yield {}['k']\n",
    "in applies_to": (CLASS + "    def applies_to(self, task):\n        return task.no_such\n" + GOOD),
    "in prompts": CLASS + "    def prompts(self, tasks):\n        return 1 / 0\n" + GOOD,
    "in its retrievers": (CLASS + "    def retrievers(self):\n        return ['bm52']\n" + GOOD),
    "in fit": (
        CLASS + "    trains = True\n    def fit(self, train, context):\n        {}['k']\n"
        "    def save(self, path): ...\n    @classmethod\n    def load(cls, path, config): ...\n" + GOOD
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_stops_no_other_run(
    install: PluginWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    install(BROKEN[case])
    monkeypatch.setattr("rpobench.runs.plan._list_groups_of", lambda method: list_groups(method.name))

    result = run(tmp_path, "all")

    assert result.returncode == 0, result.stderr
    assert {entry["method"] for entry in json.loads(result.stdout)} == {"zero-shot", "majority"}
    assert result.stderr.count("mine skipped: ") == 1


def list_groups(name: str) -> tuple[str, ...]:
    return ("all",) if name in ("zero-shot", "majority", "mine") else ()


def test_a_broken_plugin_that_is_named_stops_its_run(install: PluginWriter, tmp_path: Path) -> None:
    file = install(BROKEN["in predict"])

    result = run(tmp_path, "zero-shot,mine")

    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert f"rpobench: {file}:6: KeyError: 'k'; correct the method 'mine'" in result.stderr


def test_lists_and_reports_bear_a_broken_plugin(install: PluginWriter, tmp_path: Path) -> None:
    assert run(tmp_path, "zero-shot").returncode == 0
    install("x = 1 / 0\n")
    install("x = 1 / 0\n", group="tasks", name="Mine-1")
    install("x = 1 / 0\n", group="commands", name="mine")

    for command in (
        ("list", "methods"), ("list", "tasks"), ("report", "--runs", tmp_path / "runs"), ("--help",), ("run", "--help"),
    ):  # fmt: skip
        result = run_rpobench(*command)
        assert result.returncode == 0, (command, result.stderr)

    assert run_rpobench("mine").returncode == 1
    assert "ZeroDivisionError" in run_rpobench("mine").stderr


TASK = "class Mine(PairedItems, TextTask):\n    name = 'Mine-1'\n    fields = ('text',)\n    cut_field = 'text'\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (TASK + "    def wrap(self, item): ...\n", "Mine has no `instruction`; set it in the class"),
        (TASK, "Mine has no `wrap`"),
        ("class Mine: ...\n", "Mine is no Task"),
        (TASK.replace("Mine-1", "Ours-1") + "    def wrap(self, item): ...\n", "calls itself 'Ours-1'"),
    ],
)
def test_a_task_that_forgets_something_is_one_line(install: PluginWriter, source: str, message: str) -> None:
    file = install(source, group="tasks", name="Mine-1")

    with pytest.raises(RpobenchError) as failure:
        get_task("Mine-1")

    assert str(failure.value).startswith(f"{file}:3: ") and message in str(failure.value)


def test_a_model_without_its_members_is_one_line(install: PluginWriter) -> None:
    file = install("class Odd:\n    identity = 'odd'\n\ndef Mine(argument):\n    return Odd()\n", group="models")

    with pytest.raises(RpobenchError, match=r"model 'mine': Odd has no `generate`; write all members") as failure:
        get_model("mine")

    assert str(failure.value).startswith(f"{file}:6: ")


def test_a_subclass_may_switch_off_training(install: PluginWriter) -> None:
    learns = "class Learns(Method):\n    trains = True\n    def fit(self, train, context): ...\n" + GOOD
    install(learns + "class Mine(Learns):\n    name = 'mine'\n    trains = False\n")

    assert get_method("mine").trains is False
