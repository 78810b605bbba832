"""What is trained on is what will be asked: the same prompt, the same end of the turn, whatever the chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trl
from chat_templates import (
    DROPS_SYSTEM,
    LOSES_SYSTEM,
    OPENS_THINKING,
    REFUSES_SYSTEM,
    copy_with_template,
    end_texts_elsewhere,
)
from safetensors.torch import load_file, save_file
from text_files import change_json, read_training_log
from training_jobs import demonstrate, make_job, make_rows, run_grpo, run_sft

from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.context_window import read_context_window
from rpobench.rpo.form import Form
from rpobench.rpo.reflection_model import asked_identity, reflection_identity
from rpobench.rpo.training.dpo import train_dpo
from rpobench.rpo.training.grpo import train_grpo
from rpobench.rpo.training.job import TrainingData
from rpobench.rpo.training.log_probs import NO_LOSS
from rpobench.rpo.training.policy import load_base
from rpobench.rpo.training.sft import train_sft
from rpobench.types import Decoding, Message

FORM = Form()
DATA = TrainingData(demonstrate(make_rows(4)), held_out=demonstrate(make_rows(2)))
ROW = DATA.training[0].row
TEMPLATES = {
    "system refused": REFUSES_SYSTEM,
    "system dropped": DROPS_SYSTEM,
    "system lost once answered": LOSES_SYSTEM,
    "thinking opened": OPENS_THINKING,
}
END, OTHER_END = 2, 0  # <|im_end|>, with which the template ends a turn, and <|endoftext|>


@pytest.fixture(params=TEMPLATES)
def folder(request: pytest.FixtureRequest, tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return copy_with_template(tiny_checkpoint, tmp_path / "model", TEMPLATES[request.param])


@pytest.fixture
def ending_elsewhere(checkpoint_copy: Path) -> Path:
    """The tiny model, able to learn the end of a turn: as padding, that token has no weights of its own."""
    end_texts_elsewhere(checkpoint_copy)

    weights = load_file(checkpoint_copy / "model.safetensors")
    weights["model.embed_tokens.weight"][END] = weights["model.embed_tokens.weight"][END + 1].roll(1)
    save_file(weights, checkpoint_copy / "model.safetensors", metadata={"format": "pt"})
    return checkpoint_copy


def train_all(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """The trainer of each stage, after few steps."""
    job = make_job(checkpoint, folder, sft_epochs=1, rl_steps=1)
    trainers: dict[str, Any] = {"sft": train_sft(job, DATA, folder / "sft")}
    trainers["sft"].model.save_pretrained(folder / "adapter")

    trainers["grpo"] = train_grpo(job, DATA, folder / "adapter", folder / "grpo")
    trainers["dpo"] = train_dpo(job, DATA, folder / "adapter", folder / "dpo")
    return trainers


def test_every_stage_reads_the_prompt_that_is_asked(folder: Path, tmp_path: Path) -> None:
    model = TransformersModel(folder)
    prompt = model.encode_prompt(ROW.build_chat(FORM))
    assert "as this user would." in model.tokenizer.decode(prompt), "the instruction is lost"

    trainers = train_all(folder, tmp_path)

    for dataset in (trainers["sft"].train_dataset, trainers["sft"].eval_dataset):
        assert dataset[0]["input_ids"][: len(prompt)] == prompt
        assert dataset[0]["labels"][: len(prompt)] == [NO_LOSS] * len(prompt)
        answer = model.tokenizer.decode(dataset[0]["input_ids"][len(prompt) :])
        assert answer.strip() == "History shows: likes\nDraft lacks: short\nRewrite: t 0<|im_end|>"

    grpo_prompts = trainers["grpo"].train_dataset["prompt"]
    grpo_ids = trainers["grpo"]._tokenize_prompts(list(grpo_prompts))[0]
    assert any(ids[:20] == prompt[:20] for ids in grpo_ids)
    assert grpo_ids[0] == model.encode_prompt(tuple(Message(**message) for message in grpo_prompts[0]))

    prompts = [model.encode_prompt(demonstration.row.build_chat(FORM)) for demonstration in DATA.training]
    dpo_rows = trainers["dpo"].train_dataset
    assert all(row["prompt_ids"] in prompts for row in dpo_rows)
    for side in ("chosen_ids", "rejected_ids"):
        assert model.tokenizer.decode(dpo_rows[0][side]).startswith("History shows: likes\n")


def test_an_analysis_is_continued_in_the_context_it_was_trained_in(folder: Path) -> None:
    model = TransformersModel(folder)
    chat, lead = ROW.build_chat(FORM), "History shows: likes\nDraft lacks: short\nRewrite:"

    prompt, answer = model.encoder.encode_turn(chat, f"{lead} t 0")
    begun = model.encode_prompt((*chat, Message("assistant", lead)))

    assert begun[: len(prompt)] == prompt
    assert (prompt + answer)[: len(begun)] == begun
    whole = (*chat, Message("assistant", f"{lead} t 0"))
    assert read_context_window(folder).count_tokens(whole) == len(prompt + answer)


@pytest.mark.parametrize(
    "name",
    ["cohere2", "deepseek_r1_distill", "gemma", "gemma3", "glm4moe", "gptoss", "llama3_2", "nemotron_3_nano", "phi3",
     "qwen3", "qwen3_6"],
)  # fmt: skip
def test_published_templates_train_what_they_ask(tiny_checkpoint: Path, tmp_path: Path, name: str) -> None:
    template = Path(str(trl.__file__)).parent / "chat_templates" / f"{name}.jinja"
    encoder = TransformersModel(copy_with_template(tiny_checkpoint, tmp_path, template.read_text())).encoder
    chat, lead = ROW.build_chat(FORM), "History shows: likes\nDraft lacks:"

    prompt, turn = encoder.encode_turn(chat, f"{lead} short")
    begun = encoder.encode_prompt((*chat, Message("assistant", lead)))

    assert "as this user would." in encoder.tokenizer.decode(prompt)
    assert begun[: len(prompt)] == prompt and (prompt + turn)[: len(begun)] == begun
    assert encoder.end_of_turn in turn and encoder.end_of_turn not in begun[len(prompt) :]


def test_every_stage_learns_and_stops_at_the_end_that_the_template_writes(
    ending_elsewhere: Path, tmp_path: Path
) -> None:
    trainers = train_all(ending_elsewhere, tmp_path)

    labels = trainers["sft"].train_dataset[0]["labels"]
    assert END in labels and OTHER_END not in labels

    assert trainers["grpo"].eos_token_ids == [OTHER_END, END]
    assert trainers["grpo"].generation_config.eos_token_id == [OTHER_END, END]

    for side in ("chosen_ids", "rejected_ids"):
        assert END in trainers["dpo"].train_dataset[0][side]


def test_few_completions_reach_the_limit_where_the_end_was_learned(ending_elsewhere: Path, tmp_path: Path) -> None:
    data = TrainingData(demonstrate(make_rows(8)))
    knobs = {"sft_epochs": 40.0, "max_new_tokens": 60, "rl_steps": 2, "rl_group": 8, "rl_learning_rate": 1e-6}
    adapter = run_sft(ending_elsewhere, tmp_path / "sft", data, **knobs)

    grpo_adapter = run_grpo(ending_elsewhere, tmp_path / "grpo", data, adapter, **knobs)

    steps = [entry for entry in read_training_log(grpo_adapter) if "completions/clipped_ratio" in entry]
    assert len(steps) == 2 and max(entry["completions/clipped_ratio"] for entry in steps) < 0.5
    assert max(entry["completions/mean_length"] for entry in steps) < 50


def test_prediction_stops_at_the_end_that_the_template_writes(ending_elsewhere: Path, tmp_path: Path) -> None:
    data = TrainingData(demonstrate(make_rows(8)))
    adapter = run_sft(ending_elsewhere, tmp_path, data, sft_epochs=40.0)
    model = TransformersModel(ending_elsewhere, adapter=adapter)

    completions = model.generate([row.build_chat(FORM) for row in make_rows(4)], Decoding(60))

    assert not any(completion.truncated for completion in completions)
    assert all(FORM.parse(completion.text) for completion in completions)


def test_an_answer_that_the_template_leaves_open_ends_with_the_tokenizers_end(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    turn_template = "{{ message['role'] + ': ' + message['content'] + '\n### End\n' }}"
    template = "{% for message in messages %}" + turn_template + "{% endfor %}"
    template += "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    encoder = TransformersModel(copy_with_template(tiny_checkpoint, tmp_path, template)).encoder

    _, turn = encoder.encode_turn((Message("user", "hello"),), "hi")

    assert encoder.end_of_turn == END, "not the first letter of a text"
    assert encoder.tokenizer.decode(turn) == "hi<|im_end|>"


def test_a_tokenizer_without_an_end_is_trained_with_the_templates(checkpoint_copy: Path, tmp_path: Path) -> None:
    change_json(checkpoint_copy / "tokenizer_config.json", eos_token=None, pad_token=None)

    trainers = train_all(checkpoint_copy, tmp_path)

    assert END in trainers["sft"].train_dataset[0]["labels"] and trainers["grpo"].eos_token_ids == [END]


def test_what_is_trained_otherwise_than_before_is_another_model(
    folder: Path, tiny_checkpoint: Path, ending_elsewhere: Path
) -> None:
    assert reflection_identity(f"hf:{tiny_checkpoint}") == TransformersModel(tiny_checkpoint).identity
    assert asked_identity(TransformersModel(tiny_checkpoint)) == TransformersModel(tiny_checkpoint).identity

    assert reflection_identity(f"hf:{folder}").endswith(("+system:folded", "+thinking:closed"))
    assert reflection_identity(f"hf:{ending_elsewhere}").endswith("+ends:template")


def test_stage_one_leaves_the_checkpoints_settings_alone(tiny_checkpoint: Path) -> None:
    assert load_base(tiny_checkpoint).generation_config.eos_token_id == [END]


def test_vllm_is_told_where_a_turn_ends(
    ending_elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = run_sft(ending_elsewhere, tmp_path / "sft", TrainingData(DATA.training[:1]), sft_epochs=1)
    arguments: list[Any] = []

    def keep_arguments(**options: Any) -> None:
        arguments.append(options["args"])
        raise KeyboardInterrupt  # nothing is trained without vLLM

    monkeypatch.setattr("rpobench.rpo.training.grpo.VaryingGroupsTrainer", keep_arguments)
    with pytest.raises(KeyboardInterrupt):
        train_grpo(make_job(ending_elsewhere, tmp_path, rl_vllm=True), DATA, adapter, tmp_path)

    assert arguments[0].generation_kwargs == {"stop_token_ids": [OTHER_END, END]}
