"""What thinking changes about generating: the limit of tokens, and how new tokens become a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rpobench.models.local.chat_tokens import ChatEncoder
from rpobench.task.thinking import find_marks
from rpobench.types import Chat, Decoding

HARMONY_TOKENS = frozenset(["<|start|>", "<|message|>", "<|end|>", "<|constrain|>"])  # around the names of channels


@dataclass(frozen=True)
class Thinker:
    """How a model is asked that may think before it answers.

    Attributes:
        encoder: Writes the prompts.
        think_tokens: How many tokens it may think; 0 where it is not to think.
    """

    encoder: ChatEncoder
    think_tokens: int

    def count_new_tokens(self, chat: Chat, decoding: Decoding) -> int:
        """The limit of new tokens after a chat. An answer that a chat has begun has no thinking before it."""
        is_begun = chat[-1].role == "assistant"
        return decoding.max_new_tokens + (0 if is_begun else self.think_tokens)

    def decode(self, chat: Chat, new_ids: Sequence[int]) -> str:
        """The text of new tokens.

        Args:
            chat: What they were written after.
            new_ids: The tokens with the stop token, if one ended them.

        Returns:
            The text. Where the prompt ended inside the thinking it begins with the mark that opens it.
        """
        kept_ids = [token for token in new_ids if token not in self._dropped]
        text: str = self.encoder.tokenizer.decode(kept_ids, skip_special_tokens=not self._has_special_marks)
        return self.encoder.opening_mark(chat) + text

    @cached_property
    def _has_special_marks(self) -> bool:
        """Whether the tokenizer calls a mark of thinking special: decoding would leave it out."""
        return any(map(find_marks, self._special_tokens.values()))

    @cached_property
    def _dropped(self) -> frozenset[int]:
        """The special tokens that are no part of a text, where marks of thinking are special and must stay."""
        if not self._has_special_marks:
            return frozenset()

        dropped = {self.encoder.end_of_turn}
        for token_id, content in self._special_tokens.items():
            if content not in HARMONY_TOKENS and not find_marks(content):
                dropped.add(token_id)
        return frozenset(dropped)

    @cached_property
    def _special_tokens(self) -> dict[int, str]:
        """The tokens that decoding leaves out, by id."""
        tokens = self.encoder.tokenizer.added_tokens_decoder
        return {token_id: token.content for token_id, token in tokens.items() if token.special}
