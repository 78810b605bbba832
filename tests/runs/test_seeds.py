"""Untrained methods run once, unless they draw lots; and a label stands beside a run, not in its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rpobench.method.config import EvidenceConfig
from rpobench.method.context import PredictContext
from rpobench.registry import get_method
from rpobench.runs.benchmark import run
from rpobench.runs.plan import make_plan
from rpobench.runs.seeds import depends_on_seed
from rpobench.runs.summary import RunSummary
from rpobench.store.result_store import ResultStore
from rpobench.task.contract import Task
from rpobench.types import Example, Prediction, RpobenchError

pytestmark = pytest.mark.usefixtures("model")

NO_LOTS = ("zero-shot", "rag-bm25", "nearest-target", "copy-input", "majority", "profile-summary", "critique-rewrite")
LOTS = ("rag-random", "rpo", "sft-rag", "hydra", "per-user-lora")


def run_seeds(out: Path, method: str, **options: Any) -> list[RunSummary]:
    return run(make_plan(method=method, task="LaMP-3", out=out, limit=4, seeds=(1, 2), **options))


@pytest.mark.parametrize(("methods", "expected"), [(NO_LOTS, False), (LOTS, True)])
def test_what_a_method_declares_decides(methods: Sequence[str], expected: bool) -> None:
    for name in methods:
        method_class = get_method(name)
        assert depends_on_seed(method_class(method_class.Config())) is expected, name


def test_a_random_retriever_makes_any_method_draw_lots() -> None:
    rag = get_method("nearest-target")

    assert depends_on_seed(rag(rag.Config(retriever="random")))


def test_an_untrained_method_runs_once_for_all_seeds(tmp_path: Path) -> None:
    (once,) = run_seeds(tmp_path, "rag-bm25")
    (other_seed,) = run(make_plan(method="rag-bm25", task="LaMP-3", out=tmp_path, limit=4, seeds=(5,)))

    assert once.serves_every_seed and once.run == other_seed.run
    assert {stored.spec.seed for stored in ResultStore(tmp_path).find_runs()} == {0}


def test_a_method_that_draws_lots_runs_with_every_seed(tmp_path: Path) -> None:
    summaries = run_seeds(tmp_path, "rag-random")

    assert [summary.seed for summary in summaries] == [1, 2]
    assert not any(summary.serves_every_seed for summary in summaries)


def test_swapped_profiles_are_drawn_by_every_seed(tmp_path: Path) -> None:
    assert [summary.seed for summary in run_seeds(tmp_path, "rag-bm25", profiles="swapped")] == [1, 2]


def test_a_method_cannot_read_the_seed_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peek: Any = get_method("peek")

    def predict(self: Any, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, str(context.seed), "")

    monkeypatch.setattr(peek, "predict", predict)
    with pytest.raises(RpobenchError, match="draws_lots = True"):
        run_seeds(tmp_path, "peek")

    monkeypatch.setattr(peek, "draws_lots", True)
    assert len(run_seeds(tmp_path, "peek")) == 2


def test_a_random_retriever_cannot_be_used_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peek: Any = get_method("peek")

    def predict(self: Any, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        evidence = context.choose_evidence(task, examples, retriever="random", limits=EvidenceConfig())
        for example, drawn in zip(examples, evidence, strict=True):
            yield Prediction(example.id, drawn.ids[0], "")

    monkeypatch.setattr(peek, "predict", predict)
    with pytest.raises(RpobenchError, match="random, which draws lots"):
        run_seeds(tmp_path, "peek")

    monkeypatch.setattr(peek, "retrievers", lambda self: ("random",))
    assert len(run_seeds(tmp_path, "peek")) == 2


def test_a_label_is_stored_beside_the_run_and_renames_none(tmp_path: Path) -> None:
    (plain,) = run_seeds(tmp_path, "zero-shot")
    (labelled,) = run_seeds(tmp_path, "zero-shot", label="mine")
    (unchanged,) = run_seeds(tmp_path, "zero-shot")
    (cleared,) = run_seeds(tmp_path, "zero-shot", label="")

    assert {plain.run} == {summary.run for summary in (labelled, unchanged, cleared)}
    assert [summary.row for summary in (plain, labelled, unchanged, cleared)] == [
        "zero-shot", "mine", "mine", "zero-shot",
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["a,b", "x" * 61, "-v", "two\nlines", "\x1b[2J"])
def test_a_label_that_no_table_takes_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(RpobenchError, match="--label"):
        run_seeds(tmp_path, "zero-shot", label=label)


def test_one_label_for_several_methods_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match="--label mine: is of one row"):
        run_seeds(tmp_path, "zero-shot,rag-bm25", label="mine")
