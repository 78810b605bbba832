"""What a row is called: its label (`--label`) or its method, with what differs from the reference row.

The reference row of a method has the knobs of its defaults, or those that a preset sets: whichever fewer rows differ
from. A knob that is as there is never named.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rpobench.method.contract import choose_preset_values
from rpobench.method.presets import PRESETS
from rpobench.registry import get_method
from rpobench.store.identity import comparable_identity, former_identity
from rpobench.store.stored_run import StoredRun
from rpobench.types import RpobenchError

Identity = dict[str, Any]  # what makes a row, by name

# The base model whose drafts a module was trained on, where the run is of another one. A row's name always says it.
TRAINING_MODEL = "drafts_of"
ABSENT = object()  # the value of a knob that a method does not have; None would be a value


@dataclass
class _Row:
    """A run on the way to the name of its row.

    Attributes:
        run: The run.
        identity: What makes its row.
        name: What the row is called by now.
    """

    run: StoredRun
    identity: Identity
    name: str


def label_runs(runs: Sequence[StoredRun]) -> list[str]:
    """Name the row of each run.

    Args:
        runs: The runs of one section, or those to compare.

    Returns:
        A name for each run. Runs of one label, method, version, config and training have the same.
    """
    rows = [_Row(run, row_identity(run), run.environment.label or run.spec.method) for run in runs]

    _tell_identities_apart(rows, "method")  # that a label of the user's hides
    rows_by_name: dict[str, list[_Row]] = {}
    for row in rows:
        rows_by_name.setdefault(row.name, []).append(row)
    for rivals in rows_by_name.values():
        _name_knobs(rivals)

    for part in sorted({part for row in rows for part in row.identity}):
        _tell_identities_apart(rows, part)
    for part, value_of in _DOUBTFUL_PARTS.items():
        _tell_cells_apart(rows, part, value_of)

    return [f"{row.name} (imported)" if row.run.result.imported else row.name for row in rows]


def row_identity(run: StoredRun) -> Identity:
    """Everything that makes a row: all about the method but task, seed, profiles, and what `_DOUBTFUL_PARTS` names."""
    spec = run.spec
    models = {role: former_identity(model) for role, model in spec.models.items()}
    identity: Identity = {"method": spec.method, "version": spec.version, **spec.config, **(spec.knobs or {}), **models}

    if run.fit_spec is not None:
        if len(run.fit_spec.train_tasks) > 1:
            identity["trained_on"] = "+".join(run.fit_spec.train_tasks)
        if comparable_identity(run.fit_spec.base_model) != comparable_identity(spec.base_model):
            identity[TRAINING_MODEL] = run.fit_spec.base_model
    return identity


def training_hash(run: StoredRun) -> str | None:
    """What the run's module was trained on, data and number of examples, as a hash; None where that is not known."""
    if run.fit_spec is None:
        return None

    training_data = [[data.sha256, data.limit] for data in run.fit_spec.data]

    return hashlib.sha256(json.dumps(training_data).encode()).hexdigest()[:8]


def format_setting(name: str, value: object) -> str:
    """Write a knob with its value as `--set` takes it: `draft=off`, `k=1`."""
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    return f"{name}={text}"


# Parts of a run that differ from task to task anyway, so that they make a row in doubt only. Seeds of one cell have a
# fit each, but the same prompts and training data.
_DOUBTFUL_PARTS: Mapping[str, Callable[[StoredRun], str | None]] = {
    "prompts": lambda run: run.spec.comparable_prompts,
    "training": training_hash,
    "fit": lambda run: run.spec.fit,
}


def _name_knobs(rivals: Sequence[_Row]) -> None:
    """Add the knobs that differ from the reference row to the names of rows that are called alike by now.

    Rows with a label of the user's, and those of a method that is not installed here, have no reference: of these the
    knobs are named that differ among them.
    """
    differences = None if rivals[0].run.environment.label else _reference_differences(rivals)

    for index, row in enumerate(rivals):
        config = row.run.spec.config
        if differences is None:
            names = [name for name in config if _differs_among(rivals, name)]
        else:
            names = list(differences[index])

        parts = [row.name, *(format_setting(name, config[name]) for name in sorted(names))]
        if TRAINING_MODEL in row.identity:
            parts.append(format_setting(TRAINING_MODEL, row.identity[TRAINING_MODEL]))
        row.name = " ".join(parts)


