"""Everything that authors of methods, tasks, models and retrievers import, and nothing else.

    from rpobench.api import Method, EvidenceConfig

**What is promised.** Names here stay, with the meaning that their docstrings give them, within one minor version
(0.2.x). A minor version (0.3) may add names, optional arguments with defaults and optional hooks, and may rename or
remove a name only after one minor version in which the old name still works and warns. From 1.0 on only a major version
may. Whatever is imported from elsewhere in `rpobench` may change at any time.
"""

from __future__ import annotations

from rpobench.evidence.retrievers import Retriever
from rpobench.method.answering import (
    content_free_prompt,
    content_free_wording,
    fails_for_good,
    first_failure,
    reread_prediction,
    total_usage,
)
from rpobench.method.config import QUICK_EVIDENCE, UNCUT, EvidenceConfig, MethodConfig
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.method.per_user import build_past_examples, keep_part, name_part, sample_pair
from rpobench.models.protocol import LanguageModel, PromptTooLong
from rpobench.registry import get_method, get_model, get_retriever, get_task
from rpobench.task import Direction, LabelTask, Metric, PairedItems, RatingTask, Scorer, Task, TextTask
from rpobench.task.scorers import LabelMetric, LabelScorer, RatingMetric, RatingScorer, TextMetric, TextScorer
from rpobench.terminal import show_progress
from rpobench.types import (
    Chat,
    Completion,
    Decoding,
    Evidence,
    Example,
    Labelled,
    Message,
    Prediction,
    ProfileItem,
    RpobenchError,
    Usage,
)

__all__ = [
    "QUICK_EVIDENCE",
    "UNCUT",
    "Chat",
    "Completion",
    "Decoding",
    "Direction",
    "Evidence",
    "EvidenceConfig",
    "Example",
    "FitContext",
    "LabelMetric",
    "LabelScorer",
    "LabelTask",
    "Labelled",
    "LanguageModel",
    "Message",
    "Method",
    "MethodConfig",
    "Metric",
    "PairedItems",
    "PredictContext",
    "Prediction",
    "ProfileItem",
    "PromptTooLong",
    "RatingMetric",
    "RatingScorer",
    "RatingTask",
    "Retriever",
    "RpobenchError",
    "Scorer",
    "Task",
    "TextMetric",
    "TextScorer",
    "TextTask",
    "Usage",
    "build_past_examples",
    "content_free_prompt",
    "content_free_wording",
    "fails_for_good",
    "first_failure",
    "get_method",
    "get_model",
    "get_retriever",
    "get_task",
    "keep_part",
    "name_part",
    "reread_prediction",
    "sample_pair",
    "show_progress",
    "total_usage",
]
