"""Chats and answers as token ids, in the form that a checkpoint's own chat template gives them.

All that is local goes through here, in training as in prediction: so what is trained on is what will be asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rpobench.models.local.loading import explain_template_errors, load_tokenizer
from rpobench.models.local.open_thinking import OpenThinking, find_open_thinking
from rpobench.models.local.roles import fold_system, join_equal_roles
from rpobench.models.protocol import CHAT_TOKENS
from rpobench.types import Chat, Message, RpobenchError

# What templates of models that think call the switch; those that have none pass over it.
THINKING_SWITCHES = {"enable_thinking": True, "thinking": True}

QUESTION, ANSWER = Message("user", "a"), Message("assistant", "b")
SYSTEM, SECOND_QUESTION = Message("system", "SYSTEMTEXT"), Message("user", "SECONDTEXT")


@dataclass(frozen=True)
class ChatEncoder:
    """Turns chats into the token ids that a model reads and answers into those that it would write.

    Attributes:
        tokenizer: A transformers tokenizer with a chat template.
        name: The model's name, for errors.
        path: The checkpoint's folder, for errors.
        system: A prompt before every chat that has no system message of its own, or None.
        thinks: Whether the model is to think before it answers.
    """

    tokenizer: Any
    name: str
    path: Path
    system: str | None = None
    thinks: bool = False

    @cached_property
    def end_of_turn(self) -> int:
        """The token that the chat template closes an answer with; the tokenizer's own where it closes with none."""
        with explain_template_errors(self.name):
            closed = self._render((QUESTION, ANSWER))
            still_open = self._render((QUESTION, ANSWER), continue_final_message=True)

        closing_ids = self.tokenizer.encode(closed[len(still_open) :].strip(), add_special_tokens=False)
        control_tokens = self.tokenizer.added_tokens_decoder
        control_ids = [token for token in closing_ids if token in control_tokens]
        end = control_ids[0] if control_ids else self.tokenizer.eos_token_id
        if end is None:
            raise RpobenchError(f"{self.path}: neither chat template nor tokenizer ends an answer; set eos_token")
        return int(end)

    def stop_tokens(self, configured: int | Sequence[int] | None) -> list[int]:
        """Every token that ends an answer.

        Args:
            configured: Those of the checkpoint's own settings (`generation_config.json`).

        Returns:
            The end of the turn, the tokenizer's token and the configured ones, in order.
        """
        others = configured if isinstance(configured, Sequence) else [configured]
        return sorted({self.end_of_turn, self.tokenizer.eos_token_id, *others} - {None})

    @cached_property
    def folds_system(self) -> bool:
        """Whether the system text goes into the user's message.

        It does where the template refuses a system message or leaves it out, if only once an answer follows: then a
        module would be trained without what it is asked with.
        """
        question = (SYSTEM, QUESTION)
        return not (self._shows(SYSTEM, question) and self._shows(SYSTEM, (*question, ANSWER)))

    @cached_property
    def open_thinking(self) -> OpenThinking | None:
        """The mark of thinking that the template ends every prompt with; None where it opens none."""
        try:
            with explain_template_errors(self.name):
                return find_open_thinking(self._render((QUESTION,), add_generation_prompt=True))
        except RpobenchError:
            return None  # what is refused here will be refused with a reason where it is asked

    @property
    def closes_thinking(self) -> bool:
        """Whether prompts are other than the template writes them: with the thinking closed again that it opens."""
        return self.open_thinking is not None and self.open_thinking.has_closing_tag and not self.thinks

    def opening_mark(self, chat: Chat) -> str:
        """What a text begins with whose prompt ends inside the thinking; empty where it does not."""
        if self.open_thinking is None or self.closes_thinking or chat[-1].role == "assistant":
            return ""
        return self.open_thinking.mark

    def encode_prompt(self, chat: Chat) -> list[int]:
        """Token ids of a chat, open for the answer. A control token inside a message is plain text.

        Args:
            chat: Any chat. One that ends with the assistant's message is left open inside it; there nothing is thought
                any more.

        Returns:
            Token ids. Where the model is not to think, thinking that the template opens is closed at once.
        """
        if chat[-1].role != "assistant":
            prompt = self._encode(chat, add_generation_prompt=True)
            return self._close_thinking(prompt) if self.closes_thinking else prompt

        encoder = replace(self, thinks=False) if self.thinks else self
        return encoder._encode_begun(chat)

    def encode_answer(self, text: str) -> list[int]:
        """Token ids of an answer with the end of its turn, encoded on its own."""
        return [*self._encode_text(text), self.end_of_turn]

    def encode_turn(self, chat: Chat, answer: str) -> tuple[list[int], list[int]]:
        """A chat and its answer as the template writes them together, for training.

        Some templates write a prompt otherwise once its answer follows. Then the answer comes behind the prompt as it
        is asked.

        Args:
            chat: What the model reads.
            answer: What it is to write.

        Returns:
            Token ids of the open chat, and of the answer with the end of its turn and what the template writes there.
        """
        prompt = self.encode_prompt(chat)
        whole = self._encode((*chat, Message("assistant", answer)))
        if whole[: len(prompt)] == prompt and self.end_of_turn in whole[len(prompt) :]:
            return prompt, whole[len(prompt) :]

        begun = self.encode_prompt((*chat, Message("assistant", answer)))
        if begun[: len(prompt)] == prompt:
            return prompt, [*begun[len(prompt) :], self.end_of_turn]
        return prompt, self.encode_answer(answer)

    def _encode_begun(self, chat: Chat) -> list[int]:
        """Token ids of a chat whose last message is an answer that was begun."""
        if self._continues_prompts:
            return self._encode(chat, continue_final_message=True)
        return self.encode_prompt(chat[:-1]) + self._encode_text(chat[-1].content)

    def _encode_text(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def _encode(self, chat: Chat, **options: Any) -> list[int]:
        """Token ids of a chat as the template writes it."""
        with explain_template_errors(self.name):
            ids: list[int] = self.tokenizer.apply_chat_template(
                template_messages(self._fit_roles(chat)),
                return_dict=False,
                **{**CHAT_TOKENS, **self._switches},
                **options,
            )
        return ids

    def _render(self, chat: Chat, **options: Any) -> str:
        """The text of a chat that is ours and not a user's; it may raise what templates raise."""
        text: str = self.tokenizer.apply_chat_template(
            template_messages(chat), tokenize=False, **{"enable_thinking": False, **self._switches}, **options
        )
        return text

    @property
    def _switches(self) -> dict[str, bool]:
        return THINKING_SWITCHES if self.thinks else {}

    def _fit_roles(self, chat: Chat) -> Chat:
        """The chat in roles that the template has."""
        if self.system and chat[0].role != "system":
            chat = (Message("system", self.system), *chat)

        if any(message.role == "system" for message in chat) and self.folds_system:
            chat = fold_system(chat)

        joined = join_equal_roles(chat)
        return joined if len(joined) < len(chat) and self._takes_turns else chat

    @cached_property
    def _takes_turns(self) -> bool:
        """Whether the template refuses, or leaves out, a second message of the same role."""
        return not self._shows(SECOND_QUESTION, (QUESTION, SECOND_QUESTION))

    def _shows(self, message: Message, chat: Chat) -> bool:
        """Whether the template writes the text of this message of the chat."""
        try:
            with explain_template_errors(self.name):
                return message.content in self._render(chat)
        except RpobenchError:
            return False

    @cached_property
    def _continues_prompts(self) -> bool:
        """Whether an answer that is begun stands behind its prompt, as the template writes both."""
        with explain_template_errors(self.name):
            prompt = self._render((QUESTION,), add_generation_prompt=True)
            begun = self._render((QUESTION, ANSWER), continue_final_message=True)

        if self.open_thinking and self.closes_thinking:  # as `encode_prompt` writes it
            prompt = prompt.removesuffix(self.open_thinking.tail) + self.open_thinking.closed
        return begun.startswith(prompt)

    def _close_thinking(self, prompt: list[int]) -> list[int]:
        """The prompt with empty thinking at its end in place of the mark that opens it."""
        assert self.open_thinking is not None
        tail, closed = (
            self.tokenizer.encode(text, add_special_tokens=False)
            for text in (self.open_thinking.tail, self.open_thinking.closed)
        )
        if prompt[-len(tail) :] == tail:
            return [*prompt[: -len(tail)], *closed]

        rest = self.open_thinking.closed.removeprefix(self.open_thinking.mark)
        return [*prompt, *self.tokenizer.encode(rest, add_special_tokens=False)]


def template_messages(chat: Chat) -> list[dict[str, str]]:
    """Write a chat as the dicts with `role` and `content` that chat templates and trl's data sets expect."""
    return [{"role": message.role, "content": message.content} for message in chat]


def read_messages(messages: Sequence[Mapping[str, str]]) -> Chat:
    """Read a chat from dicts as `template_messages` writes them."""
    return tuple(Message(message["role"], message["content"]) for message in messages)


def read_encoder(checkpoint: Path) -> ChatEncoder:
    """Read how a local checkpoint reads chats.

    Args:
        checkpoint: The folder of the model.

    Returns:
        The encoder without a system prompt and without thinking.

    Raises:
        RpobenchError: The tokenizer cannot be loaded, or has no chat template.
    """
    return ChatEncoder(load_tokenizer(checkpoint), str(checkpoint), checkpoint)


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
