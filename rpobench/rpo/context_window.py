"""What fits into the reflection model's context. A prompt that is too long drops profile items, worst ones first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rpobench.types import Chat, Evidence

if TYPE_CHECKING:
    from rpobench.models.local.chat_tokens import ChatEncoder

SLACK = 32  # tokens for a label after the analysis, and for text that encodes longer than it was generated


@dataclass(frozen=True)
class ContextWindow:
    """Measures chats against the context length of a model.

    Attributes:
        encoder: Writes chats as the model reads them. None counts words instead, as a scripted model does.
        length: The longest context in tokens. None has no limit.
    """

    encoder: ChatEncoder | None = None
    length: int | None = None

    def fits(self, chat: Chat, *, answer_tokens: int = 0) -> bool:
        """Tell whether a chat and an answer to it fit together.

        Args:
            chat: What the model reads. A chat that ends with the assistant's message is closed.
            answer_tokens: How many tokens must be left for the answer.

        Returns:
            True where both fit.
        """
        if self.length is None:
            return True

        return self.count_tokens(chat) + answer_tokens <= self.length

    def count_tokens(self, chat: Chat) -> int:
        """Count the tokens of a chat, those of the chat template included.

        Args:
            chat: The messages, in order.

        Returns:
            The number of tokens; of words where there is no encoder.
        """
        if self.encoder is None:
            return sum(len(message.content.split()) for message in chat)

        if chat[-1].role != "assistant":
            return len(self.encoder.encode_prompt(chat))
        prompt, turn = self.encoder.encode_turn(chat[:-1], chat[-1].content)
        return len(prompt) + len(turn)

    def fit_evidence(
        self, evidence: Evidence, build_chat: Callable[[Evidence], Chat], *, answer_tokens: int
    ) -> Evidence | None:
        """Drop profile items, worst first, until the chat leaves room for the answer.

        Args:
            evidence: The items, best first.
            build_chat: Makes the chat that shows these items.
            answer_tokens: How many tokens must be left for the answer.

        Returns:
            The most evidence that fits. None where the chat is too long even without any.
        """
        for item_count in range(len(evidence.items), -1, -1):
            shorter = Evidence(evidence.items[:item_count], evidence.cut)
            if self.fits(build_chat(shorter), answer_tokens=answer_tokens + SLACK):
                return shorter

        return None


def read_context_window(checkpoint: Path) -> ContextWindow:
    """Read the context window of a local checkpoint.

    Args:
        checkpoint: The folder of the model.

    Returns:
        The window, with the checkpoint's own tokens and its `max_position_embeddings`, if it states any.
    """
    from transformers import AutoConfig

    from rpobench.models.local.chat_tokens import read_encoder

    config = AutoConfig.from_pretrained(str(checkpoint)).get_text_config()
    return ContextWindow(read_encoder(checkpoint), getattr(config, "max_position_embeddings", None))
