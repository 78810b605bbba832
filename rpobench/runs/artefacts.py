"""The trained module of another run (`--adapter RUN`), which is applied without training.

It may be applied to the drafts of another base model than it was trained on. The spec of such a run names the base
model whose drafts it rewrites; the spec of its fit names the base model on whose drafts the module was trained.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpobench.method.code import identify_code
from rpobench.method.contract import Method, prompts_digest
from rpobench.registry import get_method, get_task, identify_models
from rpobench.runs.changed_code import is_other_code
from rpobench.runs.environment import ENVIRONMENT
from rpobench.runs.plan import Plan, make_config, parse_method_names
from rpobench.store.identity import comparable_identity
from rpobench.store.locks import locked
from rpobench.store.recorded import recorded_prompts
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_fit_spec, read_noted_code, read_run_spec
from rpobench.store.spec import DataSpec, FitSpec
from rpobench.store.whole_folder import whole_folder
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class TrainedArtefact:
    """A finished fit that `--adapter` names.

    Attributes:
        run: What `--adapter` says: the name or folder of a run that applied the module.
        digest: The digest that names the fit.
        spec: The spec of the fit.
        folder: The folder of the fit, in the store where it was made.
    """

    run: str
    digest: str
    spec: FitSpec
    folder: Path

    def load_method(self, settings: Mapping[str, Any]) -> Method:
        """Load the trained method.

        Args:
            settings: Knobs that only predicting reads, set anew.

        Returns:
            The method.

        Raises:
            RpobenchError: Training read a setting, the method is not what it was, or the artefact is incomplete.
        """
        method_class = get_method(self.spec.method)
        for knob in settings.keys() - method_class.applied:  # `applied`: the knobs that only predicting reads
            free = ", ".join(sorted(method_class.applied)) or "nothing"
            raise RpobenchError(f"--set {knob}: --adapter {self.run} was trained as it is; only {free} can be set anew")

        method = method_class(make_config(method_class, {**self.spec.config, **settings}))
        self._check_unchanged(method)
        return method_class.load(self.folder / "checkpoint", method.config)

    def check_task(self, task: Task, scored: DataSpec) -> None:
        """Check that the module can be scored on a task.

        Args:
            task: The task.
            scored: Which examples are to be scored.

        Raises:
            RpobenchError: It was not trained on this task, or it was trained on these examples.
        """
        train_data = dict(zip(self.spec.train_tasks, self.spec.data, strict=True))
        if task.prompt_versioned not in train_data:
            raise self._make_refusal(f"was not trained on {task.name} but on {', '.join(self.spec.train_tasks)}")

        if _may_share_examples(train_data[task.prompt_versioned], scored):
            raise self._make_refusal(f"was trained on these examples of {task.name}: score another split")

    def copy_to(self, store: ResultStore) -> Path:
        """Copy the trained artefact to a store, with its spec and cost, unless it was made there.

        Args:
            store: The store.

        Returns:
            The checkpoint in this store.
        """
        folder = store.fit_folder(self.digest)
        checkpoint = folder / "checkpoint"
        if folder.resolve() == self.folder.resolve():
            return checkpoint

        with locked(folder):
            if not checkpoint.exists():
                # Spec and cost before the checkpoint appears: with it the fit counts as finished.
                with whole_folder(checkpoint) as aside:
                    shutil.copytree(self.folder / "checkpoint", aside, dirs_exist_ok=True)
                    for file in self.folder.glob("*.json"):
                        shutil.copy2(file, folder)
        return checkpoint

    def _check_unchanged(self, method: Method) -> None:
        """Refuse a module of another version, with other prompts or models than its method has now."""
        tasks = [get_task(name.split("@")[0]) for name in self.spec.train_tasks]
        is_of_version_0_1 = self.spec.knobs is None
        prompts = recorded_prompts(method.prompts(tasks)) if is_of_version_0_1 else prompts_digest(method, tasks)

        current_values = {
            "version": method.version,
            "train_tasks": tuple(task.prompt_versioned for task in tasks),
            "models": _comparable(identify_models(method)),
            "prompts": prompts,
        }
        noted_code = read_noted_code(self.folder / ENVIRONMENT)
        stored_values = {name: getattr(self.spec, name) for name in current_values}
        stored_values["models"] = _comparable(self.spec.models)
        changes = [name for name, value in current_values.items() if value != stored_values[name]]
        if not changes and is_other_code(noted_code, identify_code(type(method))):
            changes = ["code"]
        if changes:
            raise self._make_refusal(f"was trained with other {', '.join(changes)} of {method.name}: train it again")

    def _make_refusal(self, reason: str) -> RpobenchError:
        return RpobenchError(f"--adapter {self.run}: {reason}")


def find_artefact(plan: Plan) -> TrainedArtefact | None:
    """Find what `--adapter` names: a run's folder, or its name under --out.

    Args:
        plan: What to run.

    Returns:
        The trained artefact of the run; None without the option.

    Raises:
        RpobenchError: There is no such run, it is of another method or seed, it has no fit, or its artefact is gone.
    """
    if plan.adapter is None:
        return None

    folder = Path(plan.adapter)
    if not (folder / "spec.json").exists():
        folder = ResultStore(plan.out).find_folder(plan.adapter)
    run = read_run_spec(folder / "spec.json")

    if parse_method_names(plan.method) != [run.method]:
        raise RpobenchError(f"--adapter {plan.adapter}: is a run of {run.method}: give --method {run.method}")
    if plan.chosen_seeds != (run.seed,):
        raise RpobenchError(f"--adapter {plan.adapter}: was trained with seed {run.seed}: give --seed {run.seed}")
    if run.fit is None:
        raise RpobenchError(f"--adapter {plan.adapter}: {run.method} trains nothing that could be applied")

    fit = folder.parent / "fits" / run.fit
    if not (fit / "checkpoint").is_dir():
        raise RpobenchError(f"--adapter {plan.adapter}: {fit / 'checkpoint'} is not there: train it again")
    return TrainedArtefact(plan.adapter, run.fit, read_fit_spec(fit / "spec.json"), fit)


def _comparable(models: Mapping[str, str]) -> dict[str, str]:
    return {role: comparable_identity(identity) for role, identity in models.items()}


def _may_share_examples(trained: DataSpec, scored: DataSpec) -> bool:
    """Say whether some scored examples may have been trained on.

    Data that was divided by the same `holdout` and seed has no user in common with its other part.
    """
    if trained.sha256 == scored.sha256:
        return True

    same_split = (trained.source, trained.split, trained.seed) == (scored.source, scored.split, scored.seed)
    return same_split and (trained.holdout is None or trained.holdout != scored.holdout)
