"""Trained modules as methods: RPO (arXiv 2511.05286), and what its trained rivals share with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rpobench.registry import get_model
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Form
from rpobench.rpo.reflection_model import asked_identity
from rpobench.rpo.trained_module import TrainedModule
from rpobench.task.contract import Task


class RPO(TrainedModule):
    """Draft, retrieve, reflect: a trained module rewrites the base model's draft for the user (arXiv 2511.05286).

    Where the module's text holds no answer the draft stands, and the prediction says so.
    """

    name = "rpo"
    Config = RPOConfig
    applied = TrainedModule.applied | {"gate"}

    @property
    def form(self) -> Form:  # type: ignore[override]
        """The form, with every part that is not switched off."""
        return Form(self.config.evidence, self.config.draft, self.config.analysis)

    def models(self) -> Mapping[str, str]:
        models = dict(super().models())
        if self.config.has_teacher:
            models["teacher"] = asked_identity(get_model(self.config.teacher))
        return models

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        from rpobench.rpo.trajectories.teacher_prompt import teacher_prompts

        prompts = super().prompts(tasks)
        if self.config.has_teacher:
            prompts.append(teacher_prompts())
        return prompts

    @property
    def _gate(self) -> float | None:
        return float(self.config.gate) if self.config.gate is not None else None
