"""The training arguments: what follows the machine, and what is passed through."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_jobs import make_job

from rpobench.rpo.training.arguments import mixed_precision
from rpobench.rpo.training.dpo import dpo_arguments
from rpobench.rpo.training.grpo import grpo_arguments
from rpobench.rpo.training.sft import evaluation_steps, sft_arguments


@pytest.mark.parametrize(("epoch_steps", "steps"), [(1, 1), (12, 12), (63, 20), (202, 51)])
def test_the_held_out_loss_is_measured_a_few_times_an_epoch(epoch_steps: int, steps: int) -> None:
    assert evaluation_steps(epoch_steps) == steps


def test_vllm_and_reports_are_passed_through(tmp_path: Path) -> None:
    with_vllm = make_job(tmp_path, tmp_path, rl_vllm=True)
    assert grpo_arguments(with_vllm, tmp_path, held_out_count=0).use_vllm

    reporting = make_job(tmp_path, tmp_path, report_to="tensorboard")
    stages = [
        grpo_arguments(reporting, tmp_path, held_out_count=0),
        dpo_arguments(reporting, tmp_path, evaluates=False),
        sft_arguments(reporting, tmp_path, row_count=1, evaluates=False),
    ]
    assert [arguments.report_to for arguments in stages] == [["tensorboard"]] * 3


@pytest.mark.parametrize(
    ("capabilities", "mixed"),
    [
        ({"amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_f": True, "amx_bf16": False, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_bfloat16_is_for_a_cpu_that_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], mixed: bool
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: capabilities)

    assert mixed_precision() is mixed
