"""The reference tokenizer: it counts the tokens of evidence for every method alike.

Its file is that of SmolLM2-135M-Instruct (Apache-2.0, Hugging Face) and comes with the package, so that evidence is cut
alike on every machine and nothing is fetched for it.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "smollm2-135m-tokenizer"
REMEMBERED_TEXTS = 1024  # a few megabytes
PACKAGED_FILE = Path(__file__).with_name("smollm2_tokenizer.json.xz")


@dataclass(frozen=True)
class ReferenceTokenizer:
    """Measures evidence in tokens, the same for every model and method. Knows no special tokens: all text is text."""

    path: Path  # a tokenizer.json, or one compressed as .xz

    @cached_property
    def identity(self) -> str:
        """Name and content hash: two tokenizers of one identity cut alike."""
        return f"{NAME}@{hashlib.sha256(self._content).hexdigest()[:12]}"

    @cached_property
    def _content(self) -> bytes:
        content = self.path.read_bytes()
        return lzma.decompress(content) if self.path.suffix == ".xz" else content

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_buffer(self._content)
        tokenizer.encode_special_tokens = True  # "<|im_end|>" in a profile is seven tokens of text
        return tokenizer

    @cached_property
    def _encode_once(self) -> Callable[[str], Sequence[int]]:
        """Encodes a text, and remembers it: cutting evidence asks for the same few texts several times."""

        @lru_cache(REMEMBERED_TEXTS)
        def encode(text: str) -> Sequence[int]:
            return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

        return encode

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return list(self._encode_once(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; undoes `encode`."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))


@cache
def reference_tokenizer() -> ReferenceTokenizer:
    """Return the tokenizer that comes with the package; it needs no network, no cache and no PyTorch."""
    return ReferenceTokenizer(PACKAGED_FILE)
