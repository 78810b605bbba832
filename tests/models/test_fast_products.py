"""Fast matrix products are used where they are there, right and faster, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rpobench.models.local import fast_products
from rpobench.models.local.fast_products import (
    FastLinear,
    is_available,
    is_faster,
    multiply_by_onednn,
    use_fast_products,
)
from rpobench.models.local.transformers import TransformersModel

needs_operator = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN operator"
)


@pytest.fixture
def model(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fresh tiny model whose layers are torch's own."""
    with monkeypatch.context() as patch:
        patch.setattr(fast_products, "is_faster", lambda weight: False)
        return TransformersModel(tiny_checkpoint, device="cpu").model


def linear_types(model: Any) -> set[type]:
    return {type(module) for module in model.modules() if isinstance(module, torch.nn.Linear)}


@needs_operator
@pytest.mark.parametrize("shape", [(1, 16), (3, 16), (2, 5, 16)])
@pytest.mark.parametrize("has_bias", [False, True])
def test_both_paths_agree(shape: tuple[int, ...], has_bias: bool) -> None:
    layer = torch.nn.Linear(16, 24, bias=has_bias)
    rows = torch.randn(*shape)

    with torch.inference_mode():
        product = multiply_by_onednn(rows, layer.weight, layer.bias)

        assert torch.allclose(product, layer(rows), atol=1e-5)


@needs_operator
def test_a_models_answers_are_the_same(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.arange(5, 25).view(2, 10)
    with torch.inference_mode():
        expected = model(input_ids=ids).logits
        monkeypatch.setattr(fast_products, "is_faster", lambda weight: True)

        assert use_fast_products(model)
        assert linear_types(model) == {FastLinear}
        assert torch.allclose(model(input_ids=ids).logits, expected, atol=1e-4)


@needs_operator
def test_gradients_go_through_torchs_own_path(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_products, "is_faster", lambda weight: True)
    use_fast_products(model)

    model(input_ids=torch.tensor([[5, 6, 7]])).logits.sum().backward()

    assert all(weight.grad is not None for weight in model.parameters())


def test_a_slower_path_is_not_taken(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1.0, 0.99])
    monkeypatch.setattr(fast_products, "_time", lambda multiply: next(seconds))

    assert not use_fast_products(model)
    assert linear_types(model) == {torch.nn.Linear}


def test_a_path_that_disagrees_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_products, "multiply_by_onednn", lambda rows, weight, bias: 1.001 * rows @ weight.T)
    monkeypatch.setattr(fast_products, "_time", lambda multiply: pytest.fail("nothing is timed that is wrong"))

    assert not is_faster(torch.randn(8, 16))


def test_another_dtype_is_left_alone(tiny_checkpoint: Path) -> None:
    model = TransformersModel(tiny_checkpoint, device="cpu", dtype="bfloat16").model

    assert not is_available(model)
    assert linear_types(model) == {torch.nn.Linear}


def test_a_torch_without_the_operator_is_no_fault(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())

    assert not use_fast_products(model)
