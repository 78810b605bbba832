"""Chats and answers as token ids, in the form that a checkpoint's own chat template gives them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rpobench.models.local.loading import explain_template_errors
from rpobench.models.protocol import CHAT_TOKENS
from rpobench.types import Chat, Message, RpobenchError


@dataclass(frozen=True)
class ChatEncoder:
    """Turns chats into the token ids that a model reads and answers into those that it would write.

    Attributes:
        tokenizer: A transformers tokenizer with a chat template.
        name: The model's name, for errors.
        path: The checkpoint's folder, for errors.
        system: A prompt before every chat that has no system message of its own, or None.
    """

    tokenizer: Any
    name: str
    path: Path
    system: str | None = None

    @cached_property
    def end_of_turn(self) -> int:
        """The token that the chat template closes an answer with; the tokenizer's own where it closes with none."""
        turns = (("user", "a"), ("assistant", "b"))
        messages = [{"role": role, "content": content} for role, content in turns]
        with explain_template_errors(self.name):
            closed = self.tokenizer.apply_chat_template(messages, tokenize=False)
            still_open = self.tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)

        closing_ids = self.tokenizer.encode(closed[len(still_open) :].strip(), add_special_tokens=False)
        end = closing_ids[0] if closing_ids else self.tokenizer.eos_token_id
        if end is None:
            raise RpobenchError(f"{self.path}: neither chat template nor tokenizer ends an answer; set eos_token")
        return int(end)

    def encode_prompt(self, chat: Chat) -> list[int]:
        """Token ids of a chat, open for the answer. A control token inside a message is plain text."""
        is_continued = chat[-1].role == "assistant"
        if self.system and chat[0].role != "system":
            chat = (Message("system", self.system), *chat)

        with explain_template_errors(self.name):
            ids: list[int] = self.tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in chat],
                return_dict=False,
                add_generation_prompt=not is_continued,
                continue_final_message=is_continued,
                **CHAT_TOKENS,
            )
        return ids

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer with the end of its turn, encoded on its own."""
        ids = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return [*ids, self.end_of_turn]


@dataclass(frozen=True)
class OpenChat:
    """A chat, and the spaces at the end of the assistant message that it leaves open.

    Tokenizers expect a space at the start of a word, so it is moved to the answer.
    """

    chat: Chat
    spaces: str


def split_spaces(chat: Chat) -> OpenChat:
    """A continued chat without the spaces at its end; any other chat as it is."""
    last = chat[-1]
    if last.role != "assistant":
        return OpenChat(chat, "")

    content = last.content.rstrip(" ")
    return OpenChat((*chat[:-1], Message(last.role, content)), last.content[len(content) :])
