"""A model without weights: answers by a rule and counts its calls. For tests, and to try the command line at once."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

Reply = Callable[[Chat], str]
Scorer = Callable[[Chat, str], float]

ECHOED_WORDS = 12


def count_occurrences(chat: Chat, text: str) -> float:
    """How often the text stands in the chat: the default scorer."""
    return float(sum(message.content.count(text) for message in chat))


def echo(chat: Chat) -> str:
    """The first 12 words of the last user message's content, after its last ": " if it has one."""
    content = [message.content for message in chat if message.role == "user"][-1]
    return " ".join(content.rsplit(": ", 1)[-1].split()[:ECHOED_WORDS])


def generic(chat: Chat) -> str:
    """The same words to everything."""
    return "an answer to everything"


class ScriptedModel:
    """A LanguageModel that answers by a rule.

    `choose` takes the first of equal options and ignores `neutral`. Usage counts words as tokens. `calls` counts chats
    over all three methods and `chats` records them.

    Args:
        reply: The text after a chat, whatever the decoding.
        identity: The model's identity.
        scorer: The likelihood of a text after a chat; any number.
        delay: Seconds that each chat takes.
        log: A file that gets one JSON line a chat, on disk before the answer is given, so that calls are counted
            across killed processes.
    """

    def __init__(
        self,
        reply: Reply,
        identity: str = "scripted",
        *,
        scorer: Scorer = count_occurrences,
        delay: float = 0.0,
        log: Path | None = None,
    ) -> None:
        self.identity = identity
        self.calls = 0
        self.chats: list[Chat] = []

        self._reply, self._scorer = reply, scorer
        self._delay, self._log = delay, log

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """The reply to each chat, whatever the decoding."""
        return [self._complete("generate", chat, self._reply) for chat in chats]

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The option with the highest score for each chat."""

        def choose_option(chat: Chat) -> str:
            return max(options, key=lambda option: self._scorer(chat, option))

        return [self._complete("choose", chat, choose_option) for chat in chats]

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The score of each text after its chat."""
        for chat in chats:
            self._count("loglikelihood", chat)
        return [self._scorer(chat, text) for chat, text in zip(chats, texts, strict=True)]

    def _complete(self, kind: str, chat: Chat, answer: Reply) -> Completion:
        started = time.perf_counter()
        self._count(kind, chat)
        text = answer(chat)

        prompt_words = sum(len(message.content.split()) for message in chat)
        return Completion(text, Usage(1, prompt_words, len(text.split()), time.perf_counter() - started))

    def _count(self, kind: str, chat: Chat) -> None:
        self.calls += 1
        self.chats.append(chat)

        if self._log:
            line = json.dumps({"kind": kind, "model": self.identity, "last": chat[-1].content})
            with self._log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        time.sleep(self._delay)


RULES: dict[str, Reply] = {"echo": echo, "generic": generic}


def open_scripted(argument: str = "echo") -> ScriptedModel:
    """The model of a spec `scripted:ARGUMENT`; RPOBENCH_SCRIPTED_LOG and RPOBENCH_SCRIPTED_DELAY set log and delay.

    Args:
        argument: The rule, `echo` or `generic`.

    Returns:
        A model that answers by it.

    Raises:
        RpobenchError: There is no such rule, or the delay is not a number of seconds.
    """
    rule = argument or "echo"
    if rule not in RULES:
        raise RpobenchError(f"scripted:{rule}: unknown rule '{rule}'; known: {', '.join(RULES)}")

    delay = os.environ.get("RPOBENCH_SCRIPTED_DELAY", "0")
    try:
        seconds = float(delay)
    except ValueError:
        raise RpobenchError(f"RPOBENCH_SCRIPTED_DELAY is '{delay}': give seconds, such as 0.1") from None

    log = os.environ.get("RPOBENCH_SCRIPTED_LOG")
    return ScriptedModel(RULES[rule], f"scripted:{rule}", delay=seconds, log=Path(log) if log else None)
