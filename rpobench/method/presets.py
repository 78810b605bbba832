"""The presets of `rpobench run`: each is one place for what is shown, scored and trained on where no option says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from rpobench.method.config import QUICK_EVIDENCE, EvidenceConfig


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is scored and trained on, a task.

    Attributes:
        scored: Examples or users scored.
        trained: Examples or users trained on.
    """

    scored: int
    trained: int


@dataclass(frozen=True, slots=True)
class Preset:
    """What a run takes where no option says otherwise.

    Attributes:
        name: What `--preset` calls it.
        purpose: What it is for, in a sentence.
        evidence: The limits of what is shown of a history, by knob of `EvidenceConfig`; others have their defaults.
        knobs: Values of other knobs, by method. Beside them a method may name values in its own `presets`.
        examples: Examples of a synthetic world; None where the preset is for official folders alone.
        users: Users of a folder, drawn; None for all of them.
        tasks: What `--task all` means; empty for LaMP-1 to LaMP-7.
        seeds: The seeds of the runs.
        draws_users: Whether each seed draws users of its own. Otherwise all seeds answer the same questions.
        names_rows: Whether rows are named as if its limits were the methods' defaults.
    """

    name: str
    purpose: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    examples: Amount | None = None
    users: Amount | None = None
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    draws_users: bool = False
    names_rows: bool = False

    def describe_evidence(self, settings: Mapping[str, Any]) -> str:
        """Say in words how much of a history methods show.

        Args:
            settings: The values of `--set`, which go before the preset's.

        Returns:
            Such as `up to 4 items of a history, cut to a prompt of 512 tokens`.
        """
        limits = {knob: info.default for knob, info in EvidenceConfig.model_fields.items()}
        limits |= self.evidence
        limits |= {knob: value for knob, value in settings.items() if knob in limits}

        together = limits["max_evidence_tokens"]
        most = f", of {together} tokens together" if together else ""
        items = f"up to {limits['k']} items" if str(limits["k"]) != "1" else "one item"
        return f"{items} of a history{most}, cut to a prompt of {limits['max_prompt_tokens']} tokens"

    def describe_amount(self) -> str:
        """Say in words how much is scored and trained on, a task."""
        if self.users:
            draws = f", {len(self.seeds)} draws" if self.draws_users else ""
            return f"{self.users.scored} users scored, {self.users.trained} trained on{draws}"
        if self.examples:
            return f"all of a folder; of a world {self.examples.scored} scored, {self.examples.trained} trained on"
        return "all of a folder"


QUICK = Preset(
    name="quick",
    purpose="two cores and minutes: the default on synthetic worlds",
    evidence=QUICK_EVIDENCE,
    examples=Amount(scored=32, trained=40),
    names_rows=True,
)
FULL = Preset(
    name="full",
    purpose="the defaults of every method, all examples of a folder: the default on official folders",
    examples=Amount(scored=200, trained=128),
    names_rows=True,
)
# k is what LaMP's released scripts take unless they are told otherwise; the paper tunes it, so sweep it by --set k.
PAPER_LAMP = Preset(
    name="paper-lamp",
    purpose="LaMP's setting (arXiv 2304.11406): one retrieved item, 512 tokens; BM25, Contriever or recency by method",
    evidence={"k": 1, "max_prompt_tokens": 512},
    knobs={"rag-dense": {"encoder": "facebook/contriever"}},
)
# 1024 tokens stand in the settings that its repository publishes (for LaMP-2).
PAPER_HYDRA = Preset(
    name="paper-hydra",
    purpose="HYDRA's setting (arXiv 2406.02888): 100 training and 50 other users, four items by BM25, three draws",
    evidence={"k": 4, "max_prompt_tokens": 1024},
    users=Amount(scored=50, trained=100),
    tasks=("LaMP-2", "LaMP-3", "LaMP-4", "LaMP-5"),
    seeds=(0, 1, 2),
    draws_users=True,
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (QUICK, FULL, PAPER_LAMP, PAPER_HYDRA)}


def choose_preset_evidence(config_class: type[BaseModel], preset: str) -> dict[str, Any]:
    """Choose the evidence limits that a preset sets of a config, so that every method has its rivals' budget.

    Args:
        config_class: The knobs of a method.
        preset: The preset's name.

    Returns:
        Values by knob; none where the knobs hold no evidence limits. A limit with a default of its own stays as it is.
    """
    if not issubclass(config_class, EvidenceConfig) or preset not in PRESETS:
        return {}

    values = {}
    for knob, value in PRESETS[preset].evidence.items():
        if config_class.model_fields[knob].default == EvidenceConfig.model_fields[knob].default:
            values[knob] = value
    return values


def choose_preset_knobs(method_name: str, preset: str) -> Mapping[str, Any]:
    """Look up what a preset sets of a method's knobs beside the evidence limits.

    Args:
        method_name: The method.
        preset: The preset's name.

    Returns:
        Values by knob.
    """
    return PRESETS[preset].knobs.get(method_name, {}) if preset in PRESETS else {}
