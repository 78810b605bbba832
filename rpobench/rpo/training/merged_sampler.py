"""A copy of the policy that only writes: the adapter merged, all weights in bfloat16.

Training multiplies in bfloat16 under autocast, which turns every frozen weight into bfloat16 anew for every token, and
an adapter beside them doubles the number of products. A merged copy writes the same texts but for rounding, several
times faster, at two bytes a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer

from rpobench.models.local.generation import continue_prompts
from rpobench.models.local.sampling import TokenChoice
from rpobench.rpo.training.policy import load_base


class MergedSampler:
    """Writes in place of a policy."""

    def __init__(self, checkpoint: Path) -> None:
        """Load the copy.

        Args:
            checkpoint: The folder of the untrained model.
        """
        self.model = load_base(checkpoint).to(torch.bfloat16).eval()

    def copy_weights(self, policy: Any) -> None:
        """Take over the policy's weights as they are now.

        Args:
            policy: A model with a LoRA adapter, by peft.
        """
        with torch.no_grad():
            for name, layer in policy.get_base_model().named_modules():
                if isinstance(layer, LoraLayer):
                    merged = layer.get_base_layer().weight + layer.get_delta_weight("default")
                    self.model.get_submodule(name).weight.copy_(merged)

    def write(
        self, prompts: Sequence[Sequence[int]], choice: TokenChoice, stop_tokens: Sequence[int], *, filler: int
    ) -> list[list[int]]:
        """Continue prompts, as `continue_prompts` does."""
        with torch.no_grad():
            return continue_prompts(self.model, prompts, choice, stop_tokens, filler=filler)
