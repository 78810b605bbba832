"""Tables of finished runs, as Markdown and CSV. Reads what the store returns and nothing else.

Runs stand in one column only where they answered the same questions: same data, split, prompts and base model.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from rpobench.leaderboard.rows import Cell, Result, Section, natural, sections

ARROWS = {"max": "↑", "min": "↓"}
REFERENCES = {"best_generic": "best generic", "oracle": "oracle"}
COLUMNS = ("method", "task", "metric", "value", "low", "high", "n", "seeds", "data", "split", "base_model", "p_holm")
MORE_COLUMNS = ("gain", "data_sha256", "prompt_sha256")


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
