"""A model that learns from refusals how its server wants to be asked, whatever library carries the requests."""

from __future__ import annotations

import json
import sys
import time
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rpobench.models.served.asking import AskingModel
from rpobench.models.served.dialect import Dialect, load_dialect, save_dialect
from rpobench.models.served.options import KEY
from rpobench.models.served.replies import Reply, quote, read_refusal
from rpobench.types import Chat, Completion, Usage

if TYPE_CHECKING:
    from openai import APIStatusError


class AdaptingModel(AskingModel):
    """A model whose requests go without what its server does not take. A subclass carries them.

    Attributes:
        key_name: The variable that holds the user's key, for errors.
    """

    key_name = KEY

    @property
    @abstractmethod
    def _address(self) -> str:
        """The model as results name it, without what it is asked beside."""

    @abstractmethod
    async def _post(self, body: dict[str, Any], started: float) -> Reply | APIStatusError:
        """The reply to a request that began at `started`, or the error of its refusal, after all retries."""

    @cached_property
    def _dialect(self) -> Dialect:
        return load_dialect(self._address) or self._first_dialect

    @property
    def _first_dialect(self) -> Dialect:
        """The dialect of a server of which nothing was learned."""
        return Dialect()

    async def _ask(self, chat: Chat, request: dict[str, Any]) -> Reply:
        dialect = self._dialect
        while True:
            body = dialect.translate(request)
            started = time.perf_counter()
            outcome = await self._post(body, started)
            if isinstance(outcome, Reply):
                self._adopt(dialect, outcome.completion)
                return outcome

            adapted = dialect.adapt(body, outcome.status_code, _all_words(outcome))
            if adapted is None:
                usage = Usage(1, seconds=time.perf_counter() - started)
                return read_refusal(outcome, usage, self.label, chat, self.key_name)
            dialect = adapted

    def _adopt(self, dialect: Dialect, completion: Completion) -> None:
        """Keep the words in which a request was answered, and say what it goes without."""
        joined = self._dialect.join(dialect)  # another request may have learned something else meanwhile
        if joined == self._dialect or completion.failure:
            return

        for name in sorted(joined.left_out - self._dialect.left_out):
            print(f"{self.label}: refuses {name}; it is left out, as the model's identity says", file=sys.stderr)
        self._dialect = joined
        save_dialect(self._address, joined)


def _all_words(error: APIStatusError) -> str:
    """Everything that a refusal says, to look for names in it."""
    return f"{quote(error)} {getattr(error, 'param', None)} {json.dumps(error.body, default=str)}"
