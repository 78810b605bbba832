"""What a trained module is asked about each example: draft and evidence, fitted to its context, in one chat."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rpobench.method.context import Context, FitContext
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import Room
from rpobench.rpo.form import Form
from rpobench.rpo.rows import Question, TrainingRow
from rpobench.task.contract import Task
from rpobench.types import Chat, Evidence, Example, Labelled, Prediction


def questions(
    task: Task, examples: Sequence[Example], ctx: Context, form: Form, config: ModuleConfig, room: Room
) -> list[Question]:
    """The question about each example, in order. Drafts and evidence are asked for only where the form has them."""
    drafts = ctx.drafts(task, examples) if form.draft else {}
    shown = [Evidence()] * len(examples)
    if form.evidence:
        shown = ctx.evidence(task, examples, retriever=config.retriever, limits=config)
    return [
        _fitted(task, example, drafts.get(example.id), evidence, form, room, 2 * config.max_new_tokens)  # written, led
        for example, evidence in zip(examples, shown, strict=True)
    ]


def _fitted(
    task: Task, example: Example, draft: Prediction | None, evidence: Evidence, form: Form, room: Room, answer: int
) -> Question:
    """With as much of the evidence as leaves room for an answer of that many tokens."""

    def ask(shown: Evidence) -> Chat:
        return form.chat(task, example, draft.text if draft else "", shown.items)

    shown = room.fit(evidence, ask, answer=answer)
    left = Evidence((), evidence.cut) if shown is None else shown
    return Question(task, example, draft, left, ask(left), shown is not None)


def training_rows(
    train: Mapping[Task, Sequence[Labelled]], ctx: FitContext, form: Form, config: ModuleConfig, room: Room
) -> list[TrainingRow]:
    """The rows of all tasks whose question fits; the others are counted on stderr."""
    rows = []
    for task, labelled in train.items():
        asked = questions(task, [one.example for one in labelled], ctx, form, config, room)
        rows += [
            TrainingRow(task, one.example, pair.target, one.draft.text if one.draft else "", one.evidence.items)
            for one, pair in zip(asked, labelled, strict=True)
            if one.fits
        ]
        long = sum(not one.fits for one in asked)
        if long:
            print(f"{task.name}: {long} of {len(asked)} training inputs exceed the module's context", file=sys.stderr)
    return rows
