"""What rows are called: what differs from the reference row, or the label, and never a list of defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rpobench.method.contract import choose_preset_values
from rpobench.registry import get_method
from rpobench.scoring.row_labels import label_runs
from rpobench.store.results import StoredEnvironment, StoredResult
from rpobench.store.spec import RunSpec
from rpobench.store.stored_run import FolderReader, StoredRun

DATA = {"source": "synth-v2", "split": "dev", "sha256": "d" * 64}
RESULT = {
    "schema": 2, "metrics": {"MAE": 1.0}, "strict": {"MAE": 1.0}, "scores": {}, "n": 1, "failed": 0, "references": {},
    "seconds": 1.0, "usage": {}, "users": "given", "main_metric": "MAE", "directions": {"MAE": "min"}, "texts": True,
    "synthetic": True,
}  # fmt: skip


def make_run(method: str, config: Mapping[str, Any], label: str | None = None, **changes: Any) -> StoredRun:
    """A finished run of a method with this config."""
    spec = {"task": "LaMP-3@2", "method": method, "version": "1", "base_model": "m", "seed": 0, "data": DATA}
    environment = {"data_sha256": "d" * 64, "prompt_sha256": "p" * 64, "label": label}

    return StoredRun(
        spec=RunSpec.model_validate({**spec, "config": dict(config), **changes}),
        result=StoredResult.model_validate(RESULT),
        environment=StoredEnvironment.model_validate(environment),
        folder=Path("runs/run"),
        fit_folder=None,
        fit_spec=None,
        reader=FolderReader(Path("runs/run"), None),
    )


def configure(method: str, preset: str = "", **settings: Any) -> StoredRun:
    """A finished run of an installed method, as `rpobench run --preset` makes its spec."""
    method_class = get_method(method)
    config = method_class.Config(**{**choose_preset_values(method_class, preset), **settings})
    configured = method_class(config)

    return make_run(method, config.model_dump(mode="json"), knobs=configured.changed_knobs())


@pytest.mark.parametrize("preset", ["", "quick"])
def test_rows_are_named_by_what_differs_from_the_reference(preset: str) -> None:
    runs = [configure("rpo", preset), configure("rpo", preset, draft=False), configure("rpo", preset, k=1)]

    assert label_runs(runs) == ["rpo", "rpo draft=off", "rpo k=1"]


@pytest.mark.parametrize("preset", ["", "quick"])
def test_an_ablation_that_stands_alone_is_named_too(preset: str) -> None:
    assert label_runs([configure("rpo", preset, draft=False)]) == ["rpo draft=off"]


def test_rows_of_two_presets_are_two_rows() -> None:
    first, second = label_runs([configure("rag-bm25"), configure("rag-bm25", "quick")])

    assert first == "rag-bm25" and second != first


def test_specs_without_knobs_are_held_against_the_defaults() -> None:
    config = get_method("rag-bm25").Config(k=2).model_dump(mode="json")

    assert label_runs([make_run("rag-bm25", config)]) == ["rag-bm25 k=2"]


def test_a_label_takes_the_place_of_method_and_knobs() -> None:
    config = get_method("rpo").Config(k=1).model_dump(mode="json")

    assert label_runs([make_run("rpo", config, "mine", knobs={"k": 1})]) == ["mine"]


def test_rows_of_one_label_that_differ_are_told_apart() -> None:
    runs = [make_run("a", {"k": 1}, "mine", knobs={}), make_run("a", {"k": 2}, "mine", knobs={"k": 2})]
    other_method = make_run("b", {"k": 1}, "mine", knobs={})

    assert label_runs(runs) == ["mine k=1", "mine k=2"]
    assert label_runs([runs[0], other_method]) == ["mine method=a", "mine method=b"]
    assert label_runs([make_run("b", {}, "mine"), runs[1]]) == ["mine method=b", "mine method=a"]


def test_the_newest_version_stands_without_its_number() -> None:
    runs = [make_run("a", {}, version=version) for version in ("9", "10")]

    assert label_runs(runs) == ["a version=9", "a"]


def test_a_method_that_is_not_installed_is_named_by_its_knobs() -> None:
    runs = [make_run("gone", {"k": 4}, knobs={}), make_run("gone", {"k": 8}, knobs={"k": 8})]

    assert label_runs(runs) == ["gone", "gone k=8"]
