"""Weights and tokenizers from files that others wrote: loaded completely and silently, or refused in one line."""

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
LOADING_ERRORS = (
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
# What a chat template's own code raises.
TEMPLATE_ERRORS = (TemplateError, ValueError, LookupError, TypeError, ArithmeticError)

FIXED_DATE = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
REASON_LENGTH = 200  # characters of a library's message that an error repeats


def fix_template_date(tokenizer: Any) -> Any:
    """Keep today's date out of a chat template: it would make another text of the same spec tomorrow.

    Args:
        tokenizer: A transformers tokenizer, which is changed.

    Returns:
        The same tokenizer.
    """
    if isinstance(tokenizer.chat_template, str) and "strftime_now" in tokenizer.chat_template:
        tokenizer.chat_template = FIXED_DATE + tokenizer.chat_template

    return tokenizer


@contextmanager
def silence_bars() -> Iterator[None]:
    """Keep the bars away that libraries draw by tqdm, also where they have no switch for them."""
    from tqdm import tqdm

    draw = tqdm.__init__

    def draw_nothing(bar: Any, *arguments: Any, **options: Any) -> None:
        draw(bar, *arguments, **{**options, "disable": True})

    tqdm.__init__ = draw_nothing
    try:
        yield
    finally:
        tqdm.__init__ = draw


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Keep the library's own progress bars and warnings away: a program's stderr belongs to the program."""
    from transformers.utils import logging

    shows_bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()

    try:
        with silence_bars(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of one library about another: nothing a user can do
            warnings.simplefilter("ignore", UserWarning)  # of missing weights, which are refused here
            yield
    finally:
        logging.set_verbosity(verbosity)
        if shows_bars:
            logging.enable_progress_bar()


@contextmanager
def explain_loading_errors(path: Path, adapter: Path | None = None) -> Iterator[None]:
    """Name the folders where what is in them cannot be loaded.

    Args:
        path: The checkpoint's folder.
        adapter: The folder of a LoRA adapter, if one is loaded with it.

    Raises:
        RpobenchError: A file is damaged, of another form, or does not belong to the others.
    """
    try:
        yield
    except LOADING_ERRORS as error:
        reason = " ".join(f"{error}".split())[:REASON_LENGTH] or type(error).__name__
        folders = f"{path} with adapter {adapter}" if adapter else f"{path}"

        raise RpobenchError(
            f"{folders}: transformers cannot load it ({reason}); check that the files are whole and belong together"
        ) from error


@contextmanager
def explain_template_errors(name: str) -> Iterator[None]:
    """Name the model whose chat template fails over a chat.

    Raises:
        RpobenchError: The template refuses the chat, or its code is wrong.
    """
    try:
        yield
    except TEMPLATE_ERRORS as error:
        reason = " ".join(str(error).split())[:REASON_LENGTH]

        raise RpobenchError(f"{name}: its chat template refuses this chat ({reason})") from error


def load_tokenizer(path: Path) -> Any:
    """A checkpoint's tokenizer, its chat template without a date.

    Args:
        path: The checkpoint's folder.

    Returns:
        A transformers tokenizer that has a chat template.

    Raises:
        RpobenchError: The files cannot be loaded, or have no chat template.
    """
    from transformers import AutoTokenizer

    with silence_libraries(), explain_loading_errors(path):
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)

    if not tokenizer.chat_template:
        raise RpobenchError(f"{path}: its tokenizer has no chat template; take the model's chat version")
    return fix_template_date(tokenizer)


def load_weights(path: Path, adapter: Path | None, dtype: Any) -> Any:
    """A checkpoint's causal model.

    Args:
        path: The checkpoint's folder.
        adapter: The folder of a LoRA adapter that is merged into it, if any.
        dtype: The torch dtype of the weights.

    Returns:
        The transformers model, on the CPU.

    Raises:
        RpobenchError: The files cannot be loaded. Or weights are missing: the libraries would fill them at random. Or
            some are not finite: every answer would be the first token.
    """
    from transformers import AutoModelForCausalLM

    with silence_libraries(), explain_loading_errors(path, adapter):
        model, report = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
        missing = report["missing_keys"]
        if missing:
            raise ValueError(f"{len(missing)} weights are missing, such as {min(missing)}")

        if adapter:
            model = _merge_adapter(model, adapter)

        broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
        if broken:
            raise ValueError(f"{len(broken)} weights are no finite numbers, such as {min(broken)}")
        return model


def _merge_adapter(model: Any, adapter: Path) -> Any:
    from peft import PeftModel, get_peft_model_state_dict, load_peft_weights

    adapted = PeftModel.from_pretrained(model, adapter)

    expected_names = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
    names = load_peft_weights(str(adapter), device="cpu").keys()
    missing = expected_names - names
    if missing:
        raise ValueError(f"{len(missing)} weights of the adapter are missing, such as {min(missing)}")

    homeless = {name for name in names - expected_names if ".lora_" in name}  # peft would pass over them
    if homeless:
        raise ValueError(f"{len(homeless)} weights of the adapter have no place in the model, such as {min(homeless)}")
    return adapted.merge_and_unload()
