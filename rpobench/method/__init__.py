"""The contract of a method, the contexts that it is lent, and what its author needs beside them."""

from rpobench.method.answering import content_free_prompt, content_free_wording
from rpobench.method.config import QUICK_EVIDENCE, UNCUT, EvidenceConfig, MethodConfig
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.method.per_user import keep_part, pair_words, part_key, past_examples

__all__ = [
    "QUICK_EVIDENCE",
    "UNCUT",
    "EvidenceConfig",
    "FitContext",
    "Method",
    "MethodConfig",
    "PredictContext",
    "content_free_prompt",
    "content_free_wording",
    "keep_part",
    "pair_words",
    "part_key",
    "past_examples",
]
