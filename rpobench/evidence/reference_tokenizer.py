"""The reference tokenizer: it counts the tokens of evidence for every method alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rpobench.models.local.embedded import NAME, fetch_checkpoint

if TYPE_CHECKING:
    from tokenizers import Tokenizer


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
        """Return the token ids of a text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids; undoes `encode`."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))


@cache
def _tokenizer_in(folder: Path) -> ReferenceTokenizer:
    return ReferenceTokenizer(folder / "tokenizer.json")


def reference_tokenizer() -> ReferenceTokenizer:
    """Return the embedded model's tokenizer; fetches the model on first use and imports no PyTorch after that."""
    return _tokenizer_in(fetch_checkpoint())
