"""RPO as a method: the base model drafts, the trained reflection model rewrites (arXiv 2511.05286)."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, Field

from rpobench.context import Context
from rpobench.evidence import EvidenceConfig
from rpobench.method import Method
from rpobench.models.base import LanguageModel
from rpobench.presets import QUICK_EVIDENCE
from rpobench.registry import get_model
from rpobench.rpo.prompts import Trajectory, parse_trajectory, reflection_chat
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


class RPO(Method):
    """Draft, retrieve, reflect: a trained module rewrites the base model's draft for the user.

    Label tasks end with the same `choose` as every other method, after the module's own analysis. Where the module's
    text is no trajectory the draft stands, and the prediction says so.
    """

    name = "rpo"
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

    def fit_groups(self, tasks: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tasks)] if self.config.scope == "shared" else super().fit_groups(tasks)

    def fit(self, train: Mapping[Task, Sequence[Labelled]], ctx: Context) -> None:
        from rpobench.rpo.sft import sft_rows, train_sft
        from rpobench.rpo.training import finished_stage

        assert ctx.folder is not None
        config, checkpoint = self.config, reflection_checkpoint(self.config.reflection_model)
        rows = self._rows(train, ctx)
        written = [write_trajectory(row.task, row.example, row.draft, row.evidence, row.target) for row in rows]
        self._work = ctx.folder
        _store_trajectories(ctx.folder / TRAJECTORIES, rows, written)
        data = sft_rows(rows, written)
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
            self._adapter = self._refine(self._adapter, rows, checkpoint, ctx)

    def _refine(self, start: Path, rows: Sequence[TrainingRow], checkpoint: Path, ctx: Context) -> Path:
        """Stage 2 from the stage-1 adapter `start`."""
        from rpobench.rpo.rl import train_grpo, variance_note
        from rpobench.rpo.training import finished_stage

        assert ctx.folder is not None
        config = self.config
        adapter = finished_stage(
            ctx.folder / "grpo",
            lambda work: train_grpo(
                rows,
                checkpoint,
                start,
                work,
                steps=config.rl_steps,
                group=config.rl_group,
                prompts=config.rl_prompts,
                k=config.k,
                learning_rate=config.rl_learning_rate,
                beta=config.rl_beta,
                max_new_tokens=config.max_new_tokens,
                seed=ctx.seed,
            ),
        )
        print(variance_note(adapter), file=sys.stderr)
        return adapter

    def _rows(self, train: Mapping[Task, Sequence[Labelled]], ctx: Context) -> list[TrainingRow]:
        from rpobench.rpo.training import TrainingRow

        rows = []
        for task, labelled in train.items():
            examples = [one.example for one in labelled]
            drafts, shown = ctx.drafts(task, examples), self._evidence(task, examples, ctx)
            rows += [
                TrainingRow(task, one.example, one.target, drafts[one.example.id].text, evidence.items)
                for one, evidence in zip(labelled, shown, strict=True)
            ]
        return rows

    def _evidence(self, task: Task, examples: Sequence[Example], ctx: Context) -> list[Evidence]:
        return ctx.evidence(task, examples, retriever=self.config.retriever, **self.config.limits())

    def predict(self, task: Task, examples: Sequence[Example], ctx: Context) -> Iterator[Prediction]:
        drafts, shown = ctx.drafts(task, examples), self._evidence(task, examples, ctx)
        chats = [
            reflection_chat(task, example, drafts[example.id].text, evidence.items)
            for example, evidence in zip(examples, shown, strict=True)
        ]
        written = self._reflector.generate(chats, Decoding(max_new_tokens=self.config.max_new_tokens))
        trajectories = [parse_trajectory(completion.text) for completion in written]
        chosen = self._choose(task, chats, trajectories) if task.labels else {}
        for place, (example, evidence) in enumerate(zip(examples, shown, strict=True)):
            draft, trajectory, usage = drafts[example.id], trajectories[place], written[place].usage
            raw = draft.raw
            if trajectory:
                raw = trajectory.rewrite
            if place in chosen:
                raw, usage = chosen[place].text.strip(), usage + chosen[place].usage
            answer = task.parse(raw) if trajectory else ""
            yield Prediction(
                example.id,
                text=answer or draft.text,
                raw=raw,
                draft=draft.text,
                evidence=evidence.ids,
                usage=draft.usage + usage,
                cut=evidence.cut,
                failure=None if answer else "no trajectory in the module's text: the draft stands",
                trajectory=written[place].text,
            )

    def _choose(
        self, task: Task, chats: Sequence[Chat], trajectories: Sequence[Trajectory | None]
    ) -> dict[int, Completion]:
        """The most likely label after the module's own analysis, by place, where there is an analysis."""
        parsed = {place: trajectory for place, trajectory in enumerate(trajectories) if trajectory}
        continued = [(*chats[place], Message("assistant", one.analysis())) for place, one in parsed.items()]
        options = [f" {label}" for label in task.labels]
        return dict(zip(parsed, self._reflector.choose(continued, options), strict=True))

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
    """The folder of the reflection model; it is trained, so it must be a local checkpoint."""
    path = getattr(get_model(spec), "path", None)
    if path is None:
        raise RpobenchError(f"reflection model '{spec}' cannot be trained here: name a local one, such as smollm2-135m")
    return Path(path)


def _store_trajectories(path: Path, rows: Sequence[TrainingRow], written: Sequence[Trajectory]) -> None:
    lines = [
        json.dumps({"task": row.task.name, "example": row.example.id, "draft": row.draft, **asdict(trajectory)})
        for row, trajectory in zip(rows, written, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
