"""What a trained module is asked about each example: draft and evidence in one chat, fitted to its context window."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rpobench.method.context import Context, FitContext
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form
from rpobench.rpo.training_rows import TrainingRow
from rpobench.task.contract import Task
from rpobench.types import Chat, Evidence, Example, Labelled, Prediction


@dataclass(frozen=True)
class ModuleInput:
    """What the module is asked about one example.

    Attributes:
        task: The example's task.
        example: The input and its user.
        draft: The base model's answer; None where the form has no draft.
        evidence: The profile items in the chat, best first.
        chat: What the module reads.
        fits: False where the chat is longer than the context window even without evidence.
    """

    task: Task
    example: Example
    draft: Prediction | None
    evidence: Evidence
    chat: Chat
    fits: bool


@dataclass(frozen=True)
class InputBuilder:
    """Builds the inputs of a module, for training as for prediction.

    Attributes:
        form: What the module reads and writes.
        config: Its knobs: the retriever, the limits of evidence, the length of an answer.
        window: What fits into its context.
    """

    form: Form
    config: ModuleConfig
    window: ContextWindow

    def build(self, task: Task, examples: Sequence[Example], context: Context) -> list[ModuleInput]:
        """Build the input about each example. Only drafts and evidence that the form has are asked for.

        Args:
            task: The task of all the examples.
            examples: What the module is to answer.
            context: Where drafts and evidence come from.

        Returns:
            One input per example, in order.
        """
        drafts_by_id = context.get_drafts(task, examples) if self.form.draft else {}

        evidence_per_example = [Evidence()] * len(examples)
        if self.form.evidence:
            evidence_per_example = context.choose_evidence(
                task, examples, retriever=self.config.retriever, limits=self.config
            )

        return [
            self._build_input(task, example, drafts_by_id.get(example.id), evidence)
            for example, evidence in zip(examples, evidence_per_example, strict=True)
        ]

    def _build_input(self, task: Task, example: Example, draft: Prediction | None, evidence: Evidence) -> ModuleInput:
        """Show as much of the evidence as leaves room for the answer and for one repair of it."""

        def build_chat(shorter: Evidence) -> Chat:
            return self.form.build_chat(task, example, draft.text if draft else "", shorter.items)

        fitted = self.window.fit_evidence(evidence, build_chat, answer_tokens=2 * self.config.max_new_tokens)
        remaining = Evidence((), evidence.cut) if fitted is None else fitted
        return ModuleInput(task, example, draft, remaining, build_chat(remaining), fits=fitted is not None)


def build_training_rows(
    labelled_by_task: Mapping[Task, Sequence[Labelled]], context: FitContext, builder: InputBuilder
) -> list[TrainingRow]:
    """Build the training rows of all tasks. What exceeds the context window is left out and counted on stderr.

    So is what the base model refused to draft, see `FitContext.left_out`.

    Args:
        labelled_by_task: The training examples with their targets.
        context: Where drafts and evidence come from.
        builder: Builds the same inputs that the module meets in prediction.

    Returns:
        The rows that fit, task by task, in the order of the examples.
    """
    rows = []
    for task, labelled in labelled_by_task.items():
        inputs = builder.build(task, [pair.example for pair in labelled], context)

        for module_input, pair in zip(inputs, labelled, strict=True):
            if builder.form.draft and module_input.draft is None:
                continue  # the model refused to draft it
            if module_input.fits:
                draft = module_input.draft.text if module_input.draft else ""
                rows.append(TrainingRow(task, pair.example, pair.target, draft, module_input.evidence.items))

        too_long = sum(not module_input.fits for module_input in inputs)
        if too_long:
            print(
                f"{task.name}: {too_long} of {len(inputs)} training inputs exceed the module's context", file=sys.stderr
            )
    return rows
