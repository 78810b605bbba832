"""Rankers for worker processes, which import this module by its name."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from datetime import date

from rpobench.evidence.retrievers import Retriever
from rpobench.types import RpobenchError


class Telling(Retriever):
    """Instead of an order: the process that ranked, and whether torch is loaded there."""

    identity = "telling"
    in_pool = True

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        return [os.getpid(), "torch" in sys.modules, int(query)]


class Alone(Telling):
    """The same, and it does not say that it may be copied."""

    in_pool = False


class Deadly(Telling):
    """Ends the process that it ranks in, as a system without memory would."""

    identity = "deadly"

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


class Refusing(Telling):
    """Finds fault with its input."""

    def rank(
        self, query: str, texts: Sequence[str], *, dates: Sequence[date | None] | None = None, key: str = ""
    ) -> Sequence[int]:
        raise RpobenchError(f"query {query}: refused")
