"""Finished runs as rows and columns: which runs make one row, and which may stand in one table.

Runs stand in one column only where they answered the same questions: same data, split, prompts and base model.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from rpobench.types import RpobenchError

Result = Mapping[str, Any]
FOREIGN = "drafts_of"  # the base model that a module was trained on, where it was applied to another one: always told


@dataclass
class Cell:
    """One method on one task: its runs with own profiles and those with swapped ones, by seed."""

    own: dict[int, Result] = field(default_factory=dict)
    swapped: dict[int, Result] = field(default_factory=dict)

    @property
    def any(self) -> Result:
        return next(iter(self.own.values()))

    @property
    def unanswered(self) -> int:
        """Examples, own and swapped, that a model gave no answer to; they count as wrong."""
        return unanswered(self.own.values()) + unanswered(self.swapped.values())

    def value(self, metric: str) -> float:
        """The metric's mean over seeds."""
        return fmean(run["metrics"][metric] for run in self.own.values())

    def gain(self) -> float | None:
        """Personalization gain in the main metric, the mean over seeds that have both runs; positive is better.

        None where a model left examples of either without answer: it would measure the model's refusals.
        """
        metric, sign = self.any["main_metric"], 1 if self.any["directions"][self.any["main_metric"]] == "max" else -1
        both = self.own.keys() & self.swapped.keys()
        if not both or self.unanswered:
            return None
        return fmean(sign * (self.own[s]["metrics"][metric] - self.swapped[s]["metrics"][metric]) for s in both)


@dataclass
class Section:
    """Runs that may stand in one table: `cells[method label][task]`."""

    data: Mapping[str, Any]
    base_model: str
    synthetic: bool
    cells: dict[str, dict[str, Cell]]

    @property
    def tasks(self) -> list[str]:
        return sorted({task for row in self.cells.values() for task in row}, key=natural)

    def sample(self, task: str) -> Result:
        """Any run on this task: all have the same data, prompts and references."""
        return next(row[task].any for row in self.cells.values() if task in row)


def sections(results: Sequence[Result]) -> list[Section]:
    """Finished runs with own profiles, apart where data set (a made-up world: its seed and size), split, task version,
    hashes or base model differ."""
    apart: dict[tuple[Any, ...], list[Result]] = {}
    for result, place in _placed(results):
        apart.setdefault(place, []).append(result)
    kept = {place: runs for place, runs in apart.items() if any(is_own(run) for run in runs)}
    return [_section(kept[place]) for place in sorted(kept, key=str)]


def _placed(results: Sequence[Result]) -> Iterable[tuple[Result, tuple[Any, ...]]]:
    """Each run with its section. A task's second version, data or prompt hash goes to a second section, and so on.

    A made-up world is one by its seed and size; in a folder the tasks have sizes of their own.
    """
    variants: dict[tuple[Any, ...], list[tuple[str, str, str]]] = {}
    for result in results:
        spec = result["spec"]
        world = (spec["data"]["seed"], result["n"]) if result["synthetic"] else ()
        data = (spec["data"][name] for name in ("source", "split", "holdout", "limit"))
        heading = (*data, *world, spec["base_model"])
        known = variants.setdefault((*heading, task_of(result)), [])
        asked = (spec["task"], spec["data"]["sha256"], result["environment"]["prompt_sha256"])
        if asked not in known:
            known.append(asked)
        yield result, (*heading, known.index(asked))


def _section(runs: Sequence[Result]) -> Section:
    labels = labels_of(runs)
    cells: dict[str, dict[str, Cell]] = {}
    for run, label in zip(runs, labels, strict=True):
        cell = cells.setdefault(label, {}).setdefault(task_of(run), Cell())
        side, seed = cell.own if is_own(run) else cell.swapped, run["spec"]["seed"]
        if seed in side:
            both = f"{side[seed]['folder']} and {run['folder']}"
            raise RpobenchError(f"{both} are both {label} of {task_of(run)}, seed {seed}: move one away")
        side[seed] = run
    finished = {label: {task: cell for task, cell in row.items() if cell.own} for label, row in sorted(cells.items())}
    spec = runs[0]["spec"]
    rows = {label: row for label, row in finished.items() if row}
    return Section(spec["data"], spec["base_model"], runs[0]["synthetic"], rows)


def labels_of(runs: Sequence[Result]) -> list[str]:
    """The row of each run: its method's name, with what differs where one method stands there more than once."""
    identities = [identity_of(run) for run in runs]
    for part in _PARTS:
        _tell_apart(runs, identities, part)
    return [
        _label(identity, [one for one in identities if one["method"] == identity["method"]])
        + (" (imported)" if run.get("imported") else "")
        for run, identity in zip(runs, identities, strict=True)
    ]


def training_of(run: Result) -> str | None:
    """What the run's module was trained on, data and number of examples, as a hash; None where that is not known."""
    if not run["fit"]:
        return None
    learned = [[data["sha256"], data["limit"]] for data in run["fit"]["data"]]
    return hashlib.sha256(json.dumps(learned).encode()).hexdigest()[:8]


# Parts of a run that differ from task to task anyway, so that they make a row in doubt only. Seeds of one cell have a
# fit each, but the same prompts and training data.
_PARTS: Mapping[str, Callable[[Result], str | None]] = {
    "prompts": lambda run: run["spec"].get("prompts"),
    "training": training_of,
    "fit": lambda run: run["spec"].get("fit"),
}


def _tell_apart(runs: Sequence[Result], identities: Sequence[dict[str, Any]], part: str) -> None:
    """Add a part to the identities where one cell would hold two of it."""
    places = [
        (json.dumps(identity, sort_keys=True), task_of(run), run["spec"]["seed"] if part == "fit" else None)
        for run, identity in zip(runs, identities, strict=True)
    ]
    found: dict[tuple[str, str, int | None], set[str | None]] = {}
    for place, run in zip(places, runs, strict=True):
        found.setdefault(place, set()).add(_PARTS[part](run))
    for place, run, identity in zip(places, runs, identities, strict=True):
        if len(found[place]) > 1:
            identity[part] = _PARTS[part](run)


def identity_of(run: Result) -> dict[str, Any]:
    """What makes a row: everything about the method but task, seed, profiles, and (in doubt only) `_PARTS`."""
    spec, trained = run["spec"], run["fit"]["train_tasks"] if run["fit"] else []
    on = {"trained_on": "+".join(trained)} if len(trained) > 1 else {}
    if run["fit"] and run["fit"]["base_model"] != spec["base_model"]:
        on[FOREIGN] = run["fit"]["base_model"]
    return {"method": spec["method"], "version": spec["version"], **spec["config"], **spec.get("models", {}), **on}


def _label(identity: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> str:
    absent = object()  # not None, which a knob may be
    differing = sorted(
        name for name in identity if name == FOREIGN or any(one.get(name, absent) != identity[name] for one in rivals)
    )
    return " ".join([identity["method"], *(f"{name}={identity[name]}" for name in differing)])


def task_of(run: Result) -> str:
    """The run's task without its version."""
    return str(run["spec"]["task"].split("@")[0])


def unanswered(runs: Iterable[Result]) -> int:
    """How many examples of these runs a model gave no answer to."""
    return sum(run.get("unanswered", 0) for run in runs)


def is_own(run: Result) -> bool:
    """Whether the examples had their own users' profiles."""
    return bool(run["spec"]["profiles"] == "own")


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts LaMP-2 before LaMP-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
