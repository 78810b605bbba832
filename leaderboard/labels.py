"""What a row is called: its method's name, with what differs where one method stands there more than once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rpobench.store.stored_run import StoredRun

Identity = dict[str, Any]  # what makes a row, by name

# The base model whose drafts a module was trained on, where the run is of another one. A label always says it.
TRAINING_MODEL = "drafts_of"
ABSENT = object()  # the value of a knob that a method does not have; None would be a value


def label_runs(runs: Sequence[StoredRun]) -> list[str]:
    """Name the row of each run.

    Args:
        runs: The runs of one section, or those to compare.

    Returns:
        A label for each run. Runs of one method, version, config and training have the same.
    """
    identities = [row_identity(run) for run in runs]
    for name, value_of in _DOUBTFUL_PARTS.items():
        _tell_apart(runs, identities, name, value_of)

    labels = []
    for run, identity in zip(runs, identities, strict=True):
        rivals = [rival for rival in identities if rival["method"] == identity["method"]]
        label = _label(identity, rivals)
        labels.append(f"{label} (imported)" if run.result.imported else label)
    return labels


def row_identity(run: StoredRun) -> Identity:
    """Everything that makes a row: all about the method but task, seed, profiles, and what `_DOUBTFUL_PARTS` names."""
    spec = run.spec
    identity: Identity = {"method": spec.method, "version": spec.version, **spec.config, **spec.models}

    if run.fit_spec is not None:
        if len(run.fit_spec.train_tasks) > 1:
            identity["trained_on"] = "+".join(run.fit_spec.train_tasks)
        if run.fit_spec.base_model != spec.base_model:
            identity[TRAINING_MODEL] = run.fit_spec.base_model
    return identity


def training_hash(run: StoredRun) -> str | None:
    """What the run's module was trained on, data and number of examples, as a hash; None where that is not known."""
    if run.fit_spec is None:
        return None

    training_data = [[data.sha256, data.limit] for data in run.fit_spec.data]

    return hashlib.sha256(json.dumps(training_data).encode()).hexdigest()[:8]


# Parts of a run that differ from task to task anyway, so that they make a row in doubt only. Seeds of one cell have a
# fit each, but the same prompts and training data.
_DOUBTFUL_PARTS: Mapping[str, Callable[[StoredRun], str | None]] = {
    "prompts": lambda run: run.spec.comparable_prompts,
    "training": training_hash,
    "fit": lambda run: run.spec.fit,
}


def _tell_apart(
    runs: Sequence[StoredRun],
    identities: Sequence[Identity],
    name: str,
    value_of: Callable[[StoredRun], str | None],
) -> None:
    """Add a part to the identities where one cell would hold two values of it."""
    cells = []
    for run, identity in zip(runs, identities, strict=True):
        seed = run.spec.seed if name == "fit" else None
        cells.append((json.dumps(identity, sort_keys=True), run.task_name, seed))

    values_by_cell: dict[tuple[str, str, int | None], set[str | None]] = {}
    for cell, run in zip(cells, runs, strict=True):
        values_by_cell.setdefault(cell, set()).add(value_of(run))

    for cell, run, identity in zip(cells, runs, identities, strict=True):
        if len(values_by_cell[cell]) > 1:
            identity[name] = value_of(run)


def _label(identity: Identity, rivals: Sequence[Identity]) -> str:
    """The method's name with what is not alike in all rows of the method."""
    differing = []
    for name in sorted(identity):
        differs = any(rival.get(name, ABSENT) != identity[name] for rival in rivals)
        if name == TRAINING_MODEL or differs:
            differing.append(f"{name}={identity[name]}")

    return " ".join([identity["method"], *differing])
