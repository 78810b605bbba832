"""Reads stored predictions of a trained module once more, as answers are read today."""

from __future__ import annotations

from dataclasses import replace

from rpobench.method.answering import reread_prediction
from rpobench.rpo.decoding import NO_ANSWER
from rpobench.rpo.form import Form
from rpobench.task.contract import Task
from rpobench.types import Prediction

DRAFT_STANDS = ": the draft stands"


def reread_module_prediction(task: Task, form: Form, prediction: Prediction, *, is_choice: bool) -> Prediction | None:
    """Read a module's stored prediction once more.

    Args:
        task: The task.
        form: In which the module writes.
        prediction: What was stored.
        is_choice: Whether the answer was chosen among several, or held against the draft: by what was read of them.

    Returns:
        The prediction with the answer of today. None where it would be another one whose text is not stored, or where
        it was a choice that might have been another.
    """
    if prediction.unanswered:
        return prediction

    if prediction.failure is None:
        reading: Prediction | None = replace(prediction, text=task.parse(prediction.raw))
        if reading and not reading.text:  # the draft would stand, and its words are not stored
            reading = None
    elif prediction.failure.startswith(NO_ANSWER):
        reading = _read_rewrite(task, form, prediction) or _read_draft(task, prediction)
    else:
        reading = _read_draft(task, prediction)

    if is_choice and reading != prediction:
        return None
    return reading


def _read_rewrite(task: Task, form: Form, prediction: Prediction) -> Prediction | None:
    """The answer in the rewrite, where one is read today; None where there is none."""
    trajectory = form.parse(prediction.trajectory or "")
    text = task.parse(trajectory.rewrite) if trajectory else ""

    if trajectory is None or not text:
        return None
    return replace(prediction, text=text, raw=trajectory.rewrite, failure=None)


def _read_draft(task: Task, prediction: Prediction) -> Prediction:
    """The draft as it is read today, where it stands in place of the module's answer."""
    if not (prediction.failure or "").endswith(DRAFT_STANDS):
        return prediction

    draft = reread_prediction(task, replace(prediction, failure=None))
    return replace(prediction, text=draft.text)
