"""The knobs of RPO and of its trained rivals. What both have stands in `ModuleConfig`, so that neither gets more."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from rpobench.method.config import EvidenceConfig
from rpobench.rpo.trajectories.file import read_trajectories
from rpobench.types import RpobenchError

CONTENT = "sha256:"  # before the hash by which a spec names a file


def _check_file(path: str) -> str:
    """The path, unless the file is missing or wrong: that is said at once, before anything is drafted for it."""
    if not path.startswith(CONTENT):
        if not Path(path).is_file():
            raise ValueError("no such file")
        read_trajectories(Path(path))
    return path


def _hash_content(path: str) -> str:
    """How a file stands in a spec: by what is in it, not by where it is."""
    if path.startswith(CONTENT):
        return path
    return CONTENT + hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


File = Annotated[str, AfterValidator(_check_file), PlainSerializer(_hash_content)]


class ModuleConfig(EvidenceConfig):
    """Knobs of every trained module; `lora_rank`, rates and steps were tuned on dev of the synthetic world only."""

    reflection_model: str = "smollm2-135m"
    scope: Literal["task", "shared"] = "task"  # one adapter a task, or one for all tasks of the run
    retriever: str = "bm25"
    max_new_tokens: int = Field(default=96, ge=1)
    lora_rank: int = Field(default=16, ge=1)
    sft_epochs: float = Field(default=3.0, gt=0)
    sft_learning_rate: float = Field(default=1e-3, gt=0)
    sft_batch: int = Field(default=2, ge=1)
    validation: float = Field(default=0.1, ge=0, le=0.5)  # share of the training users held out to choose a checkpoint
    patience: int = Field(default=3, ge=1)  # evaluations without a better loss after which stage 1 ends
    rl: Literal["grpo", "none"] = "none"
    rl_steps: int = Field(default=8, ge=1)
    rl_group: int = Field(default=4, ge=2)  # GRPO: completions of one prompt, compared with each other
    rl_prompts: int = Field(default=4, ge=1)  # groups, or pairs of DPO, a step
    rl_learning_rate: float = Field(default=2e-4, gt=0)
    rl_beta: float = Field(default=0.02, ge=0)  # weight of the KL to the stage-1 policy
    rl_vllm: bool = False  # GRPO's completions by vLLM, as trl runs it
    curriculum: Literal["fixed", "progressive", "reverse"] = "progressive"  # evidence items over the steps of GRPO
    n: int = Field(default=1, ge=1)  # texts sampled for one example; 1 is greedy
    select: Literal["consensus", "likelihood"] = "consensus"  # which of n texts is the answer
    report_to: str = "none"  # tensorboard, wandb ...: transformers' own reports


class RPOConfig(ModuleConfig):
    """What RPO alone has: its parts, each of which can be switched off, and the draft as a way out."""

    rl: Literal["grpo", "dpo", "none"] = "grpo"  # type: ignore[assignment]  # DPO prefers the rewrite to the draft
    evidence: bool = True
    draft: bool = True
    analysis: bool = True
    writer: Literal["rules", "teacher"] = "rules"
    teacher: str = "smollm2-135m"  # the model that writes trajectories with `writer=teacher`
    trajectories: File | None = None  # a JSONL file to learn from instead
    gate: float | None = None  # keep the draft where its log-likelihood a token is higher by more than this

    @property
    def has_teacher(self) -> bool:
        """Whether a language model writes the trajectories."""
        return self.writer == "teacher" and not self.trajectories

    @model_validator(mode="after")
    def _check_combination(self) -> RPOConfig:
        """Refuse options that exclude each other: by an RpobenchError, since no single option is at fault."""
        if not self.draft and (self.rl == "dpo" or self.gate is not None):
            raise RpobenchError("rl=dpo and gate compare with the draft: leave them out with draft=off")
        if not self.analysis and self.writer == "teacher":
            raise RpobenchError("a teacher writes the analysis: leave writer=teacher out with analysis=off")
        return self
