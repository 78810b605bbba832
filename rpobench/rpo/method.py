"""RPO as a method: the base model drafts, the trained reflection model rewrites (arXiv 2511.05286)."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from rpobench.context import Context
from rpobench.evidence import EvidenceConfig
from rpobench.method import Method
from rpobench.models.base import LanguageModel
from rpobench.presets import QUICK_EVIDENCE
from rpobench.registry import get_model
from rpobench.rpo.prompts import Trajectory, parse_trajectory, prompt_form, reflection_chat
from rpobench.rpo.room import Room, checkpoint_room
from rpobench.rpo.trajectories import write_trajectory
from rpobench.task import Task
from rpobench.types import (
    Chat,
    Completion,
    Decoding,
    Evidence,
    Example,
    Labelled,
    Message,
    Prediction,
    RpobenchError,
)

if TYPE_CHECKING:
    from rpobench.rpo.training import TrainingRow

TRAJECTORIES = "trajectories.jsonl"

NO_TRAJECTORY = "no trajectory in the module's text"
NO_ANSWER = "the rewrite is no answer of the task"
TOO_LONG = "the input alone exceeds the module's context"


@dataclass(frozen=True)
class Question:
    """What the module is asked about one example: its draft and the evidence it is shown, in one chat."""

    example: Example
    draft: Prediction
    evidence: Evidence
    chat: Chat
    fits: bool  # False: longer than the module's context even without evidence

    @classmethod
    def fitted(
        cls, task: Task, example: Example, draft: Prediction, evidence: Evidence, room: Room, answer: int
    ) -> Question:
        """With as much of the evidence as leaves room for an answer of that many tokens."""

        def ask(shown: Evidence) -> Chat:
            return reflection_chat(task, example, draft.text, shown.items)

        shown = room.fit(evidence, ask, answer=answer)
        return cls(example, draft, shown or Evidence(), ask(shown or Evidence()), shown is not None)


class RPO(Method):
    """Draft, retrieve, reflect: a trained module rewrites the base model's draft for the user.

    Label tasks end with the same `choose` as every other method, after the module's own analysis. Where the module's
    text is no trajectory the draft stands, and the prediction says so.
    """

    name = "rpo"
    version = "2"  # stage 2 pays nothing for a rewrite that is no answer
    trains = True
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {**QUICK_EVIDENCE, "scope": "shared", "sft_epochs": 2.0}
    }

    class Config(EvidenceConfig):
        """Knobs of RPO; `lora_rank`, rates and steps were tuned on dev of the synthetic world only."""

        reflection_model: str = "smollm2-135m"
        scope: Literal["task", "shared"] = "task"  # one adapter a task, or one for all tasks of the run
        retriever: str = "bm25"
        max_new_tokens: int = Field(default=96, ge=1)
        lora_rank: int = Field(default=16, ge=1)
        sft_epochs: float = Field(default=3.0, gt=0)
        sft_learning_rate: float = Field(default=1e-3, gt=0)
        sft_batch: int = Field(default=4, ge=1)
        rl: Literal["grpo", "none"] = "grpo"
        rl_steps: int = Field(default=8, ge=1)
        rl_group: int = Field(default=4, ge=2)  # completions of one prompt, compared with each other
        rl_prompts: int = Field(default=4, ge=1)  # groups a step
        rl_learning_rate: float = Field(default=2e-4, gt=0)
        rl_beta: float = Field(default=0.02, ge=0)  # weight of the KL to the SFT policy

    def __init__(
        self, config: BaseModel, *, adapter: Path | None = None, reflector: LanguageModel | None = None
    ) -> None:
        super().__init__(config)
        self._adapter, self._given_reflector = adapter, reflector
        self._work: Path | None = None

    def models(self) -> Mapping[str, str]:
        return {"reflection": reflection_model(self.config.reflection_model).identity}

    def prompts(self, tasks: Sequence[Task]) -> str:
        return repr([prompt_form(task) for task in tasks])

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tasks)] if self.config.scope == "shared" else super().fit_groups(tasks)

    def fit(self, train: Mapping[Task, Sequence[Labelled]], ctx: Context) -> None:
        from rpobench.rpo.sft import sft_rows, train_sft, trainable
        from rpobench.rpo.training import finished_stage

        assert ctx.folder is not None
        config, checkpoint = self.config, reflection_checkpoint(self.config.reflection_model)
        room = checkpoint_room(checkpoint)
        rows = self._rows(train, ctx, room)
        written = [write_trajectory(row.task, row.example, row.draft, row.evidence, row.target) for row in rows]
        pairs = trainable(list(zip(rows, written, strict=True)), room)
        self._work = ctx.folder
        _store_trajectories(ctx.folder / TRAJECTORIES, pairs)
        data = sft_rows(pairs)
        self._adapter = finished_stage(
            ctx.folder / "sft",
            lambda work: train_sft(
                data,
                checkpoint,
                work,
                rank=config.lora_rank,
                epochs=config.sft_epochs,
                learning_rate=config.sft_learning_rate,
                batch=config.sft_batch,
                seed=ctx.seed,
            ),
        )
        if config.rl == "grpo":
            self._adapter = self._refine(self._adapter, [row for row, _ in pairs], checkpoint, ctx)

    def _refine(self, start: Path, rows: Sequence[TrainingRow], checkpoint: Path, ctx: Context) -> Path:
        """Stage 2 from the stage-1 adapter `start`."""
        from rpobench.rpo.rl import GRPOSettings, train_grpo, variance_note
        from rpobench.rpo.training import finished_stage

        assert ctx.folder is not None
        config = self.config
        settings = GRPOSettings(
            steps=config.rl_steps,
            group=config.rl_group,
            prompts=config.rl_prompts,
            k=config.k,
            learning_rate=config.rl_learning_rate,
            beta=config.rl_beta,
            max_new_tokens=config.max_new_tokens,
        )
        adapter = finished_stage(
            ctx.folder / "grpo",
            lambda work: train_grpo(rows, checkpoint, start, work, settings, seed=ctx.seed),
        )
        print(variance_note(adapter), file=sys.stderr)
        return adapter

    def _rows(self, train: Mapping[Task, Sequence[Labelled]], ctx: Context, room: Room) -> list[TrainingRow]:
        """Training examples with drafts and as much evidence as fits; the others are too long to be read at all."""
        from rpobench.rpo.training import TrainingRow

        rows = []
        for task, labelled in train.items():
            targets = {one.example.id: one.target for one in labelled}
            questions = self._questions(task, [one.example for one in labelled], ctx, room)
            rows += [
                TrainingRow(task, one.example, targets[one.example.id], one.draft.text, one.evidence.items)
                for one in questions
                if one.fits
            ]
            long = sum(not one.fits for one in questions)
            if long:
                print(f"{task.name}: {long} training examples exceed the reflection model's context", file=sys.stderr)
        return rows

    def _questions(self, task: Task, examples: Sequence[Example], ctx: Context, room: Room) -> list[Question]:
        """What the module is asked about each example, in order."""
        drafts, shown = ctx.drafts(task, examples), self._evidence(task, examples, ctx)
        return [
            Question.fitted(task, example, drafts[example.id], evidence, room, self.config.max_new_tokens)
            for example, evidence in zip(examples, shown, strict=True)
        ]

    def _evidence(self, task: Task, examples: Sequence[Example], ctx: Context) -> list[Evidence]:
        return ctx.evidence(task, examples, retriever=self.config.retriever, **self.config.limits())

    def predict(self, task: Task, examples: Sequence[Example], ctx: Context) -> Iterator[Prediction]:
        questions = self._questions(task, examples, ctx, self._room)
        asked = [question for question in questions if question.fits]
        written = self._reflector.generate(
            [question.chat for question in asked], Decoding(max_new_tokens=self.config.max_new_tokens)
        )
        said = {one.example.id: completion for one, completion in zip(asked, written, strict=True)}
        chosen = self._choose(task, asked, said) if task.labels else {}
        for one in questions:
            yield _prediction(task, one, said.get(one.example.id), chosen.get(one.example.id))

    def _choose(
        self, task: Task, asked: Sequence[Question], said: Mapping[str, Completion]
    ) -> Mapping[str, Completion]:
        """The most likely label after the module's own analysis, by example id, where there is an analysis."""
        parsed = {
            one.example.id: trajectory for one in asked if (trajectory := parse_trajectory(said[one.example.id].text))
        }
        continued = [
            (*one.chat, Message("assistant", parsed[one.example.id].analysis()))
            for one in asked
            if one.example.id in parsed
        ]
        options = [f" {label}" for label in task.labels]
        return dict(zip(parsed, self._reflector.choose(continued, options), strict=True))

    @cached_property
    def _room(self) -> Room:
        path = getattr(self._reflector, "path", None)
        return checkpoint_room(path) if path else Room()

    @cached_property
    def _reflector(self) -> LanguageModel:
        from rpobench.models.transformers import TransformersModel

        return self._given_reflector or TransformersModel(
            reflection_checkpoint(self.config.reflection_model), adapter=self._adapter
        )

    def save(self, path: Path) -> None:
        """The adapter, the trajectories it learned from, and the training log of each stage."""
        assert self._adapter is not None and self._work is not None
        shutil.copytree(self._adapter, path / "adapter", ignore=shutil.ignore_patterns("log.jsonl"))
        shutil.copy2(self._work / TRAJECTORIES, path)
        for log in self._work.glob("*/adapter/log.jsonl"):
            shutil.copy2(log, path / f"{log.parts[-3]}.jsonl")

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> RPO:
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


def _prediction(task: Task, one: Question, said: Completion | None, chosen: Completion | None) -> Prediction:
    """The rewrite as the answer, or the draft with the reason why it stands."""
    draft, usage = one.draft, one.draft.usage
    raw, failure = draft.raw, TOO_LONG
    if said:
        usage, failure = usage + said.usage, NO_TRAJECTORY
        if trajectory := parse_trajectory(said.text):
            raw, failure = trajectory.rewrite, NO_ANSWER
    if chosen:
        usage, raw = usage + chosen.usage, chosen.text.strip()
    answer = task.parse(raw) if failure == NO_ANSWER else ""
    return Prediction(
        one.example.id,
        text=answer or draft.text,
        raw=raw,
        draft=draft.text,
        evidence=one.evidence.ids,
        usage=usage,
        cut=one.evidence.cut,
        failure=None if answer else f"{failure}: the draft stands",
        trajectory=said.text if said else None,
    )


def _store_trajectories(path: Path, pairs: Sequence[tuple[TrainingRow, Trajectory]]) -> None:
    lines = [
        json.dumps({"task": row.task.name, "example": row.example.id, "draft": row.draft, **asdict(trajectory)})
        for row, trajectory in pairs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
