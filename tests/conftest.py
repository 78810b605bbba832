"""Fixtures for everybody: a tiny random chat model, the embedded one, and a cache that is not the user's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from paths import PLUGIN

if TYPE_CHECKING:
    from chat_server import ChatServer
    from edited_plugin import EditedPlugin

    from rpobench.models.scripted import ScriptedModel


settings.register_profile("any machine", deadline=None)  # a busy machine is no bug
settings.load_profile("any machine")

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SENTENCES = [
    "system user assistant You help. Input: Draft: Past items: History shows: Draft lacks: Rewrite: Answer:",
    "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5.",
    "Paraphrase the following tweet without any explanation before or after it: the train is late again",
    "Generate a headline for the following article: the council votes on a new bridge over the river",
    "Which tag does this movie relate to among the following tags? comedy, action, romance, fantasy, true story",
    "Generate a title for the following abstract of a paper: we study how models learn from their users",
    "a good sturdy kettle, five stars; a poor flimsy lamp, one star; the same words said in another way",
]


def make_tiny_tokenizer() -> Any:
    """A byte-level tokenizer of 512 tokens, trained on `SENTENCES`, with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)

    chat_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<|endoftext|>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
    )
    chat_tokenizer.chat_template = CHAT_TEMPLATE
    return chat_tokenizer


def save_tiny_model(folder: Path, *, context: int = 2048) -> Path:
    """A random two-layer Llama of hidden size 32 with the tiny tokenizer, as safetensors."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tiny_tokenizer()

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=context,
            tie_word_embeddings=True,
            initializer_range=0.3,  # far enough from zero that different prompts get different answers
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
        )
    )

    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)

    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `hf:DIR` or a trainer. Shared by all tests: copy it before changing anything in it."""
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def embedded_checkpoint() -> Path:
    """The embedded model in the user's real cache, fetched once. For slow tests."""
    from rpobench.models.local.embedded import fetch_checkpoint

    return fetch_checkpoint()


@pytest.fixture(scope="session")
def _session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def other_cache(_session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """RPOBENCH_CACHE set to a folder of this session: for tests that must not touch the user's cache."""
    monkeypatch.setenv("RPOBENCH_CACHE", str(_session_cache))
    return _session_cache


@pytest.fixture
def checkpoint_copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """The tiny chat model in a folder that a test may change."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))


@pytest.fixture
def hashed_encoder(other_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence encoder without weights: a text's vector is drawn by its hash."""
    from words import Hashes

    from rpobench.models import encoder

    monkeypatch.setattr(encoder.Encoder, "_model", Hashes())


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a finished run on synthetic data to `tmp_path/"runs"`; see `finished_runs.write_finished_run`."""
    from finished_runs import write_finished_run

    return partial(write_finished_run, tmp_path / "runs")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    """The one base model of a test, which counts its calls; somebody else's package (`plugin`) is beside ours."""
    from rpobench import registry
    from rpobench.models.scripted import ScriptedModel, echo

    monkeypatch.syspath_prepend(str(PLUGIN))
    registry._entry_points_by_name.cache_clear()
    scripted_model = ScriptedModel(echo)
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: scripted_model)
    yield scripted_model
    registry._entry_points_by_name.cache_clear()


@pytest.fixture
def edited_plugin(model: ScriptedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EditedPlugin]:
    """Somebody else's package, whose source the test edits."""
    import sys

    from edited_plugin import write_plugin

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of two edits in a second, Python would run the first
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    plugin = write_plugin(tmp_path / "site")
    yield plugin
    plugin.forget()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ChatServer]:
    """A chat server, its key in the environment, a cache of the test's own, a client whose first pause is short."""
    from chat_server import KEY, chat_server

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.002)
    with chat_server() as running:
        yield running
