"""What the training stages of a fit logged: one file a stage, one line a logged step, each an object of numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpobench.types import RpobenchError


@dataclass(frozen=True)
class LoggedStep:
    """The figures that a stage logged at one step, by the trainer's name for them. All are finite."""

    step: float
    figures: Mapping[str, float]


TrainingLogs = Mapping[str, list[LoggedStep]]  # by stage, such as `sft`, in the order of the steps


def read_training_logs(fit_folder: Path) -> TrainingLogs:
    """Read the logs of a fit's stages.

    A value that is not a finite number, as in a training that diverged, is left out; so is a line without a step.

    Args:
        fit_folder: The folder of the fit; it need not exist.

    Returns:
        The steps by stage, in alphabetical order of the stages; empty where the fit has no logs.

    Raises:
        RpobenchError: A line is not JSON; the text names file and line.
    """
    entries_by_stage = {}
    for file in sorted(fit_folder.glob("checkpoint/*.jsonl")):
        entries = []
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                entries.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise RpobenchError(f"{file}:{number}: is no line of a training log: {error}") from error
        entries_by_stage[file.stem] = entries

    return parse_training_logs(entries_by_stage)


def parse_training_logs(entries_by_stage: Mapping[str, Sequence[Any]]) -> TrainingLogs:
    """Read logged lines.

    Args:
        entries_by_stage: What `json.loads` returned for each line, by stage.

    Returns:
        The steps by stage; a stage without any is left out.
    """
    logs = {}
    for stage, entries in entries_by_stage.items():
        steps = [_parse_step(entry) for entry in entries if isinstance(entry, dict) and "step" in entry]
        if steps:
            logs[stage] = steps
    return logs


def _parse_step(entry: dict[str, Any]) -> LoggedStep:
    """Read one logged line; values that are not finite numbers are left out."""
    figures = {}
    for name, value in entry.items():
        if name != "step" and isinstance(value, int | float) and math.isfinite(value):
            figures[name] = float(value)

    return LoggedStep(entry["step"], figures)
