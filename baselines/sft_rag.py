"""Trained single-step: the same module as RPO's, trained on input and evidence, without a draft."""

from __future__ import annotations

from rpobench.rpo.form import Form
from rpobench.rpo.trained_module import TrainedModule


class SftRag(TrainedModule):
    """Retrieval-augmented fine-tuning, the fair rival of RPO (arXiv 2511.05286): an ablation of its draft and analysis.

    Same model, data, LoRA budget and steps; `--set rl=grpo` adds RPO's second stage with the same reward.
    """

    name = "sft-rag"
    form = Form(evidence=True, draft=False, analysis=False)
