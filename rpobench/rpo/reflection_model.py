"""The untrained reflection model that the option `reflection_model` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpobench.registry import get_model
from rpobench.types import RpobenchError


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

    name, _, argument = spec.partition(":")
    if "?" in argument or (name != "hf" and argument):
        raise RpobenchError(f"reflection model '{spec}': training honours no options: leave them out")
    return model
