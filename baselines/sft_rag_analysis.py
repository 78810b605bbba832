"""Trained single-step with RPO's written analysis of the history before the answer, still without a draft."""

from __future__ import annotations

from rpobench.rpo.form import Form
from rpobench.rpo.trained_module import TrainedModule


class SftRagAnalysis(TrainedModule):
    """Ablation of RPO's draft (arXiv 2511.05286): if it does as well, rewriting adds nothing to the analysis.

    Same model, data, LoRA budget and steps; `--set rl=grpo` adds RPO's second stage with the same reward.
    """

    name = "sft-rag-analysis"
    form = Form(evidence=True, draft=False, analysis=True)
