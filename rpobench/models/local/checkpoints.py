"""Checkpoints on disk and on the hub: which folder a name means, what must be in it, and what identifies it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import parse_qsl

from rpobench.types import RpobenchError

DTYPES = ("auto", "float32", "bfloat16", "float16")
CHOICES = ("calibrated", "raw")
WEIGHTS = "*.safetensors"
FILES = (WEIGHTS, "*.json", "*.jinja", "*.model", "*.txt")  # weights, settings, tokenizer: all that loading reads


@dataclass(frozen=True)
class Checkpoint:
    """A folder with weights and tokenizer. `revision` is the commit of a hub snapshot, None for any other folder."""

    path: Path
    name: str
    revision: str | None = None


class Options(TypedDict, total=False):
    """What a user may set behind a model's name."""

    dtype: str
    device: str
    adapter: Path
    system: str  # a system prompt before every chat
    choose: str  # calibrated or raw


def parse_options(query: str, spec: str) -> Options:
    """`dtype=bfloat16&device=cpu` as keyword arguments of a model; `spec` is what the user wrote.

    Raises:
        RpobenchError: an option nobody knows, or one without a value.
    """
    options = Options()
    for key, value in parse_qsl(query, keep_blank_values=True):
        if not value or key not in Options.__annotations__:
            raise RpobenchError(f"{spec}: option '{key}={value}' is none of {', '.join(Options.__annotations__)}")
        if key == "adapter":
            options["adapter"] = Path(value).expanduser()
        elif key == "dtype":
            options["dtype"] = value
        elif key == "system":
            options["system"] = value
        elif key == "choose":
            options["choose"] = value
        else:
            options["device"] = value
    return options


def find_checkpoint(place: str) -> Checkpoint:
    """The checkpoint a user means: a folder that exists, else `ORG/NAME[@REV]` on the hub (downloaded or cached).

    Raises:
        RpobenchError: neither a folder nor a name, or the hub does not give it.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return Checkpoint(folder, folder.resolve().name)
    name, _, revision = place.partition("@")
    if name.count("/") != 1 or place.startswith((".", "/", "~")):
        raise RpobenchError(f"hf:{place}: no such folder, and no name of the form ORG/NAME[@REV]; check the spelling")
    return _from_hub(name, revision or None)


def _from_hub(name: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = snapshot_download(name, revision=revision, allow_patterns=list(FILES))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RpobenchError(
            f"hf:{name}{'@' + revision if revision else ''}: the hub does not give it ({reason}); "
            "check name, revision, access and network, or give a local folder"
        ) from error
    return Checkpoint(Path(folder), name, Path(folder).name)  # a snapshot's folder is named by its commit


def require_weights(folder: Path, what: str) -> None:
    """Refuse a folder without safetensors.

    Raises:
        RpobenchError: there is no such folder, nothing in it, or pickled weights only.
    """
    if not folder.is_dir():
        raise RpobenchError(f"{folder}: no such folder; give one that holds {what}")
    if any(folder.glob(WEIGHTS)):
        return
    pickled = [file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in sorted(folder.glob(pattern))]
    if pickled:
        raise RpobenchError(f"{folder / pickled[0]}: pickled weights can run code and are refused; save as safetensors")
    raise RpobenchError(f"{folder}: holds no {WEIGHTS}; give a folder that holds {what}")


def weights_sha256(folder: Path) -> str:
    """First 12 hex digits of the hash over all safetensors files of the folder, by name."""
    return _files_sha256(folder, (WEIGHTS,))


def checkpoint_sha256(folder: Path) -> str:
    """As `weights_sha256`, over settings and tokenizer as well: other rotary angles or merges are another model."""
    return _files_sha256(folder, FILES)


def tree_sha256(folder: Path) -> str:
    """12 hex digits over every file of a folder and its sub-folders but hidden ones, by place and content."""
    total = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        place = file.relative_to(folder)
        if not any(part.startswith(".") for part in place.parts):
            with file.open("rb") as stream:
                total.update(place.as_posix().encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:12]


def _files_sha256(folder: Path, patterns: Sequence[str]) -> str:
    total = hashlib.sha256()
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern)}):
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:12]
