"""What the knobs of every method have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class MethodConfig(BaseModel):
    """The base of every method's knobs: frozen, unknown names are refused, and every number is finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def changed_knobs(config: BaseModel) -> dict[str, Any]:
    """Return the knobs whose values differ from their defaults: what an identity holds of a config.

    Args:
        config: All knobs of a method with their values.

    Returns:
        The values of those knobs as JSON has them, by name.
    """
    defaults = {}
    for name, field in type(config).model_fields.items():
        defaults[name] = field.get_default(call_default_factory=True)

    values: dict[str, Any] = config.model_dump(mode="json")
    return {name: value for name, value in values.items() if getattr(config, name) != defaults[name]}


# Prompt tokens, more than any prompt has: for items that a method ranks or copies and shows to no model.
UNCUT = 1_000_000


class EvidenceConfig(MethodConfig):
    """How much of a profile a model is shown: the knobs of every method that reads evidence.

    All tokens are those of the reference tokenizer. A limit in tokens stands beside the count because titles are short
    and reviews are long: a count alone would give one task three times the text of another.

    Attributes:
        k: How many items at most.
        max_prompt_tokens: The length of the official prompt. Items are cut the official way until it fits.
        max_evidence_tokens: How many tokens the items may have together before they are cut; None is no limit.
    """

    k: int = Field(default=4, ge=1)
    max_prompt_tokens: int = Field(default=512, ge=1)
    max_evidence_tokens: int | None = Field(default=None, ge=1)


# What every method that reads evidence takes in `quick`: equal between methods, and short enough for two cores.
QUICK_EVIDENCE = {"k": 8, "max_prompt_tokens": 256, "max_evidence_tokens": 110}
