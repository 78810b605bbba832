"""Runs without any text: what is left of a prediction, and how such a run is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rpobench.data.dataset import DataSet
from rpobench.scoring.floors import rate_data_references
from rpobench.scoring.result import count_predictions, describe_evidence
from rpobench.store.packed_runs import PackedRun
from rpobench.store.results import StoredResult, list_known_fields, parse_stored
from rpobench.store.stored_run import StoredRun
from rpobench.task.contract import Task
from rpobench.types import Prediction

WITHHELD: Final = "withheld"  # in place of a failure's words: that it failed counts
NOTE = "texts withheld: metrics computed anew from the scores of the examples, answers cannot be read"

# What stays of a line of `predictions.jsonl`: ids, numbers and marks.
FIELDS = ("example_id", "evidence", "usage", "cut", "unanswered", "kept", "permanent", "truncated", "seconds")
TEXT_FIELDS = ("text", "raw", "draft", "trajectory")

Predictions = Mapping[str, Prediction]  # by example id
Json = Mapping[str, Any]


def withhold_texts(run: PackedRun) -> PackedRun:
    """Leave out every text that a model wrote or a person did.

    Args:
        run: The run with its lines.

    Returns:
        The run with ids, scores, measures, usage and evidence ids; fields of its result that this version does not know
        are left out, since nobody knows what they hold.

    Raises:
        RpobenchError: The result is damaged.
    """
    result = list_known_fields(parse_stored(StoredResult, run.result, f"{run.name}: result"))
    lines = [_withhold_line(line) for line in run.lines]

    return replace(run, result={**result, "scores_only": True}, lines=lines)


def _withhold_line(line: Json) -> Json:
    failure = None if line.get("failure") is None else WITHHELD

    return {name: line[name] for name in FIELDS if name in line} | dict.fromkeys(TEXT_FIELDS) | {"failure": failure}


def find_texts(predictions: Predictions) -> list[str]:
    """Say where predictions hold a text that the result calls withheld."""
    faults = []
    for example_id, prediction in predictions.items():
        texts = [getattr(prediction, name) for name in TEXT_FIELDS]
        if any(texts) or prediction.failure not in (None, WITHHELD):
            faults.append(f"{example_id}: its prediction holds a text, and result.json says that texts are withheld")
    return faults


def list_data_facts(task: Task, data_set: DataSet, predictions: Predictions) -> dict[str, Any]:
    """List the fields of a result that need no answer.

    Args:
        task: The task.
        data_set: The examples with their targets.
        predictions: The predictions, without texts.

    Returns:
        The fields; of the examples without measures, of the references without the drafts.
    """
    ordered_predictions = [predictions[labelled.example.id] for labelled in data_set.labelled]
    references = rate_data_references(task, data_set)

    examples = {}
    for labelled in data_set.labelled:
        example = labelled.example
        scores = {name: reference.scores[example.id] for name, reference in references.items()}
        profile_items = len(example.profile)
        examples[example.id] = {"user": example.user_id, "profile_items": profile_items, "references": scores}

    return {
        "examples": examples,
        "references": {name: reference.metrics for name, reference in references.items()},
        "evidence": describe_evidence(ordered_predictions, data_set.topics),
        "users": data_set.users,
        **count_predictions(task, ordered_predictions),
    }


def leave_out_answers(result: Json) -> Json:
    """Leave out of a result what only answers tell: measures of examples, and what the drafts score.

    Args:
        result: The content of `result.json`.

    Returns:
        The rest, to be held against `list_data_facts`.
    """
    rest = {**result, "references": _without_drafts(result["references"])}

    if "examples" in result:
        rest["examples"] = {}
        for example_id, example in result["examples"].items():
            facts = {name: value for name, value in example.items() if name != "measures"}
            rest["examples"][example_id] = {**facts, "references": _without_drafts(example["references"])}
    return rest


def _without_drafts(references: Json) -> Json:
    return {name: value for name, value in references.items() if name != "draft"}


def find_other_targets(run: StoredRun, task: Task, data_set: DataSet) -> list[str]:
    """Find measures of labels and ratings that were taken with another target; those of texts do not tell it."""
    if not task.labels or run.result.examples is None:
        return []

    faults = []
    for labelled in data_set.labelled:
        example_id, target = labelled.example.id, labelled.target
        stored = run.result.examples[example_id].measures
        if list(task.measure(target, target)[1:]) != stored[1:]:
            faults.append(f"result.json: examples.{example_id}.measures are not of its target")
    return faults
