"""The training arguments that every stage has in common; they follow the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers.integrations import get_available_reporting_integrations

from rpobench.types import RpobenchError


def common_arguments(work: Path, *, report_to: str, seed: int) -> dict[str, Any]:
    """Set up the arguments of every stage. They follow the machine: `mixed_precision`, and checkpointing on CUDA.

    Args:
        work: The folder of checkpoints.
        report_to: Where transformers reports to: `none`, `tensorboard`, `wandb` ...
        seed: What every random choice depends on.

    Returns:
        Keyword arguments for `transformers.TrainingArguments` and what trl derives from it.
    """
    cuda = torch.cuda.is_available()

    return {
        "output_dir": str(work),
        "seed": seed,
        "use_cpu": not cuda,
        "bf16": mixed_precision(),
        "gradient_checkpointing": cuda,
        "dataloader_pin_memory": cuda,
        "ddp_find_unused_parameters": False,  # every weight of the adapter has a part in every loss
        "report_to": report_to,
        "disable_tqdm": True,  # stdout is for results; `TrainingProgress` draws on stderr
        "logging_steps": 1,
        "save_total_limit": 2,
    }


def refinement_evaluation_steps(steps: int) -> int:
    """Choose how many steps of stage 2 lie between two measurements on held-out users: half of all steps."""
    return max(1, steps // 2)


def check_reports(report_to: str) -> None:
    """Refuse a report that cannot be written here.

    Args:
        report_to: The value of the option.

    Raises:
        RpobenchError: transformers does not know it, or its package is not installed.
    """
    available = ["none", *get_available_reporting_integrations()]

    if report_to not in available:
        raise RpobenchError(
            f"report_to={report_to}: not one of {', '.join(available)}, or its package is not installed"
        )


def mixed_precision() -> bool:
    """Tell whether a stage multiplies in bfloat16, with its weights in float32.

    It does where the machine has instructions for it. On a CPU those are AMX and AVX-512 BF16; Intel's AVX-512 BF16
    does it at half the rate of float32 and does not count (docs/decisions.md has the times of all three).

    Returns:
        True where bfloat16 is faster than float32.
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())

    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("amx_bf16", False):
        return True

    is_intel = "Intel" in str(capabilities.get("cpu_name", ""))
    return bool(capabilities.get("avx512_bf16", False)) and not is_intel
