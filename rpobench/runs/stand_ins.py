"""Stand-ins for a base model and its drafts: methods rehearse with them, so that their calls can be counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rpobench.method.token_work import TokenWork
from rpobench.models.protocol import LanguageModel
from rpobench.models.served.asking import CHOICE_TOKENS
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Example, Prediction, Usage

CHARACTERS_PER_TOKEN = 4  # about, of English text
WRITTEN_SHARE = 0.6  # of the longest answer that is allowed: about what answers have on average


@dataclass
class StandInModel:
    """Stands in for a base model: counts what it is asked and answers with words of the question, at no cost.

    Attributes:
        identity: That of the base model.
        calls: How often it was asked; a fraction where counts were scaled.
        prompt_tokens: Tokens that it read, about.
        new_tokens: Tokens that it was allowed to write.
        local_work: The same as a local model would do it, which scores labels after it has read a prompt.
    """

    identity: str
    calls: float = 0.0
    prompt_tokens: float = 0.0
    new_tokens: float = 0.0
    local_work: TokenWork = field(default_factory=TokenWork)

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """Answer each chat with its last words."""
        completions = []
        for chat in chats:
            self.count(chat, decoding.max_new_tokens)
            self.local_work += TokenWork(_count_tokens(chat), WRITTEN_SHARE * decoding.max_new_tokens)
            completions.append(Completion(_take_last_words(chat[-1].content), Usage(1)))
        return completions

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """Choose the first option."""
        for chat in chats:
            self.count(chat, CHOICE_TOKENS)
        option_tokens = sum(len(option) / CHARACTERS_PER_TOKEN + 1 for option in options)
        for chat in (*chats, *(neutral or ())):
            self.local_work += TokenWork(read=_count_tokens(chat) + option_tokens)
        return [Completion(options[0], Usage(1)) for _ in chats]

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Rate all texts equally likely."""
        for chat in chats:
            self.count(chat, 0)
            self.local_work += TokenWork(read=_count_tokens(chat))
        return [0.0] * len(chats)

    def count(self, chat: Chat, new_tokens: int) -> None:
        """Count a call with this chat that may write at most `new_tokens`."""
        self.calls += 1
        self.prompt_tokens += _count_tokens(chat)
        self.new_tokens += new_tokens

    def add(self, other: StandInModel, factor: float) -> None:
        """Add what another stand-in counted, times `factor`, which need not be whole."""
        self.calls += other.calls * factor
        self.prompt_tokens += other.prompt_tokens * factor
        self.new_tokens += other.new_tokens * factor
        self.local_work += other.local_work * factor


@dataclass
class StandInDrafts:
    """Hands out words of the input as drafts.

    Attributes:
        were_requested: Whether anybody asked for drafts.
    """

    were_requested: bool = False

    def get_drafts(self, task: Task, examples: Sequence[Example]) -> Mapping[str, Prediction]:
        """Make up a draft of each example, by example id."""
        self.were_requested = True

        drafts = {}
        for example in examples:
            text = task.labels[0] if task.labels else _take_last_words(example.input)
            drafts[example.id] = Prediction(example.id, text, text, text)
        return drafts

    def generate_once(
        self, name: str, chats: Sequence[Chat], decoding: Decoding, model: LanguageModel
    ) -> Sequence[Completion]:
        """Let the stand-in for the model write."""
        return model.generate(chats, decoding)


def _count_tokens(chat: Chat) -> float:
    """About so many tokens; without those of the chat template, which a server may not count either."""
    return sum(len(message.content) for message in chat) / CHARACTERS_PER_TOKEN


def _take_last_words(text: str) -> str:
    return " ".join(text.split()[-12:])
