"""Checkpoints on disk and on the hub: which folder a name means, what must be in it, and what identifies it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpobench.models.local.loading import silence_bars
from rpobench.types import RpobenchError

WEIGHTS = "*.safetensors"
PICKLED_WEIGHTS = ("*.bin", "*.pt", "*.pth")
FILES = (WEIGHTS, "*.json", "*.jinja", "*.model", "*.txt")  # weights, settings, tokenizer: all that loading reads
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A folder with weights and tokenizer. `revision` is the commit of a hub snapshot, None for any other folder."""

    path: Path
    name: str
    revision: str | None = None


def find_checkpoint(location: str) -> Checkpoint:
    """The checkpoint that a user means.

    Args:
        location: A folder that exists, else `ORG/NAME[@REV]` on the hub, which is downloaded or found in its cache.

    Returns:
        The folder with the name it has in identities.

    Raises:
        RpobenchError: It is neither a folder nor a name, or the hub does not give it.
    """
    folder = Path(location).expanduser()
    if folder.is_dir():
        return Checkpoint(folder, folder.resolve().name)

    name, _, revision = location.partition("@")
    if name.count("/") != 1 or location.startswith((".", "/", "~")):
        raise RpobenchError(
            f"hf:{location}: no such folder, and no name of the form ORG/NAME[@REV]; check the spelling"
        )
    return _download(name, revision or None)


def _download(name: str, revision: str | None) -> Checkpoint:
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if not isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            print(f"hf:{name}: fetches the model's files from the hub", file=sys.stderr)
        with silence_bars():
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RpobenchError(
            f"hf:{name}{'@' + revision if revision else ''}: the hub does not give it ({reason}); "
            "check name, revision, access and network, or give a local folder"
        ) from error

    return Checkpoint(folder, name, folder.name)  # a snapshot's folder is named by its commit


def require_weights(folder: Path, content: str) -> None:
    """Refuse a folder without safetensors.

    Args:
        folder: The folder to look into.
        content: What it should hold, for errors, such as "a model's safetensors".

    Raises:
        RpobenchError: There is no such folder, nothing in it, or pickled weights only.
    """
    if not folder.is_dir():
        raise RpobenchError(f"{folder}: no such folder; give one that holds {content}")
    if any(folder.glob(WEIGHTS)):
        return

    pickled_names = []
    for pattern in PICKLED_WEIGHTS:
        pickled_names += [file.name for file in sorted(folder.glob(pattern))]
    if pickled_names:
        raise RpobenchError(
            f"{folder / pickled_names[0]}: pickled weights can run code and are refused; save as safetensors"
        )
    raise RpobenchError(f"{folder}: holds no {WEIGHTS}; give a folder that holds {content}")


def require_adapter(folder: Path) -> None:
    """Refuse a folder that is not a LoRA adapter as peft saves it.

    Raises:
        RpobenchError: A file is missing, or its weights are pickled.
    """
    require_weights(folder, "a LoRA adapter's safetensors")

    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):  # without the weights' file peft would take its pickled twin
        if not (folder / name).is_file():
            raise RpobenchError(f"{folder / name}: no such file; give the folder as peft saved it")


def weights_sha256(folder: Path) -> str:
    """First 12 hex digits of the hash over all safetensors files of the folder, by name."""
    return _files_sha256(folder, (WEIGHTS,))


def checkpoint_sha256(folder: Path) -> str:
    """As `weights_sha256`, over settings and tokenizer as well: other rotary angles or merges are another model."""
    return _files_sha256(folder, FILES)


def adapter_sha256(folder: Path) -> str:
    """What identifies a LoRA adapter: the hash of its weights and that of its settings, 12 hex digits each."""
    settings_sha256 = hashlib.sha256((folder / ADAPTER_CONFIG).read_bytes()).hexdigest()[:12]
    return f"{weights_sha256(folder)}-{settings_sha256}"


def tree_sha256(folder: Path) -> str:
    """12 hex digits over every file below a folder, hidden ones left out, by relative path and content."""
    total = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        relative_path = file.relative_to(folder)
        if any(part.startswith(".") for part in relative_path.parts):
            continue

        with file.open("rb") as stream:
            total.update(relative_path.as_posix().encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:12]


def _files_sha256(folder: Path, patterns: Sequence[str]) -> str:
    files: set[Path] = set()
    for pattern in patterns:
        files.update(folder.glob(pattern))

    total = hashlib.sha256()
    for file in sorted(files):
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()[:12]
