"""The policy that is trained: the reflection model with a LoRA adapter, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, set_seed

from rpobench.models.local.loading import fix_template_date


def new_policy(checkpoint: Path, *, rank: int, seed: int) -> PeftModel:
    """Load the reflection model with a fresh LoRA adapter on every linear layer.

    Args:
        checkpoint: The folder of the untrained model.
        rank: The rank of the adapter; its alpha is twice that.
        seed: What the adapter's first weights depend on.

    Returns:
        The model, of which the adapter alone is trained.
    """
    set_seed(seed)
    base = load_base(checkpoint)

    lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(base, lora)


def trained_policy(checkpoint: Path, adapter: Path, *, seed: int) -> PeftModel:
    """Load the reflection model with a trained adapter, ready to be trained on.

    Args:
        checkpoint: The folder of the untrained model.
        adapter: The folder of the adapter.
        seed: What every random choice from here on depends on.

    Returns:
        The model, of which the adapter alone is trained.
    """
    set_seed(seed)
    base = load_base(checkpoint)

    return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)


def load_base(checkpoint: Path) -> Any:
    """Load the untrained model in float32, without an adapter."""
    return AutoModelForCausalLM.from_pretrained(str(checkpoint), dtype=torch.float32, use_safetensors=True)


def load_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    """Load the checkpoint's tokenizer. Padding falls back to the end-of-text token."""
    tokenizer = fix_template_date(AutoTokenizer.from_pretrained(str(checkpoint)))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
