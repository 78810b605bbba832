"""Tables of finished runs, as Markdown and CSV. Reads what the store returns and nothing else.

Runs stand in one column only where they answered the same questions: same data, split, prompts and base model.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

Result = Mapping[str, Any]
ARROWS = {"max": "↑", "min": "↓"}
REFERENCES = {"best_generic": "best generic", "oracle": "oracle"}
COLUMNS = ("method", "task", "metric", "value", "low", "high", "n", "seeds", "data", "split", "base_model", "p_holm")
MORE_COLUMNS = ("gain", "data_sha256", "prompt_sha256")


@dataclass
class Cell:
    """One method on one task: its runs with own profiles and those with swapped ones, by seed."""

    own: dict[int, Result] = field(default_factory=dict)
    swapped: dict[int, Result] = field(default_factory=dict)

    @property
    def any(self) -> Result:
        return next(iter(self.own.values()))

    def value(self, metric: str) -> float:
        """The metric's mean over seeds."""
        return fmean(run["metrics"][metric] for run in self.own.values())

    def gain(self) -> float | None:
        """Personalization gain in the main metric, the mean over seeds that have both runs; positive is better."""
        metric, sign = self.any["main_metric"], 1 if self.any["directions"][self.any["main_metric"]] == "max" else -1
        both = self.own.keys() & self.swapped.keys()
        if not both:
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


def as_markdown(results: Sequence[Result]) -> str:
    """One heading for each data set, split and base model, with tables of main metrics, gains and other metrics."""
    return "\n".join(_markdown(section) for section in sections(results))


def as_csv(results: Sequence[Result]) -> str:
    """One line for each method, task and metric; intervals and p-values are empty where none were computed."""
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(COLUMNS + MORE_COLUMNS)
    for section in sections(results):
        for method, task, cell in (
            (m, t, row[t]) for m, row in section.cells.items() for t in sorted(row, key=natural)
        ):
            run, gain = cell.any, cell.gain()
            shas = (run["spec"]["data"]["sha256"], run["environment"]["prompt_sha256"])
            for metric in run["directions"]:
                shown = gain if metric == run["main_metric"] and gain is not None else ""
                row = (method, task, metric, cell.value(metric), "", "", run["n"], len(cell.own))
                data = (section.data["source"], section.data["split"], section.base_model)
                table.writerow((*row, *data, "", shown, *shas))
    return lines.getvalue()


def sections(results: Sequence[Result]) -> list[Section]:
    """Finished runs with own profiles, apart where data set, split, hashes or base model differ."""
    apart: dict[tuple[Any, ...], list[Result]] = {}
    for result, place in _placed(results):
        apart.setdefault(place, []).append(result)
    kept = {place: runs for place, runs in apart.items() if any(_is_own(run) for run in runs)}
    return [_section(kept[place]) for place in sorted(kept, key=str)]


def _placed(results: Sequence[Result]) -> Iterable[tuple[Result, tuple[Any, ...]]]:
    """Each run with its section. The second data or prompt hash of a task goes to a second section, and so on."""
    variants: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for result in results:
        spec = result["spec"]
        heading = (*(spec["data"][name] for name in ("source", "split", "holdout", "limit")), spec["base_model"])
        known = variants.setdefault((*heading, _task(result)), [])
        hashes = (spec["data"]["sha256"], result["environment"]["prompt_sha256"])
        if hashes not in known:
            known.append(hashes)
        yield result, (*heading, known.index(hashes))


def _section(runs: Sequence[Result]) -> Section:
    labels = _labels(runs)
    cells: dict[str, dict[str, Cell]] = {}
    for run, label in zip(runs, labels, strict=True):
        cell = cells.setdefault(label, {}).setdefault(_task(run), Cell())
        (cell.own if _is_own(run) else cell.swapped)[run["spec"]["seed"]] = run
    finished = {label: {task: cell for task, cell in row.items() if cell.own} for label, row in sorted(cells.items())}
    spec = runs[0]["spec"]
    rows = {label: row for label, row in finished.items() if row}
    return Section(spec["data"], spec["base_model"], runs[0]["synthetic"], rows)


def _labels(runs: Sequence[Result]) -> list[str]:
    """The row of each run: its method's name, with what differs where one method stands there more than once."""
    identities = [_identity(run) for run in runs]
    fits: dict[tuple[str, str, int], set[str | None]] = {}
    for run, identity in zip(runs, identities, strict=True):
        fits.setdefault(_place(run, identity), set()).add(run["spec"]["fit"])
    for run, identity in zip(runs, identities, strict=True):
        if len(fits[_place(run, {k: v for k, v in identity.items() if k != "fit"})]) > 1:
            identity["fit"] = run["spec"]["fit"]
    return [
        _label(identity, [one for one in identities if one["method"] == identity["method"]]) for identity in identities
    ]


