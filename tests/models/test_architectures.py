"""Causal chat models of other kinds than the tiny Llama: each remembers a prompt in its own way."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, Lfm2Config, MambaConfig, MistralConfig, PreTrainedConfig

from rpobench.models.local.batching import TokenBudget
from rpobench.models.local.transformers import TransformersModel
from rpobench.types import Chat, Decoding, Message

COMMON: dict[str, Any] = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.3}
SMALL = COMMON | {"hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 64}
KINDS: dict[str, PreTrainedConfig] = {
    "a sliding window": MistralConfig(**SMALL, **HEADS, sliding_window=8),
    "learned positions": GPT2Config(**COMMON, n_embd=32, n_layer=2, n_head=2, n_positions=2048),
    "a recurrent state": MambaConfig(**SMALL, state_size=4),
    "convolutions": Lfm2Config(**SMALL, **HEADS, layer_types=["conv", "full_attention"]),
}
CHATS: list[Chat] = [
    (Message("user", f"a review number {number} of " + "a sturdy kettle and a lamp " * (number % 5)),)
    for number in range(7)
]
OPTIONS = ["[1]", "[2]", "true story", "true story and more of it", "5"]


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """Random weights of the kind, with the tiny model's tokenizer."""
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(KINDS[request.param]).save_pretrained(tmp_path)

    for file in (*tiny_checkpoint.glob("tokenizer*"), tiny_checkpoint / "chat_template.jinja"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_it_writes_and_chooses_alike_whatever_the_batch(folder: Path) -> None:
    single, batched = (TransformersModel(folder, budget=TokenBudget(rows=rows)) for rows in (1, len(CHATS)))

    single_texts = [completion.text for completion in single.generate(CHATS, Decoding(10))]
    batched_texts = [completion.text for completion in batched.generate(CHATS, Decoding(10))]

    assert single_texts == batched_texts and len(set(single_texts)) > 1

    scores = [single.loglikelihood(CHATS, [option] * len(CHATS)) for option in OPTIONS]
    best_options = []
    for chat_scores in zip(*scores, strict=True):
        best_options.append(OPTIONS[chat_scores.index(max(chat_scores))])
    for model in (single, batched):
        assert [completion.text for completion in model.choose(CHATS, OPTIONS)] == best_options
