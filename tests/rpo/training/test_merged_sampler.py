"""The copy of the policy that writes: it has the policy's weights, whatever step it is at."""

from __future__ import annotations

from pathlib import Path

import torch

from rpobench.models.local.sampling import GlobalChoice
from rpobench.rpo.training.merged_sampler import MergedSampler
from rpobench.rpo.training.policy import new_policy

IDS = torch.tensor([[5, 6, 7, 8]])


def test_it_follows_the_policy(tiny_checkpoint: Path) -> None:
    policy, sampler = new_policy(tiny_checkpoint, rank=2, seed=0), MergedSampler(tiny_checkpoint)

    for step in range(2):
        with torch.no_grad():
            for name, weight in policy.named_parameters():
                if ".lora_B." in name:
                    weight.copy_(torch.randn_like(weight))
            expected = policy(input_ids=IDS).logits
            sampler.copy_weights(policy)
            logits = sampler.model(input_ids=IDS).logits.float()

        scale = float(expected.abs().max())
        assert torch.allclose(logits, expected, atol=0.05 * scale), f"step {step}"
        assert float((logits - expected).abs().mean()) < 0.01 * scale


def test_it_writes_a_group_from_one_reading(tiny_checkpoint: Path) -> None:
    sampler = MergedSampler(tiny_checkpoint)
    torch.manual_seed(0)

    completions = sampler.write([[5, 6, 7]] * 3, GlobalChoice(6, 1.0), [], filler=0)

    assert [len(completion) for completion in completions] == [6, 6, 6]
    assert len(set(map(tuple, completions))) == 3
    assert next(sampler.model.parameters()).dtype == torch.bfloat16