def _identity(run: Result) -> dict[str, Any]:
    """What makes a row: everything about the method but task, seed, profiles and (in doubt only) the fit."""
    spec, trained = run["spec"], run["fit"]["train_tasks"] if run["fit"] else []
    on = {"trained_on": "+".join(trained)} if len(trained) > 1 else {}
    return {"method": spec["method"], "version": spec["version"], **spec["config"], **on}


def _place(run: Result, identity: Mapping[str, Any]) -> tuple[str, str, int]:
    return json.dumps(identity, sort_keys=True), _task(run), run["spec"]["seed"]


def _label(identity: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> str:
    differing = sorted(name for name in identity if any(one.get(name) != identity[name] for one in rivals))
    return " ".join([identity["method"], *(f"{name}={identity[name]}" for name in differing)])


def _task(run: Result) -> str:
    return str(run["spec"]["task"].split("@")[0])


def _is_own(run: Result) -> bool:
    return bool(run["spec"]["profiles"] == "own")


def _markdown(section: Section) -> str:
    main = [(task, section.sample(task)["main_metric"]) for task in section.tasks]
    other = [(t, metric) for t, first in main for metric in section.sample(t)["directions"] if metric != first]
    gains = {label: {t: cell.gain() for t, cell in row.items()} for label, row in section.cells.items()}
    known = any(gain is not None for row in gains.values() for gain in row.values())
    parts = [f"## {_heading(section)}", _caption(section), _metric_table(section, main)]
    if known:
        parts += ["Personalization gain (own minus swapped profiles, in the main metric; positive is better)"]
        parts += [_table(["method", *section.tasks], _gain_rows(section, gains))]
    if other:
        parts += ["Other official metrics", _metric_table(section, other)]
    return "\n\n".join(parts) + "\n"


def _heading(section: Section) -> str:
    data, note = section.data, " (synthetic, not LaMP)" if section.synthetic else ""
    users = f", {data['holdout']:g} of the users held out" if data["holdout"] else ""
    return f"{data['source']}, split {data['split']}{users}{note}, base model {section.base_model}"


def _caption(section: Section) -> str:
    """What the columns rest on, task by task."""
    told = []
    for task in section.tasks:
        run = section.sample(task)
        users = ", users inferred" if run["users"] == "inferred" else ""
        data, prompt = run["spec"]["data"]["sha256"][:8], run["environment"]["prompt_sha256"][:8]
        told.append(f"{task}: n={run['n']}{users}, data {data}, prompt {prompt}")
    return "Scored on " + "; ".join(told) + ". ↑ higher, ↓ lower is better; the best method of a column is bold."


def _metric_table(section: Section, columns: Sequence[tuple[str, str]]) -> str:
    heads = [f"{task} {metric} {ARROWS[section.sample(task)['directions'][metric]]}" for task, metric in columns]
    values = {
        label: [row[task].value(metric) if task in row else None for task, metric in columns]
        for label, row in section.cells.items()
    }
    best = [_best(section, *column, [row[i] for row in values.values()]) for i, column in enumerate(columns)]
    rows = []
    for label, row in values.items():
        cells = [
            f"**{_figure(value)}**" if value == top else _figure(value) for value, top in zip(row, best, strict=True)
        ]
        rows.append([label, str(_seeds(section.cells[label])), *cells])
    for name, title in REFERENCES.items():
        known = [section.sample(task)["references"].get(name, {}).get(metric) for task, metric in columns]
        if any(value is not None for value in known):
            rows.append([f"*{title}*", "", *map(_figure, known)])
    return _table(["method", "seeds", *heads], rows)


def _best(section: Section, task: str, metric: str, values: Sequence[float | None]) -> float:
    pick = max if section.sample(task)["directions"][metric] == "max" else min
    return pick(value for value in values if value is not None)


def _seeds(row: Mapping[str, Cell]) -> int:
    return min(len(cell.own) for cell in row.values())


def _gain_rows(section: Section, gains: Mapping[str, Mapping[str, float | None]]) -> list[list[str]]:
    return [
        [label, *(_figure(row.get(task), signed=True) for task in section.tasks)]
        for label, row in gains.items()
        if any(value is not None for value in row.values())
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(map(_plain, row)) + " |" for row in (heads, align, *rows))


def _plain(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _figure(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts LaMP-2 before LaMP-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
