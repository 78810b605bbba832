"""Whether a checkpoint can be trained as a reflection model: asked before anything is drafted for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM

from rpobench.models.local.chat_tokens import ChatEncoder
from rpobench.models.local.loading import LOADING_ERRORS, REASON_LENGTH, explain_loading_errors, silence_libraries
from rpobench.rpo.training.policy import lora_config
from rpobench.types import Message, RpobenchError

CHAT = (Message("system", "Rewrite the draft."), Message("user", "Draft: a"))


def require_trainable(checkpoint: Path, encoder: ChatEncoder) -> None:
    """Refuse a checkpoint that cannot be trained.

    Args:
        checkpoint: The folder of the model.
        encoder: Writes its chats.

    Raises:
        RpobenchError: It is quantised, no causal language model, of a kind that an adapter cannot be put on, or its
            chat template does not write an answer with its end.
    """
    encoder.encode_turn(CHAT, "Rewrite: a")

    with silence_libraries(), explain_loading_errors(checkpoint):
        config = AutoConfig.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=False)

    if getattr(config, "quantization_config", None):
        raise RpobenchError(
            f"{checkpoint}: its weights are quantised and cannot be trained; name the checkpoint that is not quantised"
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise RpobenchError(
            f"{checkpoint}: a model of type '{config.model_type}' writes no chats and cannot be trained; "
            "name a causal language model"
        )
    _require_adaptable(checkpoint, config)


def _require_adaptable(checkpoint: Path, config: Any) -> None:
    """Put an adapter on a model of this kind that has no weights."""
    try:
        with silence_libraries(), torch.device("meta"):
            get_peft_model(AutoModelForCausalLM.from_config(config), lora_config(rank=1))
    except LOADING_ERRORS as error:
        reason = " ".join(str(error).split())[:REASON_LENGTH]
        raise RpobenchError(
            f"{checkpoint}: a model of type '{config.model_type}' cannot be trained ({reason}); "
            "name a transformer, such as smollm2-135m"
        ) from error
