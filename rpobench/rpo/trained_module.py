"""What all trained modules share as methods of the benchmark: fit, save, load and predict."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.method.token_work import ModelWork
from rpobench.models.protocol import LanguageModel
from rpobench.rpo.answering import answer_inputs, apply_gate
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import ContextWindow, read_context_window
from rpobench.rpo.decoding import Answer, ReflectionModule
from rpobench.rpo.form import Form
from rpobench.rpo.module_input import InputBuilder, ModuleInput
from rpobench.rpo.reflection_model import reflection_checkpoint, reflection_identity, trainable_model
from rpobench.rpo.rereading import DRAFT_STANDS, reread_module_prediction
from rpobench.rpo.token_work import count_prediction_tokens, count_training_tokens
from rpobench.rpo.trajectories.file import TRAJECTORIES
from rpobench.rpo.writers import get_writer
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, Prediction, RpobenchError, Usage

TOO_LONG = "the input alone exceeds the module's context"


class TrainedModule(Method):
    """A language model trained on LaMP's own examples in the form `form`; it answers in place of the base model.

    Label tasks end with the same `choose` as every other method, after the module's own analysis where it writes one.
    """

    trains = True
    version = "8"
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {"quick": {"scope": "shared", "sft_epochs": 2.0}}
    Config: ClassVar[type[BaseModel]] = ModuleConfig  # type: ignore[assignment]  # a subclass of Method's own
    applied: ClassVar[frozenset[str]] = frozenset({"n", "select"})
    form: Form

    def __init__(
        self, config: BaseModel, *, adapter: Path | None = None, reflector: LanguageModel | None = None
    ) -> None:
        """Make a module, untrained unless it is handed an adapter.

        Args:
            config: The knobs.
            adapter: The folder of a trained adapter.
            reflector: A model that answers in place of the reflection model and its adapter.
        """
        super().__init__(config)

        self._adapter = adapter
        self._substitute = reflector
        self._work_folder: Path | None = None

    def models(self) -> Mapping[str, str]:
        return {**super().models(), "reflection": reflection_identity(self.config.reflection_model)}

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        return [[self.form.sample(task) for task in tasks]]

    def retrievers(self) -> Sequence[str]:
        return super().retrievers() if self.form.evidence else ()

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tasks)] if self.config.scope == "shared" else super().fit_groups(tasks)

    def fit(self, train: Mapping[Task, Sequence[Labelled]], context: FitContext) -> None:
        from rpobench.rpo.training.arguments import check_reports
        from rpobench.rpo.training.job import TrainingJob
        from rpobench.rpo.training.stage import count_trained_tokens
        from rpobench.rpo.training.stages import read_writing_usage, train_module

        check_reports(self.config.report_to)  # before the training examples are drafted
        checkpoint = Path(trainable_model(self.config.reflection_model).path)
        job = TrainingJob(
            form=self.form,
            config=self.config,
            checkpoint=checkpoint,
            window=read_context_window(checkpoint),
            folder=context.folder,
            seed=context.seed,
        )
        writer = get_writer(
            self.config,
            context.folder / "written",
            seed=context.seed,
            left_out=context.left_out,
            privacy=context.privacy,
        )

        self._work_folder = context.folder
        self._adapter = train_module(job, train, context, writer)
        self.fit_usage = read_writing_usage(context.folder)
        self.fit_tokens = count_trained_tokens(context.folder)

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        inputs = InputBuilder(self.form, self.config, self._window).build(task, examples, context)
        fitting = [module_input for module_input in inputs if module_input.fits]

        answers = self._answer_inputs(task, fitting, context)
        self._report_repairs(task, answers)
        if self._gate is not None:
            answers = self._apply_gate(task, fitting, answers, context)

        example_ids = [module_input.example.id for module_input in fitting]
        answers_by_id = dict(zip(example_ids, answers, strict=True))
        for module_input in inputs:
            answer = answers_by_id.get(module_input.example.id)
            yield write_prediction(module_input, answer, has_gate=self._gate is not None)

    def count_prediction_work(self, task: Task, examples: Sequence[Example], context: PredictContext) -> ModelWork:
        builder = InputBuilder(self.form, self.config, self._window)
        return ModelWork(self.config.reflection_model, count_prediction_tokens(builder, task, examples, context))

    def count_training_work(self, examples_by_task: Mapping[Task, Sequence[Example]], context: FitContext) -> ModelWork:
        builder = InputBuilder(self.form, self.config, self._window)
        return ModelWork(self.config.reflection_model, count_training_tokens(builder, examples_by_task, context))

    def read_again(self, task: Task, prediction: Prediction) -> Prediction | None:
        is_choice = self.config.n > 1 or self._gate is not None
        return reread_module_prediction(task, self.form, prediction, is_choice=is_choice)

    def _answer_inputs(self, task: Task, inputs: Sequence[ModuleInput], context: PredictContext) -> list[Answer]:
        """The module's answer to each input, in order."""
        return answer_inputs(self._module(context.seed), task, inputs)

    def _report_repairs(self, task: Task, answers: Sequence[Answer]) -> None:
        retry_count = sum(answer.retry_count for answer in answers)
        repair_count = sum(answer.repair_count for answer in answers)

        if retry_count:
            print(
                f"{task.name}: {retry_count} of {len(answers) * self.config.n} answers missed a line of the required "
                f"format; {repair_count} were repaired",
                file=sys.stderr,
            )

    @property
    def _gate(self) -> float | None:
        """By how much the draft must be likelier than the answer to be kept; None where there is no gate."""
        return None

    def _apply_gate(
        self, task: Task, inputs: Sequence[ModuleInput], answers: Sequence[Answer], context: PredictContext
    ) -> list[Answer]:
        """The answers, with what the gate says of each. How many drafts it keeps is said on stderr."""
        assert self._gate is not None

        # Only an answer that differs from its draft has something to be compared with.
        contested, drafts = [], []
        for index, (module_input, answer) in enumerate(zip(inputs, answers, strict=True)):
            if answer.text and module_input.draft and module_input.draft.text != answer.text:
                contested.append(index)
                drafts.append(module_input.draft.text)

        gated = apply_gate(
            self._module(context.seed), [answers[index] for index in contested], drafts, margin=self._gate
        )
        keep_count = sum(answer.keeps_draft for answer in gated)
        print(
            f"{task.name}: {keep_count} of {len(inputs)} drafts were kept because the module rated them higher than "
            "its rewrite",
            file=sys.stderr,
        )

        gated_by_index = dict(zip(contested, gated, strict=True))
        return [gated_by_index.get(index, answer) for index, answer in enumerate(answers)]

    def _module(self, seed: int) -> ReflectionModule:
        return ReflectionModule(self._reflector, self.form, self.config, self._window, seed)

    @cached_property
    def _reflector(self) -> LanguageModel:
        from rpobench.models.local.transformers import TransformersModel

        if self._substitute:
            return self._substitute

        return TransformersModel(reflection_checkpoint(self.config.reflection_model), adapter=self._adapter)

    @cached_property
    def _window(self) -> ContextWindow:
        checkpoint = getattr(self._reflector, "path", None)
        return read_context_window(checkpoint) if checkpoint else ContextWindow()

    def save(self, path: Path) -> None:
        """Save the adapter, the trajectories it learned from, and the training log and reports of each stage."""
        from rpobench.rpo.training.stage import REPORTS

        assert self._adapter is not None and self._work_folder is not None
        shutil.copytree(self._adapter, path / "adapter", ignore=shutil.ignore_patterns("log.jsonl", REPORTS))
        shutil.copy2(self._work_folder / TRAJECTORIES, path)

        for adapter in self._work_folder.glob("*/adapter"):
            stage_name = adapter.parent.name
            if (adapter / "log.jsonl").exists():
                shutil.copy2(adapter / "log.jsonl", path / f"{stage_name}.jsonl")
            if (adapter / REPORTS).exists():
                shutil.copytree(adapter / REPORTS, path / REPORTS / stage_name)

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> TrainedModule:
        """Load the module with its adapter.

        Args:
            path: The folder that `save` wrote to.
            config: The knobs.

        Returns:
            The module.

        Raises:
            RpobenchError: Only the logs were kept, as of committed runs.
        """
        if not (path / "adapter").is_dir():
            raise RpobenchError(f"{path / 'adapter'}: not there: move {path.parent} away and train it again")

        return cls(config, adapter=path / "adapter")


