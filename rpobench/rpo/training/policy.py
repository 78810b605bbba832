"""The policy that is trained: the reflection model with a LoRA adapter, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, set_seed

from rpobench.models.local.chat_tokens import read_encoder


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

    return get_peft_model(base, lora_config(rank))


def lora_config(rank: int) -> LoraConfig:
    """Describe the adapter of a reflection model: on every linear layer, with an alpha of twice its rank."""
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


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
    """Load the untrained model in float32, without an adapter. Its texts end where its answers end in prediction."""
    model = AutoModelForCausalLM.from_pretrained(str(checkpoint), dtype=torch.float32, use_safetensors=True)

    settings = model.generation_config
    settings.eos_token_id = read_encoder(checkpoint).stop_tokens(settings.eos_token_id)
    return model


def load_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    """Load the checkpoint's tokenizer. The end of a text falls back to the end of the turn, padding to the former."""
    encoder = read_encoder(checkpoint)
    tokenizer: PreTrainedTokenizerBase = encoder.tokenizer

    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(encoder.end_of_turn)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
