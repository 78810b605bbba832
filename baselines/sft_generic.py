"""Trained single-step without the user's history: what training on the task alone is worth."""

from __future__ import annotations

from rpobench.rpo.form import Form
from rpobench.rpo.trained_module import TrainedModule


class SftGeneric(TrainedModule):
    """Ablation of everything personal in RPO (arXiv 2511.05286): input and answer, no history, no draft.

    Same model, data, LoRA budget and steps; `--set rl=grpo` adds RPO's second stage with the same reward.
    """

    name = "sft-generic"
    reads_profile = False
    form = Form(evidence=False, draft=False, analysis=False)