def write_prediction(module_input: ModuleInput, answer: Answer | None, *, has_gate: bool) -> Prediction:
    """Write the prediction: the module's answer, or what stands in its place, with the reason.

    Args:
        module_input: What the module was asked.
        answer: What it answered; None where the input did not fit its context.
        has_gate: Whether the module compares its answers with the drafts.

    Returns:
        The answer. Where there is none, or where the gate keeps the draft: the draft. Where there is no draft either:
        the module's bare text.
    """
    draft, evidence = module_input.draft, module_input.evidence
    failure = answer.failure if answer else TOO_LONG
    keeps_draft = answer is not None and answer.keeps_draft

    usage = draft.usage if draft else Usage()
    text, raw = "", ""
    if answer:
        usage += answer.usage
        text, raw = answer.text, answer.raw

    if draft and (failure or keeps_draft):
        text, raw = draft.text, draft.raw
    elif failure and answer:
        text = raw = answer.module_text.strip()

    return Prediction(
        module_input.example.id,
        text=text,
        raw=raw,
        draft=draft.text if draft else None,
        evidence=evidence.ids,
        usage=usage,
        cut=evidence.cut,
        failure=f"{failure}{DRAFT_STANDS}" if failure and draft else failure,
        trajectory=answer.module_text if answer else None,
        draft_kept=keeps_draft if has_gate else None,
    )