def _differs_among(rivals: Sequence[_Row], name: str) -> bool:
    values = [rival.run.spec.config.get(name, ABSENT) for rival in rivals]
    return any(value != values[0] for value in values)


def _reference_differences(rivals: Sequence[_Row]) -> list[set[str]] | None:
    """The knobs of each row that differ from the reference row; None where none is known.

    Of the method's defaults and its presets, that is the reference from which the rows differ least.
    """
    changed_knobs = []
    for row in rivals:
        knobs = _knobs_unlike_defaults(row.run)
        if knobs is None:
            return None
        changed_knobs.append(knobs)

    choices = []
    for preset in ({}, *_read_presets(rivals[0].run.spec.method)):
        choice = []
        for row, knobs in zip(rivals, changed_knobs, strict=True):
            config = row.run.spec.config
            unlike_preset = {name for name, value in preset.items() if name in config and config[name] != value}
            choice.append((knobs - preset.keys()) | unlike_preset)
        choices.append(choice)

    return min(choices, key=lambda choice: sum(map(len, choice)))


def _knobs_unlike_defaults(run: StoredRun) -> set[str] | None:
    """The knobs whose values are not the defaults; None where the run is old and its method not installed here."""
    if run.spec.knobs is not None:
        return set(run.spec.knobs)

    defaults = _read_config(run.spec.method, {})
    if defaults is None:
        return None if run.spec.config else set()

    return {name for name, value in run.spec.config.items() if defaults.get(name, ABSENT) != value}


def _read_presets(method: str) -> Sequence[Mapping[str, Any]]:
    """What each preset of a method sets, as specs hold it."""
    try:
        method_class = get_method(method)
    except (RpobenchError, ImportError):
        return []

    presets = []
    names = {name for name, preset in PRESETS.items() if preset.names_rows and preset.evidence}
    for name in sorted(names | method_class.presets.keys()):
        values = choose_preset_values(method_class, name)
        config = _read_config(method, values)
        if config is not None:
            presets.append({knob: config[knob] for knob in values})
    return presets


def _read_config(method: str, settings: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """All knobs of a method where these are set, as specs hold them; None where it is not installed here."""
    try:
        config: Mapping[str, Any] = get_method(method).Config(**settings).model_dump(mode="json")
    except (RpobenchError, ImportError, ValidationError):
        return None
    return config


def _tell_identities_apart(rows: Sequence[_Row], part: str) -> None:
    """Add a part of the identity to the names of rows that are called alike and differ in it.

    The newest version of a method stands without its number.
    """
    values_by_name: dict[str, list[object]] = {}
    for row in rows:
        values = values_by_name.setdefault(row.name, [])
        value = row.identity.get(part, ABSENT)
        if value not in values:
            values.append(value)

    for row in rows:
        values, value = values_by_name[row.name], row.identity.get(part, ABSENT)
        is_newest = part == "version" and value == max(map(str, values), key=_version_order)
        if len(values) > 1 and value is not ABSENT and not is_newest:
            row.name = f"{row.name} {format_setting(part, value)}"


def _version_order(version: str) -> list[tuple[int, str]]:
    """A sort key that puts version 9 before version 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", version) if part]


def _tell_cells_apart(rows: Sequence[_Row], part: str, value_of: Callable[[StoredRun], str | None]) -> None:
    """Add a doubtful part to the names of rows where one cell would hold two values of it."""
    cells = [(row.name, row.run.task_name, row.run.spec.seed if part == "fit" else None) for row in rows]

    values_by_cell: dict[tuple[str, str, int | None], set[str | None]] = {}
    for cell, row in zip(cells, rows, strict=True):
        values_by_cell.setdefault(cell, set()).add(value_of(row.run))

    for cell, row in zip(cells, rows, strict=True):
        if len(values_by_cell[cell]) > 1:
            row.name = f"{row.name} {format_setting(part, value_of(row.run))}"
