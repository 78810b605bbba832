"""What the log of a finished GRPO stage tells: reward variance, which adapter was kept, and whether it collapsed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rpobench.rpo.training.arguments import refinement_evaluation_steps

Measurement = Mapping[str, float]  # what an evaluation logged, by name


def write_grpo_notes(adapter: Path, *, steps: int) -> list[str]:
    """Write what is worth knowing of a finished stage.

    A group whose completions all earn the same teaches nothing. A collapse is a parse rate or reward on held-out users
    that ended below what stage 1 had. One completion per prompt is sampled, so these figures are only as sure as their
    standard deviation (`eval_reward_std`) over the root of the number of prompts, `grpo.MOST_HELD_OUT` or fewer.

    Args:
        adapter: The folder of the adapter, with the log beside its weights.
        steps: The steps of the stage.

    Returns:
        One line per note.
    """
    entries = [json.loads(line) for line in (adapter / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    measurements = _read_measurements(entries, steps)
    if not measurements:
        no_held_out = "GRPO: no user was held out, so no collapse would be noticed: the last adapter was kept"
        return [_variance_note(entries), no_held_out]

    return [_variance_note(entries), _kept_note(measurements), *_collapse_notes(measurements)]


def _read_measurements(entries: Sequence[dict[str, Any]], steps: int) -> dict[int, Measurement]:
    """The measurements on held-out users, by step, without those of a resume, which `BestAdapter` does not count."""
    measurements: dict[int, Measurement] = {}
    for entry in entries:
        if "eval_reward" in entry:
            step = entry["step"]
            if step % refinement_evaluation_steps(steps) == 0 or step == steps:
                measurements.setdefault(step, entry)

    return measurements


def _variance_note(entries: Sequence[dict[str, Any]]) -> str:
    shares = [entry["frac_reward_zero_std"] for entry in entries if "frac_reward_zero_std" in entry]
    if min(shares) == 1.0:
        return "GRPO: the reward never varied within a group, so this stage taught nothing"
    return f"GRPO: {sum(shares) / len(shares):.0%} of the groups had no reward variance"


def _kept_note(measurements: Mapping[int, Measurement]) -> str:
    rewards = {step: measurement["eval_reward"] for step, measurement in measurements.items()}
    best_step = max(rewards, key=rewards.__getitem__)
    listed = ", ".join(f"{reward:.3f} at step {step}" for step, reward in rewards.items())
    return f"GRPO: reward on held-out users {listed}: step {best_step} was kept"


def _collapse_notes(measurements: Mapping[int, Measurement]) -> list[str]:
    ordered = list(measurements.values())
    first, last = ordered[0], ordered[-1]

    notes = []
    for name, label in (("eval_reward", "reward"), ("eval_parse_rate", "parse rate")):
        if last[name] < first[name]:
            notes.append(
                f"GRPO: on held-out users the {label} fell from {first[name]:.3f} to {last[name]:.3f} in the end"
            )
    return notes
