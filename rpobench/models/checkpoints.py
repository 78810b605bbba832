"""Checkpoints on disk and on the hub: which folder a name means, what must be in it, and what identifies it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from rpobench.types import RpobenchError

DTYPES = ("auto", "float32", "bfloat16", "float16")
OPTIONS = ("dtype", "device", "adapter")
WEIGHTS = "*.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A folder with weights and tokenizer; `revision` is known for a hub snapshot, else the weights' hash stands for it."""

    path: Path
    name: str
    revision: str | None = None


def split_options(argument: str) -> tuple[str, dict[str, str]]:
    """`DIR?dtype=bfloat16&device=cpu` as the place and its options.

    Raises:
        RpobenchError: an option nobody knows, or without a value.
    """
    place, _, query = argument.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in options.items():
        if key not in OPTIONS or not value:
            raise RpobenchError(f"hf:{argument}: option '{key}={value}' is not one of {', '.join(OPTIONS)} with a value")
    return place, options


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
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=[WEIGHTS, "*.json", "*.jinja", "*.model", "*.txt"]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
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
    total = hashlib.sha256()
    for file in sorted(folder.glob(WEIGHTS)):
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:12]
