"""Which code a method is, and that a built-in one changes only with its version, or knowingly."""

from __future__ import annotations

import json
import py_compile
from importlib.resources import files
from typing import Any

import pytest
from edited_plugin import EditedPlugin

from rpobench.method.code import VOUCHED_FILE, MethodCode, identify_code
from rpobench.registry import get_method, list_names


def identify(name: str = "edited") -> MethodCode:
    return identify_code(get_method(name))


def test_code_names_distribution_and_modules(edited_plugin: EditedPlugin) -> None:
    code = identify()

    assert (code.distribution, code.version) == ("edited-methods", "0.3")
    assert list(code.modules) == ["edited_methods.digits", "edited_methods.method", "edited_methods.words"]
    assert code.to_json().keys() == {"sha256", "distribution", "version", "modules"}


def test_a_module_imported_by_an_imported_one_counts(edited_plugin: EditedPlugin) -> None:
    before = identify()

    edited_plugin.edit("digits.py", '"1"', '"2"')

    assert identify().sha256 != before.sha256
    assert identify().find_changed_file(before.modules) == str(edited_plugin.package / "digits.py")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("unrelated.py", "X = 1", "X = 2"),
        ("learner.py", '"1"', '"2"'),
        ("method.py", "Says it to everybody.", "Says the same."),
        ("words.py", "    return", "    # the first\n    return"),
    ],
)
def test_what_changes_no_prediction_changes_no_hash(edited_plugin: EditedPlugin, file: str, old: str, new: str) -> None:
    before = identify()

    edited_plugin.edit(file, old, new)

    assert identify().sha256 == before.sha256


def test_a_module_that_is_gone_is_named(edited_plugin: EditedPlugin) -> None:
    before = identify()
    edited_plugin.edit("words.py", "from . import digits", "")

    assert identify().find_changed_file(before.modules) == "edited_methods.digits"


def test_without_source_compiled_code_counts(edited_plugin: EditedPlugin) -> None:
    hashes = []
    for digit in ("1", "2"):
        source = edited_plugin.package / "digits.py"
        source.write_text(f'ONE = "{digit}"\n')
        py_compile.compile(str(source), cfile=str(source.with_suffix(".pyc")))
        source.unlink()
        edited_plugin.forget()
        hashes.append(identify().sha256)

    assert hashes[0] != hashes[1]


@pytest.mark.parametrize("change", ["return 'b'", "return 'a', ", "return self.word"])
def test_a_class_without_a_file_is_its_code_objects(change: str) -> None:
    def make(body: str) -> Any:
        scope: dict[str, Any] = {"__name__": "nowhere.to.be.read"}
        lines = "from rpobench.api import Method\nclass Own(Method):\n    name = 'own'\n    word = 'a'\n"
        exec(f"{lines}    def predict(self, task, examples, context):\n        {body}\n", scope)
        return scope["Own"]

    assert identify_code(make("return 'a'")).sha256 == identify_code(make("return 'a'  # b")).sha256
    assert identify_code(make("return 'a'")).sha256 != identify_code(make(change)).sha256


def test_what_is_loaded_is_hashed_once(edited_plugin: EditedPlugin) -> None:
    method_class = get_method("edited")
    before = identify_code(method_class)

    (edited_plugin.package / "digits.py").write_text('ONE = "5"\n')

    assert identify_code(method_class) == before, "the loaded code is still that of before"


def test_vouched_sources_predict_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    code = identify("rag-bm25")
    monkeypatch.setattr("rpobench.method.code._vouched_hashes", lambda method, version: ("earlier", code.sha256))

    assert code.predicts_as("earlier") and code.predicts_as(code.sha256)
    assert not code.predicts_as("somebody's edit")
    assert code.key == "earlier"


def test_built_in_code_changes_with_its_version_or_knowingly() -> None:
    """What made results on other machines is taken for today's code only if somebody decided that it predicts alike."""
    vouched = json.loads((files("rpobench.method") / VOUCHED_FILE).read_text(encoding="utf-8"))

    for name in list_names("methods"):
        code = identify(name)
        if code.distribution == "rpobench":
            assert code.sha256 in vouched.get(name, {}).get(code.method_version, []), (
                f"the code of {name} changed: raise its version; or, if every prediction stays as it was, "
                f"say so with `python benchmarks/vouch_code.py`"
            )
