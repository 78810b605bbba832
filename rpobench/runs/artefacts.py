"""Another run's trained module (`--adapter RUN`): found, checked against what is asked for, and put into the store.

Applied without training, also on the drafts of another base model than it was trained on: the run's spec names the
base model whose drafts it was applied to, and in `fit` the fit, whose own spec names the one it was trained on.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpobench.method.contract import Method, prompts_digest
from rpobench.registry import get_method, get_task, identify_models
from rpobench.runs.plan import Plan, make_config, parse_method_names
from rpobench.store.locks import locked
from rpobench.store.recorded import recorded_prompts
from rpobench.store.result_store import ResultStore
from rpobench.store.results import read_fit_spec, read_run_spec
from rpobench.store.spec import DataSpec, FitSpec
from rpobench.task.contract import Task
from rpobench.types import RpobenchError


@dataclass(frozen=True)
class Adapter:
    """A finished fit: the run it was named by, its digest and spec, and its folder in the store where it was made."""

    run: str
    digest: str
    spec: FitSpec
    folder: Path

    def method(self, settings: Mapping[str, Any]) -> Method:
        """The trained method, with `settings` for what only predicting reads.

        Raises:
            RpobenchError: a setting that training read, a method that is not what it was, or an artefact not whole.
        """
        known = get_method(self.spec.method)
        for key in settings.keys() - known.applied:
            free = ", ".join(sorted(known.applied)) or "nothing"
            raise RpobenchError(f"--set {key}: --adapter {self.run} was trained as it is; only {free} can be set anew")
        made = known(make_config(known, {**self.spec.config, **settings}))
        tasks = [get_task(name.split("@")[0]) for name in self.spec.train_tasks]
        words = made.prompts(tasks)
        is_of_today = self.spec.knobs is not None
        now = {
            "version": made.version,
            "train_tasks": tuple(task.versioned for task in tasks),
            "models": identify_models(made),
            "prompts": prompts_digest(made, tasks) if is_of_today else recorded_prompts(words),
        }
        changed = [name for name, value in now.items() if value != getattr(self.spec, name)]
        if changed:
            raise self._refused(f"was trained with other {', '.join(changed)} of {made.name}: train it again")
        return known.load(self.folder / "checkpoint", made.config)

    def check_task(self, task: Task, scored: DataSpec) -> None:
        """Raises RpobenchError where the module was not trained on this task, or on what is to be scored."""
        trained = dict(zip(self.spec.train_tasks, self.spec.data, strict=True))
        if task.versioned not in trained:
            raise self._refused(f"was not trained on {task.name} but on {', '.join(self.spec.train_tasks)}")
        if _same_examples(trained[task.versioned], scored):
            raise self._refused(f"was trained on these examples of {task.name}: score another split")

    def placed(self, store: ResultStore) -> Path:
        """The trained artefact in `store`, copied there with its spec and cost where it was made in another one."""
        folder = store.fit_folder(self.digest)
        checkpoint, half = folder / "checkpoint", folder / "checkpoint.part"
        if folder.resolve() != self.folder.resolve():
            with locked(folder):
                if not checkpoint.exists():
                    shutil.rmtree(half, ignore_errors=True)
                    shutil.copytree(self.folder / "checkpoint", half)
                    for file in self.folder.glob("*.json"):
                        shutil.copy2(file, folder)
                    half.rename(checkpoint)
        return checkpoint

    def _refused(self, why: str) -> RpobenchError:
        return RpobenchError(f"--adapter {self.run}: {why}")


def find_adapter(plan: Plan) -> Adapter | None:
    """What `--adapter` names: a run's folder, or its name under --out; None without the option.

    Raises:
        RpobenchError: no such run, a run of another method, of another seed or without a fit, or its adapter is gone.
    """
    if plan.adapter is None:
        return None
    folder = Path(plan.adapter)
    if not (folder / "spec.json").exists():
        folder = ResultStore(plan.out).find(plan.adapter)
    run = read_run_spec(folder / "spec.json")
    if parse_method_names(plan.method) != [run["method"]]:
        raise RpobenchError(f"--adapter {plan.adapter}: is a run of {run['method']}: give --method {run['method']}")
    if plan.seeds != (run["seed"],):
        raise RpobenchError(f"--adapter {plan.adapter}: was trained with seed {run['seed']}: give --seed {run['seed']}")
    if run["fit"] is None:
        raise RpobenchError(f"--adapter {plan.adapter}: {run['method']} trains nothing that could be applied")
    fit = folder.parent / "fits" / run["fit"]
    if not (fit / "checkpoint").is_dir():
        raise RpobenchError(f"--adapter {plan.adapter}: {fit / 'checkpoint'} is not there: train it again")
    return Adapter(plan.adapter, run["fit"], FitSpec.model_validate(read_fit_spec(fit / "spec.json")), fit)


def _same_examples(trained: DataSpec, scored: DataSpec) -> bool:
    """Whether one is the other, or another part of the same split that was not divided by user alike."""
    if trained.sha256 == scored.sha256:
        return True
    same_split = (trained.source, trained.split, trained.seed) == (scored.source, scored.split, scored.seed)
    return same_split and (trained.holdout is None or trained.holdout != scored.holdout)
