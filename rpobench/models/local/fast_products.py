"""Matrix products in float32 on processors where torch's default library is slow at them.

torch multiplies float32 by MKL, which uses half of what AMD's processors with AVX-512 can do. oneDNN, which torch
carries too, uses all of it; torch calls it in float32 from its compiler alone, by an operator that is not public. So
it is called here only where it is there, agrees, and is faster on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

SAMPLE_ROWS = 256  # tokens of the sample
ROUNDS = 5  # of which the fastest counts
LEAST_GAIN = 1.15  # times faster, from which on it is worth another path
TOLERANCE = 1e-4  # relative to the largest number of the product: a few roundings of float32


class FastLinear(torch.nn.Linear):  # type: ignore[misc]  # torch is read untyped
    """A linear layer whose products oneDNN makes. Where gradients are needed it is torch's own."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            return super().forward(rows)
        return multiply_by_onednn(rows, self.weight, self.bias)


def multiply_by_onednn(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply rows by the transposed weight, as `torch.nn.functional.linear` does, through oneDNN.

    Args:
        rows: (..., inputs), float32 on a CPU.
        weight: (outputs, inputs).
        bias: (outputs,), if there is one.

    Returns:
        (..., outputs).
    """
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return product


def use_fast_products(model: Any) -> bool:
    """Let the linear layers of a model multiply by oneDNN, where a sample says that it pays.

    Args:
        model: A transformers model. Its layers are changed in place; their weights are not.

    Returns:
        Whether they do.
    """
    layers = [module for module in model.modules() if type(module) is torch.nn.Linear]
    if not layers or not is_available(model) or not is_faster(layers[0].weight):
        return False

    for layer in layers:
        layer.__class__ = FastLinear
    return True


def is_available(model: Any) -> bool:
    """Tell whether the model computes in float32 on a CPU, and this torch has the operator."""
    has_operator = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")

    return has_operator and model.device.type == "cpu" and model.dtype == torch.float32


def is_faster(weight: torch.Tensor) -> bool:
    """Multiply a sample both ways.

    Args:
        weight: The weight of a layer.

    Returns:
        Whether oneDNN's product is the same but for rounding, and made in less time.
    """
    with torch.inference_mode():
        rows = torch.randn(SAMPLE_ROWS, weight.shape[1], generator=torch.Generator().manual_seed(0))
        expected = torch.nn.functional.linear(rows, weight)
        product = multiply_by_onednn(rows, weight, None)
        if not torch.allclose(product, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max())):
            return False

        seconds = _time(lambda: torch.nn.functional.linear(rows, weight))
        return seconds > LEAST_GAIN * _time(lambda: multiply_by_onednn(rows, weight, None))


def _time(multiply: Callable[[], torch.Tensor]) -> float:
    """The seconds of the fastest of some rounds."""
    fastest = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        multiply()
        fastest = min(fastest, time.perf_counter() - started)

    return fastest
