"""The untrained reflection model that the option `reflection_model` names, and what the teacher's name stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.registry import get_model, split_model_spec
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.models.local.chat_tokens import ChatEncoder


def reflection_checkpoint(spec: str) -> Path:
    """Find the folder of a reflection model. Refuses what `reflection_model` refuses."""
    return Path(reflection_model(spec).path)


def reflection_model(spec: str) -> Any:
    """Open a reflection model, untrained.

    Args:
        spec: The name of a model, such as `smollm2-135m` or `hf:FOLDER`.

    Returns:
        The model.

    Raises:
        RpobenchError: It is not a local checkpoint, or the spec has options. The model is trained in the form that its
            files have, so a dtype, a device or an adapter could not be honoured.
    """
    model = get_model(spec)
    if getattr(model, "path", None) is None:
        raise RpobenchError(f"reflection model '{spec}' cannot be trained here: name a local one, such as smollm2-135m")

    name, argument = split_model_spec(spec)
    if "?" in argument or (name != "hf" and argument):
        raise RpobenchError(f"reflection model '{spec}': training honours no options: leave them out")
    return model


def trainable_model(spec: str) -> Any:
    """Open a reflection model that can be trained.

    Args:
        spec: The name of a model.

    Returns:
        The model, untrained.

    Raises:
        RpobenchError: What `reflection_model` refuses, and what no adapter can be trained for.
    """
    from rpobench.rpo.training.trainable import require_trainable

    model = reflection_model(spec)
    require_trainable(model.path, model.encoder)
    return model


def reflection_identity(spec: str) -> str:
    """Identify a reflection model and how it is trained.

    Args:
        spec: The name of a model.

    Returns:
        The model's identity. Where an earlier version trained such a checkpoint in another context, or past the end of
        its turn, it says so: what was trained then is not what is trained now.

    Raises:
        RpobenchError: The model cannot be trained.
    """
    model = trainable_model(spec)
    notes = [asked_identity(model)]
    if _ends_by_template_alone(model.encoder):
        notes.append("ends:template")
    return "+".join(notes)


def asked_identity(model: Any) -> str:
    """Identify a model that is asked with a system message: its identity, and whether the message is folded.

    Args:
        model: Any model.

    Returns:
        The identity; it ends in `system:folded` where a chat template has no place for the message.
    """
    from rpobench.models.local.chat_tokens import ChatEncoder

    encoder = getattr(model, "encoder", None)
    is_folded = isinstance(encoder, ChatEncoder) and encoder.folds_system
    return f"{model.identity}+system:folded" if is_folded else str(model.identity)


def _ends_by_template_alone(encoder: ChatEncoder) -> bool:
    """Whether neither tokenizer nor settings know the token that ends a turn."""
    from transformers import GenerationConfig

    ends = {encoder.tokenizer.eos_token_id}
    if (encoder.path / "generation_config.json").is_file():
        configured = GenerationConfig.from_pretrained(str(encoder.path)).eos_token_id
        ends.update(configured if isinstance(configured, list) else [configured])
    return encoder.end_of_turn not in ends
