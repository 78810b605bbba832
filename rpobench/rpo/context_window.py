"""What fits into the reflection model's context. A prompt that is too long drops profile items, worst ones first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpobench.models.protocol import CHAT_TOKENS
from rpobench.types import Chat, Evidence

SLACK = 32  # tokens for a label after the analysis, and for text that encodes longer than it was generated


def template_messages(chat: Chat) -> list[dict[str, str]]:
    """Write a chat as the dicts with `role` and `content` that chat templates and trl's data sets expect."""
    return [{"role": message.role, "content": message.content} for message in chat]


@dataclass(frozen=True)
class ContextWindow:
    """Measures chats against the context length of a model.

    Attributes:
        tokenizer: The model's own. None counts words instead, as a scripted model does.
        length: The longest context in tokens. None has no limit.
    """

    tokenizer: Any = None
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
            The number of tokens; of words where there is no tokenizer.
        """
        if self.tokenizer is None:
            return sum(len(message.content.split()) for message in chat)

        from rpobench.models.local.loading import explain_template_errors

        with explain_template_errors("the reflection model"):
            token_ids = self.tokenizer.apply_chat_template(
                template_messages(chat),
                return_dict=False,
                add_generation_prompt=chat[-1].role != "assistant",
                **CHAT_TOKENS,
            )
        return len(token_ids)

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
        The window, with the checkpoint's tokenizer and its `max_position_embeddings`, if it states any.
    """
    from transformers import AutoConfig, AutoTokenizer

    from rpobench.models.local.loading import fix_template_date

    config = AutoConfig.from_pretrained(str(checkpoint)).get_text_config()
    tokenizer = fix_template_date(AutoTokenizer.from_pretrained(str(checkpoint)))
    return ContextWindow(tokenizer, getattr(config, "max_position_embeddings", None))
