"""What all trained modules share: fit, save, load and predict."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from rpobench.method.config import QUICK_EVIDENCE
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.models.protocol import LanguageModel
from rpobench.registry import get_model
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import Room, checkpoint_room
from rpobench.rpo.decoding import Answer, answers, gated
from rpobench.rpo.form import Form
from rpobench.rpo.module_input import questions
from rpobench.rpo.rows import Question
from rpobench.rpo.trajectories.records import TRAJECTORIES
from rpobench.rpo.trajectories.writers import get_writer
from rpobench.task.contract import Task
from rpobench.types import Example, Labelled, Prediction, RpobenchError, Usage

TOO_LONG = "the input alone exceeds the module's context"


class TrainedModule(Method):
    """A language model trained on LaMP's own examples in the form `form`; it answers in place of the base model.

    Label tasks end with the same `choose` as every other method, after the module's own analysis where it writes one.
    """

    trains = True
    version = "8"
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {**QUICK_EVIDENCE, "scope": "shared", "sft_epochs": 2.0}
    }
    Config: ClassVar[type[BaseModel]] = ModuleConfig  # type: ignore[assignment]  # a subclass of Method's own
    applied: ClassVar[frozenset[str]] = frozenset({"n", "select"})
    form: Form

    def __init__(
        self, config: BaseModel, *, adapter: Path | None = None, reflector: LanguageModel | None = None
    ) -> None:
        super().__init__(config)
        self._adapter, self._given_reflector = adapter, reflector
        self._work: Path | None = None

    def models(self) -> Mapping[str, str]:
        return {**super().models(), "reflection": reflection_model(self.config.reflection_model).identity}

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        return [[self.form.sample(task) for task in tasks]]

    def retrievers(self) -> Sequence[str]:
        return super().retrievers() if self.form.evidence else ()

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tasks)] if self.config.scope == "shared" else super().fit_groups(tasks)

    def fit(self, train: Mapping[Task, Sequence[Labelled]], ctx: FitContext) -> None:
        from rpobench.rpo.training.common import check_reports, trained_tokens
        from rpobench.rpo.training.stages import train_stages, writing_usage

        check_reports(self.config.report_to)  # before the training examples are drafted
        checkpoint = reflection_checkpoint(self.config.reflection_model)
        self._work = ctx.folder
        writer = get_writer(self.config, ctx.folder / "written", seed=ctx.seed)
        self._adapter = train_stages(train, self.form, self.config, checkpoint, ctx, writer, ctx.folder / TRAJECTORIES)
        self.fit_usage = writing_usage(ctx.folder)
        self.fit_tokens = trained_tokens(ctx.folder)

    def predict(self, task: Task, examples: Sequence[Example], ctx: PredictContext) -> Iterator[Prediction]:
        asked = questions(task, examples, ctx, self.form, self.config, self._room)
        fitting = [one for one in asked if one.fits]
        made = self._answers(task, fitting, ctx)
        found = dict(zip((one.example.id for one in fitting), made, strict=True))
        judged = self._gated(task, fitting, found)
        for one in asked:
            yield _prediction(one, judged.get(one.example.id), has_gate=self._gate is not None)

    def _answers(self, task: Task, asked: Sequence[Question], ctx: PredictContext) -> list[Answer]:
        """The module's answer to each question, in order."""
        return answers(self._reflector, self.form, task, asked, self.config, self._room, seed=ctx.seed)

    @property
    def _gate(self) -> float | None:
        """By how much the draft must be likelier than the answer to be kept; None where there is no gate."""
        return None

    def _gated(self, task: Task, asked: Sequence[Question], found: Mapping[str, Answer]) -> Mapping[str, Answer]:
        """The answers, with what the gate says of each. The share kept is told on stderr."""
        if self._gate is None:
            return found
        drafts = {one.example.id: one.draft.text for one in asked if one.draft}
        contested = {id_: one for id_, one in found.items() if one.text and drafts.get(id_, one.text) != one.text}
        judged = gated(self._reflector, [(one, drafts[id_]) for id_, one in contested.items()], self._gate, self._room)
        print(
            f"{task.name}: the gate kept {sum(bool(one.kept) for one in judged)} of {len(asked)} drafts",
            file=sys.stderr,
        )
        return {**found, **dict(zip(contested, judged, strict=True))}

    @cached_property
    def _reflector(self) -> LanguageModel:
        from rpobench.models.local.transformers import TransformersModel

        return self._given_reflector or TransformersModel(
            reflection_checkpoint(self.config.reflection_model), adapter=self._adapter
        )

    @cached_property
    def _room(self) -> Room:
        path = getattr(self._reflector, "path", None)
        return checkpoint_room(path) if path else Room()

    def save(self, path: Path) -> None:
        """The adapter, the trajectories it learned from, and the training log and reports of each stage."""
        from rpobench.rpo.training.common import REPORTS

        assert self._adapter is not None and self._work is not None
        shutil.copytree(self._adapter, path / "adapter", ignore=shutil.ignore_patterns("log.jsonl", REPORTS))
        shutil.copy2(self._work / TRAJECTORIES, path)
        for log in self._work.glob("*/adapter/log.jsonl"):
            shutil.copy2(log, path / f"{log.parts[-3]}.jsonl")
        for reports in self._work.glob(f"*/adapter/{REPORTS}"):
            shutil.copytree(reports, path / REPORTS / reports.parts[-3])

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> TrainedModule:
        """The module with its adapter. Raises RpobenchError where only the logs were kept, as of committed runs."""
        if not (path / "adapter").is_dir():
            raise RpobenchError(f"{path / 'adapter'}: not there: move {path.parent} away and train it again")
        return cls(config, adapter=path / "adapter")


def reflection_checkpoint(spec: str) -> Path:
    """The folder of the reflection model."""
    return Path(reflection_model(spec).path)


def reflection_model(spec: str) -> Any:
    """The reflection model, untrained. Raises RpobenchError unless it is a local checkpoint without options.

    It is trained in the form that its files have, so a dtype, a device or an adapter could not be honoured.
    """
    model = get_model(spec)
    if getattr(model, "path", None) is None:
        raise RpobenchError(f"reflection model '{spec}' cannot be trained here: name a local one, such as smollm2-135m")
    name, _, argument = spec.partition(":")
    if "?" in argument or (name != "hf" and argument):
        raise RpobenchError(f"reflection model '{spec}': training honours no options: leave them out")
    return model


def _prediction(one: Question, answer: Answer | None, *, has_gate: bool) -> Prediction:
    """The module's answer, or the draft (else the module's bare text) with the reason why it stands."""
    draft, failure = one.draft, answer.failure if answer else TOO_LONG
    kept = bool(answer and answer.kept)
    usage = (draft.usage if draft else Usage()) + (answer.usage if answer else Usage())
    text, raw = (answer.text, answer.raw) if answer else ("", "")
    if draft and (failure or kept):
        text, raw = draft.text, draft.raw
    elif failure and answer:
        text = raw = answer.written.strip()
    return Prediction(
        one.example.id,
        text=text,
        raw=raw,
        draft=draft.text if draft else None,
        evidence=one.evidence.ids,
        usage=usage,
        cut=one.evidence.cut,
        failure=f"{failure}: the draft stands" if failure and draft else failure,
        trajectory=answer.written if answer else None,
        draft_kept=kept if has_gate else None,
    )
