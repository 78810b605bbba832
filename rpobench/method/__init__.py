"""The contract of a method, the contexts that it is lent, and what its author needs beside them."""

from rpobench.method.answering import content_free_prompt, content_free_wording
from rpobench.method.config import QUICK_EVIDENCE, UNCUT, EvidenceConfig, MethodConfig
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.method.per_user import build_past_examples, keep_part, name_part, sample_pair

__all__ = [
    "QUICK_EVIDENCE",
    "UNCUT",
    "EvidenceConfig",
    "FitContext",
    "Method",
    "MethodConfig",
    "PredictContext",
    "build_past_examples",
    "content_free_prompt",
    "content_free_wording",
    "keep_part",
    "name_part",
    "sample_pair",
]
