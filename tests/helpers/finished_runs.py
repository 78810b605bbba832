"""Finished runs on synthetic data, written as the runner writes them, with answers by rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from rpobench import get_task
from rpobench.data.dataset import DataSet
from rpobench.data.synth.world import generate
from rpobench.runs.environment import hash_prompts
from rpobench.scoring.result import score
from rpobench.store.files import write_json
from rpobench.store.predictions import append_predictions
from rpobench.store.result_store import ResultStore
from rpobench.store.results import SCHEMA_VERSION
from rpobench.store.spec import DataSpec, RunSpec
from rpobench.types import Labelled, Prediction, Usage

AnswerRule = Callable[[int, str, Random], str | None]  # from position, target and lots; None where no answer came
DraftRule = Callable[[int, str], str]  # from position and target
DATA_FIELDS = ("split", "limit", "source")


def draft_middle_rating(position: int, target: str) -> str:
    """Draft the rating that fits nobody badly."""
    return "3"


def write_finished_run(
    runs: Path,
    method: str,
    answer: AnswerRule,
    *,
    task: str = "LaMP-3",
    n: int = 24,
    texts: bool = True,
    draft: DraftRule = draft_middle_rating,
    **changes: Any,
) -> Path:
    """Write one run.

    Args:
        runs: The folder of runs.
        method: What the run says its method is.
        answer: What it answers.
        task: The name of the task.
        n: How many examples it has.
        texts: Whether its texts may be shown.
        draft: What the base model drafts.
        **changes: Other values of fields of the spec or of its data.

    Returns:
        The folder of the run.
    """
    data_fields = {name: changes.pop(name) for name in DATA_FIELDS if name in changes}
    scored_task = get_task(task)
    data = generate(task, data_fields.get("split", "dev"), n)
    spec = RunSpec(
        task=f"{task}@{scored_task.version}",
        data=DataSpec(**{"source": data.source, "split": "dev", "sha256": data.sha256, **data_fields}),
        **{"method": method, "version": "1", "config": {}, "base_model": "m", "seed": 0, **changes},
    )
    predictions = _make_predictions(spec, data, answer, draft)

    folder = ResultStore(runs).run_folder(spec)
    hashes = hash_prompts(scored_task, data)
    environment = {
        "data_sha256": data.sha256,
        "prompt_sha256": hashes.today,
        "recorded_prompt_sha256": hashes.recorded,
    }
    result = score(scored_task, data, predictions)
    result |= {"seconds": 1.5, "texts": texts, "schema": SCHEMA_VERSION, "synthetic": True}

    write_json(folder / "spec.json", spec.content())
    write_json(folder / "environment.json", environment)
    append_predictions(folder / "predictions.jsonl", list(predictions.values()), seconds=1.5)
    write_json(folder / "result.json", result)
    return folder


def _make_predictions(spec: RunSpec, data: DataSet, answer: AnswerRule, draft: DraftRule) -> dict[str, Prediction]:
    """The predictions of all examples by id; equal runs answer alike."""
    rng = Random(f"{spec.method}/{spec.seed}/{spec.profiles}")
    shown_count = spec.config.get("k", 0)

    predictions = {}
    for position, labelled in enumerate(data.labelled):
        text = answer(position, labelled.target, rng)
        prediction = _make_prediction(labelled, text, draft(position, labelled.target), shown_count)
        predictions[prediction.example_id] = prediction
    return predictions


def _make_prediction(labelled: Labelled, text: str | None, draft: str, shown_count: int) -> Prediction:
    evidence = tuple(item.id for item in labelled.example.profile[:shown_count])
    prediction = Prediction(labelled.example.id, text or "", text or "", draft, evidence, Usage(1, 100, 5, 0.5))
    if text is None:
        return replace(prediction, failure="HTTP 500", unanswered=True)

    return prediction
