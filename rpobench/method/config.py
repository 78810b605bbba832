"""What the knobs of every method have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MethodConfig(BaseModel):
    """Base of the knobs of a method: frozen, none unknown, and every number finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


UNCUT = 1_000_000  # prompt tokens: what no model is shown needs no cutting


class EvidenceConfig(MethodConfig):
    """How much of a profile a model is shown: the knobs of every method that reads evidence.

    At most `k` items, and of those only so many as have `max_evidence_tokens` tokens together (titles are short,
    reviews are long: a count alone would give one task three times the text of another); then they are cut the official
    way, so that the official prompt has `max_prompt_tokens`. Tokens of the reference tokenizer.
    """

    k: int = Field(default=4, ge=1)
    max_prompt_tokens: int = Field(default=512, ge=1)
    max_evidence_tokens: int | None = Field(default=None, ge=1)


# What every method that reads evidence takes in `quick`: equal between methods, and short enough for two cores.
QUICK_EVIDENCE = {"k": 8, "max_prompt_tokens": 256, "max_evidence_tokens": 110}
