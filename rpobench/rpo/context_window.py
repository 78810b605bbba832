"""What fits into a reflection model's context: prompts are fitted by showing fewer profile items, worst first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpobench.models.protocol import CHAT_TOKENS
from rpobench.types import Chat, Evidence

SLACK = 32  # tokens for a label after the analysis, and for text that encodes longer than it was generated


def messages(chat: Chat) -> list[dict[str, str]]:
    """A chat in the form that chat templates and trl's conversational data sets have."""
    return [{"role": message.role, "content": message.content} for message in chat]


@dataclass(frozen=True)
class Room:
    """Counts a chat's tokens against a context of `context` tokens; None is without end."""

    tokenizer: Any = None
    context: int | None = None

    def holds(self, chat: Chat, *, answer: int = 0) -> bool:
        """Whether the chat and `answer` tokens more fit. A chat that ends with the assistant's message is closed."""
        return self.context is None or self.tokens(chat) + answer <= self.context

    def tokens(self, chat: Chat) -> int:
        """The tokens of a chat; words where there is no tokenizer, as a scripted model counts."""
        if self.tokenizer is None:
            return sum(len(message.content.split()) for message in chat)
        from rpobench.models.local.loading import explain_template_errors

        with explain_template_errors("the reflection model"):
            ids = self.tokenizer.apply_chat_template(
                messages(chat), return_dict=False, add_generation_prompt=chat[-1].role != "assistant", **CHAT_TOKENS
            )
        return len(ids)

    def fit(self, evidence: Evidence, ask: Callable[[Evidence], Chat], *, answer: int) -> Evidence | None:
        """The most of the evidence, best items first, with which `ask` leaves room for an answer of that many tokens.

        None where even the question alone does not.
        """
        for count in range(len(evidence.items), -1, -1):
            fewer = Evidence(evidence.items[:count], evidence.cut)
            if self.holds(ask(fewer), answer=answer + SLACK):
                return fewer
        return None


def checkpoint_room(checkpoint: Path) -> Room:
    """The room that a local checkpoint has."""
    from transformers import AutoConfig, AutoTokenizer

    from rpobench.models.local.loading import fix_template_date

    config = AutoConfig.from_pretrained(str(checkpoint)).get_text_config()
    return Room(
        fix_template_date(AutoTokenizer.from_pretrained(str(checkpoint))),
        getattr(config, "max_position_embeddings", None),
    )
