"""Names: near matches, other people's packages, and nothing imported before it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import PLUGIN

from rpobench import get_method, get_model, get_retriever, get_task, registry
from rpobench.types import RpobenchError


@pytest.fixture(autouse=True)
def uncached_entry_points() -> Iterator[None]:
    registry._entry_points_by_name.cache_clear()
    yield
    registry._entry_points_by_name.cache_clear()


def test_every_built_in_name_loads() -> None:
    for name in registry.list_names("tasks"):
        assert get_task(name).name == name

    for name in ("zero-shot", "rag-bm25", "rpo"):
        assert get_method(name).name == name

    for name in registry.list_names("retrievers"):
        assert "rank" in dir(get_retriever(name))


def test_a_model_spec_is_a_name_and_what_its_factory_takes() -> None:
    assert get_model("scripted:generic").identity == "scripted:generic"
    with pytest.raises(RpobenchError, match="nonsense"):
        get_model("scripted:nonsense")


@pytest.mark.parametrize(
    ("group", "name", "near"),
    [
        ("tasks", "lamp3", "LaMP-3"),
        ("tasks", "LAMP-7", "LaMP-7"),
        ("methods", "zeroshot", "zero-shot"),
        ("methods", "rag-bm52", "rag-bm25"),
        ("models", "smollm", "smollm2-135m"),
        ("retrievers", "bm-25", "bm25"),
        ("methods", "qqqq", "zero-shot"),
    ],
)
def test_an_unknown_name_gets_its_near_matches(group: str, name: str, near: str) -> None:
    with pytest.raises(RpobenchError, match=f"unknown {group[:-1]} '{name}'.*{near}") as failure:
        registry.load_declared(group, name)

    assert "\n" not in str(failure.value)


def test_a_retriever_that_takes_nothing_is_given_nothing() -> None:
    with pytest.raises(RpobenchError, match="recency takes nothing after a colon"):
        get_retriever("recency:x")


def test_another_package_is_found_by_its_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))

    assert {"peek", "rpo"} <= set(registry.list_names("methods"))
    assert get_method("peek").__module__ == "toy_methods"
    assert get_task("Toy-1").metrics == {"rouge-1": "max", "rouge-L": "max"}


def test_a_name_declared_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "rival-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[rpobench.tasks]\nLaMP-3 = rival:Easier\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(RpobenchError, match=r"task 'LaMP-3' is declared twice, as .*rival:Easier"):
        registry.list_names("tasks")


def test_listing_names_imports_no_model_library() -> None:
    code = (
        "import sys; from rpobench import registry; from rpobench.cli import main; "
        "[registry.list_names(group) for group in registry.GROUPS]; "
        "print([name for name in ('torch', 'transformers', 'rpobench.rpo', 'toy_methods') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN)}

    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert process.stdout.strip() == "[]"


def test_a_retriever_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ranks:
        identity = "ranks"

    monkeypatch.setattr(registry, "load_declared", lambda group, name: Ranks)

    with pytest.raises(RpobenchError, match=r"retriever odd: Ranks is no Retriever; inherit it from rpobench.api"):
        get_retriever("odd")
