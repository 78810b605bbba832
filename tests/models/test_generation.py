"""Reading prompts in parts and going on token by token gives what the library's own `generate` gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rpobench.models.local import generation, prompt_cache
from rpobench.models.local.generation import generate_ids
from rpobench.models.local.likelihoods import score_answers, score_answers_apart, score_rows
from rpobench.models.local.prompt_cache import RoomyLayer, read_prompts, reads_in_parts, split_rows
from rpobench.models.local.transformers import TransformersModel
from rpobench.types import Decoding

PROMPTS = [[5, 6, 7, 8, 9, 10, 11, 12, 13], [5, 6, 7, 8, 9], [20, 21, 22], [20, 21, 22], [30]]
SEEDS = [1, 2, 3, 4, 5]
GREEDY, SAMPLED = Decoding(12), Decoding(12, temperature=1.0, top_p=0.95)


@pytest.fixture(scope="module")
def model(tiny_checkpoint: Path) -> Any:
    """The tiny model, in float32 on the CPU."""
    return TransformersModel(tiny_checkpoint, device="cpu").model


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of at most ten tokens."""
    monkeypatch.setattr(prompt_cache, "PART_TOKENS", 10)


@pytest.fixture
def by_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A patch under which nothing is read in parts."""
    with monkeypatch.context() as patch:
        for module in (prompt_cache, generation):
            patch.setattr(module, "reads_in_parts", lambda model: False)
        yield patch


def answer(model: Any, decoding: Decoding, stop_tokens: list[int]) -> list[list[int]]:
    return generate_ids(model, PROMPTS, decoding, SEEDS, stop_tokens=stop_tokens, filler=0)


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
def test_texts_are_those_of_the_library(model: Any, decoding: Decoding, small_parts: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "reads_in_parts", lambda model: False)
        expected = answer(model, decoding, [2])

    assert answer(model, decoding, [2]) == expected


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
def test_rows_that_ended_leave_the_others_alone(model: Any, decoding: Decoding, small_parts: None) -> None:
    stop_tokens = [row[0] for row in answer(model, decoding, [])[:3]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "reads_in_parts", lambda model: False)
        expected = answer(model, decoding, stop_tokens)

    answers = answer(model, decoding, stop_tokens)

    assert answers == expected
    assert len(set(map(len, answers))) > 1, "they end at different steps"


def test_rows_that_ended_are_no_longer_computed(model: Any) -> None:
    sizes: list[int] = []
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    first_tokens = {row[0] for row in answer(model, Decoding(1), [])[:3]}
    sizes.clear()

    answer(model, Decoding(4), sorted(first_tokens))
    handle.remove()

    assert min(sizes) < len(PROMPTS)


def test_equal_prompts_are_read_once(model: Any) -> None:
    counts: list[int] = []
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: counts.append(kwargs["input_ids"].numel()), with_kwargs=True
    )

    texts = generate_ids(model, [[5, 6, 7]] * 4, Decoding(2), SEEDS[:4], stop_tokens=[], filler=0)
    handle.remove()

    assert counts == [3, 4]
    assert texts == [texts[0]] * 4


def test_answers_score_the_same_in_parts_and_apart(model: Any, small_parts: None) -> None:
    answers = [[7], [8, 9], [10, 11, 12, 2]]

    scores = score_answers(model, PROMPTS, answers, 0)

    for row, expected in zip(scores, score_answers_apart(model, PROMPTS, answers, 0), strict=True):
        assert row == pytest.approx(expected, abs=1e-5)


def test_rows_score_the_same_in_parts(model: Any, small_parts: None, by_library: pytest.MonkeyPatch) -> None:
    rows = [[*prompt, 7, 8] for prompt in PROMPTS]
    expected = score_rows(model, rows, [[7, 8]] * len(rows), 0)
    by_library.undo()

    assert score_rows(model, rows, [[7, 8]] * len(rows), 0) == pytest.approx(expected, abs=1e-5)


def test_a_further_token_copies_nothing(model: Any) -> None:
    with torch.inference_mode():
        batch = read_prompts(model, PROMPTS[:2], 0, room=2, in_parts=True)
        layer = batch.cache.layers[0]
        storage = layer.keys.untyped_storage().data_ptr()
        layer.update(layer.keys[:, :, :1], layer.values[:, :, :1])

    assert isinstance(layer, RoomyLayer)
    assert layer.keys.shape[2] == len(PROMPTS[0]) + 1
    assert layer.keys.untyped_storage().data_ptr() == storage


@pytest.mark.parametrize("changes", [{"dtype": "bfloat16"}])
def test_bfloat16_keeps_its_batches(changes: dict[str, str], tiny_checkpoint: Path) -> None:
    assert not reads_in_parts(TransformersModel(tiny_checkpoint, device="cpu", **changes).model)


def test_a_sliding_window_is_left_to_the_library() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 32}
    config = MistralConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, head_dim=4, sliding_window=4)

    sliding = MistralForCausalLM(config).eval()
    assert not reads_in_parts(sliding)
    assert [len(row) for row in answer(sliding, Decoding(3), [])] == [3] * len(PROMPTS)


@pytest.mark.parametrize(
    ("lengths", "parts"),
    [([3, 3, 3, 3], [3, 1]), ([20, 1], [1, 1]), ([1, 1, 5, 1], [2, 2]), ([4], [1])],
)
def test_parts_hold_so_many_tokens(lengths: list[int], parts: list[int], small_parts: None) -> None:
    rows = [[1] * length for length in lengths]

    assert [len(rows[part]) for part in split_rows(rows)] == parts
