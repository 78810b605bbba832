"""How much data a preset takes. What a preset changes in a method stands in the method (`Method.presets`)."""

from __future__ import annotations

from dataclasses import dataclass

from rpobench.advice import advice
from rpobench.types import RpobenchError


@dataclass(frozen=True, slots=True)
class Preset:
    """Examples scored, and training examples a task."""

    scored: int
    trained: int


PRESETS = {"quick": Preset(scored=32, trained=40), "full": Preset(scored=200, trained=128)}

# What every method that reads evidence takes in `quick`: equal between methods, and short enough for two cores.
QUICK_EVIDENCE = {"k": 8, "max_prompt_tokens": 256, "max_evidence_tokens": 110}


def get_preset(name: str) -> Preset:
    """The preset of this name."""
    if name not in PRESETS:
        raise RpobenchError(f"unknown preset '{name}': {advice(name, PRESETS)}")
    return PRESETS[name]
