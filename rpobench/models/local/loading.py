"""Weights and tokenizers from files that others wrote: loaded whole and silently, or refused in one line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from jinja2 import TemplateError
from safetensors import SafetensorError

from rpobench.types import RpobenchError

# What the libraries raise over files of the wrong form: they check few of them, so mostly what Python itself says.
UNREADABLE = (
    OSError,
    ImportError,  # of a quantization that needs another package, which the error names
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    SafetensorError,
    StrictDataclassError,
)
REFUSING = (TemplateError, ValueError, LookupError, TypeError, ArithmeticError)  # of a chat template's own code


DATE = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"


def undated(tokenizer: Any) -> Any:
    """The tokenizer, its chat template without today's date, which would make the same spec another text tomorrow."""
    if isinstance(tokenizer.chat_template, str) and "strftime_now" in tokenizer.chat_template:
        tokenizer.chat_template = DATE + tokenizer.chat_template
    return tokenizer


@contextmanager
def silent_loading() -> Iterator[None]:
    """Without the library's own progress bars and warnings: a program's stderr belongs to the program."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of one library about another: nothing a user can do
            warnings.simplefilter("ignore", UserWarning)  # of missing weights, which are refused here
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def readable(path: Path, adapter: Path | None = None) -> Iterator[None]:
    """Names the folders where what is in them cannot be loaded.

    Raises:
        RpobenchError: a file is damaged, of another form, or does not belong to the others.
    """
    try:
        yield
    except UNREADABLE as error:
        reason = " ".join(f"{error}".split())[:200] or type(error).__name__
        folders = f"{path} with adapter {adapter}" if adapter else f"{path}"
        raise RpobenchError(
            f"{folders}: transformers cannot load it ({reason}); check that the files are whole and belong together"
        ) from error


@contextmanager
def obeying_template(name: str) -> Iterator[None]:
    """Names the model whose chat template fails over a chat.

    Raises:
        RpobenchError: the template refuses the chat, or its code is wrong.
    """
    try:
        yield
    except REFUSING as error:
        reason = " ".join(str(error).split())[:200]
        raise RpobenchError(f"{name}: its chat template refuses this chat ({reason})") from error


def load_weights(path: Path, adapter: Path | None, dtype: Any) -> Any:
    """The causal model of a folder in a torch dtype, a LoRA adapter merged into it.

    Raises:
        RpobenchError: the files cannot be loaded, lack weights, which the libraries would fill at random, or hold
            weights that are no finite numbers, of which every answer would be the first token.
    """
    from transformers import AutoModelForCausalLM

    with silent_loading(), readable(path, adapter):
        model, found = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        if found["missing_keys"]:
            raise ValueError(f"{len(found['missing_keys'])} weights are missing, such as {min(found['missing_keys'])}")
        model = _with_adapter(model, adapter) if adapter else model
        broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
        if broken:
            raise ValueError(f"{len(broken)} weights are no finite numbers, such as {min(broken)}")
        return model


def _with_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel, get_peft_model_state_dict, load_peft_weights

    adapted = PeftModel.from_pretrained(model, adapter)
    wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    if missing := wanted.keys() - load_peft_weights(str(adapter), device="cpu").keys():
        raise ValueError(f"{len(missing)} weights of the adapter are missing, such as {min(missing)}")
    return adapted.merge_and_unload()
