"""The specs of a method's fits and runs: what they are named by, so that each is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rpobench.method.contract import prompts_digest
from rpobench.runs.prepare import PreparedMethod, PreparedTask
from rpobench.store.recorded import recorded_prompts
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.task.contract import Task

Profiles = Literal["own", "swapped"]


@dataclass(frozen=True)
class FitName:
    """How a fit is named.

    Attributes:
        digest: The digest of the fit in this store.
        recorded: The digest by which version 0.1 would have named it.
    """

    digest: str
    recorded: str


@dataclass(frozen=True)
class SpecMaker:
    """Makes the specs of one method with one seed.

    Attributes:
        prepared_method: The method.
        base_model: The identity of the base model.
        seed: The seed.
    """

    prepared_method: PreparedMethod
    base_model: str
    seed: int

    def make_fit_spec(self, prepared_tasks: Sequence[PreparedTask]) -> FitSpec:
        """Make the spec of a fit.

        Args:
            prepared_tasks: The tasks that it is trained on together, with their data.

        Returns:
            The spec, with the one of version 0.1 in `recorded`.
        """
        spec = FitSpec(
            **self._collect_shared_fields([prepared_task.task for prepared_task in prepared_tasks]),
            train_tasks=tuple(prepared_task.task.prompt_versioned for prepared_task in prepared_tasks),
            data=tuple(prepared_task.train_spec for prepared_task in prepared_tasks),
        )

        return spec.model_copy(update={"recorded": spec.as_recorded()})

    def make_run_spec(self, prepared_task: PreparedTask, profiles: Profiles, fit: FitName | None) -> RunSpec:
        """Make the spec of a run.

        Args:
            prepared_task: The task that is scored, with its data.
            profiles: Whose profiles the examples have.
            fit: The fit that is applied; None where nothing is trained.

        Returns:
            The spec, with the one of version 0.1 in `recorded`.
        """
        spec = RunSpec(
            **self._collect_shared_fields([prepared_task.task]),
            task=prepared_task.task.versioned,
            data=prepared_task.scored_spec,
            profiles=profiles,
            fit=fit.digest if fit else None,
        )

        recorded = spec.as_recorded(fit=fit.recorded if fit else None)
        return spec.model_copy(update={"recorded": recorded})

    def _collect_shared_fields(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """Return the fields that the specs of a fit and of a run have in common."""
        method = self.prepared_method.method

        return {
            "method": method.name,
            "version": method.version,
            "config": method.config.model_dump(mode="json"),
            "knobs": method.changed_knobs(),
            "base_model": self.base_model,
            "models": self.prepared_method.models,
            "prompts": prompts_digest(method, tasks),
            "recorded_prompts": recorded_prompts(method.prompts(tasks)),
            "seed": self.seed,
        }
