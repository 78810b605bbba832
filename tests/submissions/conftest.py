"""Fixtures of what is packed: the folders of the command, and a run with a fit beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from packing import change_json
from run_answers import perfect

from rpobench.store.files import write_json
from rpobench.store.result_store import ResultStore
from rpobench.store.spec import FitSpec
from rpobench.store.stored_run import FIT_COST

Make = Callable[..., Path]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[object, ...]:
    return ("--runs", tmp_path / "runs", "--out", tmp_path / "packed")


@pytest.fixture
def trained(make_run: Make, tmp_path: Path) -> Path:
    """The folder of a fit whose run lies beside it."""
    spec = FitSpec(method="good", version="1", config={}, train_tasks=("LaMP-3@1",), data=(), base_model="m", seed=0)
    run, fit = make_run("good", perfect, fit=spec.digest()), ResultStore(tmp_path / "runs").fit_folder(spec.digest())
    write_json(fit / "spec.json", spec.content())
    write_json(fit / FIT_COST, {"seconds": 9.0, "started": None, "usage": None, "tokens": None})
    change_json(run / "result.json", fit_seconds=9.0)
    return fit
