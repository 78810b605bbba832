"""A reflection model that cannot be trained is refused before the base model drafts anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from text_files import change_json
from transformers import AutoModelForCausalLM, MambaConfig, T5Config, T5ForConditionalGeneration

import rpobench
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.reflection_model import trainable_model
from rpobench.types import RpobenchError

MAMBA = MambaConfig(vocab_size=512, hidden_size=32, num_hidden_layers=2, state_size=4, eos_token_id=2, pad_token_id=2)
T5 = T5Config(vocab_size=512, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2)


@pytest.fixture
def recurrent(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """Random weights of a Mamba, with the tiny model's tokenizer."""
    return save_with_tokenizer(AutoModelForCausalLM.from_config(MAMBA), tiny_checkpoint, tmp_path / "recurrent")


@pytest.fixture
def with_encoder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """Random weights of a T5, with the tiny model's tokenizer."""
    return save_with_tokenizer(T5ForConditionalGeneration(T5), tiny_checkpoint, tmp_path / "with_encoder")


def save_with_tokenizer(model: torch.nn.Module, tiny_checkpoint: Path, folder: Path) -> Path:
    model.save_pretrained(folder)
    for file in (*tiny_checkpoint.glob("tokenizer*"), tiny_checkpoint / "chat_template.jinja"):
        shutil.copy(file, folder)
    return folder


def refusal(checkpoint: Path) -> str:
    """Why a checkpoint cannot be trained, in one line."""
    with pytest.raises(RpobenchError) as error:
        trainable_model(f"hf:{checkpoint}")

    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_recurrent_model(recurrent: Path) -> None:
    message = refusal(recurrent)

    assert message.startswith(f"{recurrent}: a model of type 'mamba' cannot be trained (")
    assert message.endswith("); name a transformer, such as smollm2-135m")


def test_a_model_that_writes_no_chats(with_encoder: Path) -> None:
    assert refusal(with_encoder) == (
        f"{with_encoder}: a model of type 't5' writes no chats and cannot be trained; name a causal language model"
    )


def test_quantised_weights(checkpoint_copy: Path) -> None:
    change_json(checkpoint_copy / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})

    assert refusal(checkpoint_copy) == (
        f"{checkpoint_copy}: its weights are quantised and cannot be trained; name the checkpoint that is not quantised"
    )


def test_no_end_of_the_turn(checkpoint_copy: Path) -> None:
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    (checkpoint_copy / "chat_template.jinja").write_text(template)
    change_json(checkpoint_copy / "tokenizer_config.json", eos_token=None)

    assert refusal(checkpoint_copy).endswith("neither chat template nor tokenizer ends an answer; set eos_token")


def test_a_template_that_refuses_what_a_module_reads(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "chat_template.jinja").write_text("{{ raise_exception('not today') }}")

    assert refusal(checkpoint_copy) == f"{checkpoint_copy.name}: its chat template refuses this chat (not today)"


def test_no_chat_template(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "chat_template.jinja").unlink()

    assert "has no chat template; take the model's chat version" in refusal(checkpoint_copy)


def test_nothing_is_drafted_for_a_model_that_cannot_be_trained(
    model: ScriptedModel, recurrent: Path, tmp_path: Path
) -> None:
    config = {"reflection_model": f"hf:{recurrent}"}

    with pytest.raises(RpobenchError, match="cannot be trained"):
        rpobench.run(method="zero-shot,rpo", task="LaMP-7", limit=2, out=tmp_path / "runs", settings=config)

    assert model.calls == 0
