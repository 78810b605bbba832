"""The specs of a method's fits and runs: what they are named by, so that each is made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from rpobench.method.contract import prompts_digest
from rpobench.runs.prepare import PreparedMethod, PreparedTask
from rpobench.store.identity import CONTENT, readable_name
from rpobench.store.recorded import recorded_prompts
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.task.contract import Task

Profiles = Literal["own", "swapped"]
SpecOfEither = TypeVar("SpecOfEither", FitSpec, RunSpec)


@dataclass(frozen=True)
class FitName:
    """How a fit is named.

    Attributes:
        digest: The digest of the fit in this store.
        every: The digests by which this version and earlier ones name the same fit; that of version 0.1 is the last.
    """

    digest: str
    every: tuple[str, ...] = ()


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
            The spec, with those of earlier versions in `former`.
        """
        spec = FitSpec(
            **self._collect_shared_fields([prepared_task.task for prepared_task in prepared_tasks]),
            train_tasks=tuple(prepared_task.task.prompt_versioned for prepared_task in prepared_tasks),
            data=tuple(prepared_task.train_spec for prepared_task in prepared_tasks),
        )

        by_name = self._with_folder_names(spec)
        return spec.model_copy(update={"former": (by_name, by_name.as_recorded())})

    def make_run_spec(self, prepared_task: PreparedTask, profiles: Profiles, fit: FitName | None) -> RunSpec:
        """Make the spec of a run.

        Args:
            prepared_task: The task that is scored, with its data.
            profiles: Whose profiles the examples have.
            fit: The fit that is applied; None where nothing is trained.

        Returns:
            The spec, with those of earlier versions in `former`. Among them are those on the same fit by other names:
            a run that was made on an old fit stands for today's also where that fit is gone.
        """
        spec = RunSpec(
            **self._collect_shared_fields([prepared_task.task]),
            task=prepared_task.task.versioned,
            data=prepared_task.scored_spec,
            profiles=profiles,
            fit=fit.digest if fit else None,
        )

        by_name = self._with_folder_names(spec)
        former = [by_name]
        for digest in fit.every if fit else ():
            former += [form.model_copy(update={"fit": digest}) for form in (spec, by_name)]

        oldest_fit = (fit.digest, *fit.every)[-1] if fit else None
        return spec.model_copy(update={"former": (*former, by_name.as_recorded(fit=oldest_fit))})

    def _with_folder_names(self, spec: SpecOfEither) -> SpecOfEither:
        return spec.with_folder_names(self.prepared_method.method.changed_knobs())

    def _collect_shared_fields(self, tasks: Sequence[Task]) -> dict[str, Any]:
        """Return the fields that the specs of a fit and of a run have in common."""
        method, models = self.prepared_method.method, self.prepared_method.models

        return {
            "method": method.name,
            "version": method.version,
            "config": method.config.model_dump(mode="json"),
            "knobs": name_folders_by_content(method.changed_knobs(), models),
            "base_model": self.base_model,
            "models": models,
            "prompts": prompts_digest(method, tasks),
            "recorded_prompts": recorded_prompts(method.prompts(tasks)),
            "seed": self.seed,
        }


def name_folders_by_content(knobs: Mapping[str, Any], models: Mapping[str, str]) -> dict[str, Any]:
    """Name the folders of local models, as knobs give them, by what is in them.

    Args:
        knobs: Knobs with their values, such as `reflection_model` with `hf:FOLDER`.
        models: The identities of the models that the method is made of.

    Returns:
        The knobs. A folder that is one of these models stands there as `hf:NAME@sha256:HEX`.
    """
    identities = {}
    for identity in models.values():
        for part in identity.split("+"):
            if f"@{CONTENT}" in part:
                identities[part.partition("@")[0]] = part

    return {knob: _name_by_content(value, identities) for knob, value in knobs.items()}


def _name_by_content(value: Any, identities: Mapping[str, str]) -> Any:
    """The value of a knob; where it gives a folder of one of the identities by name, that identity for the folder."""
    if not isinstance(value, str):
        return value

    location, mark, options = value.partition("?")
    kind, colon, path = location.rpartition(":")
    folder = Path(path).expanduser()
    identity = identities.get(readable_name(folder.resolve().name))

    return f"{kind}{colon}{identity}{mark}{options}" if identity and folder.is_dir() else value
