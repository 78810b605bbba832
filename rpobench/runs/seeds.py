"""Which methods draw lots: the others answer alike whatever the seed, so they run once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpobench.method.config import EvidenceConfig
from rpobench.method.context import PredictContext
from rpobench.method.contract import Method
from rpobench.method.declaration import BrokenMethod
from rpobench.registry import get_retriever
from rpobench.task.contract import Task
from rpobench.types import Evidence, Example

SEED_OF_ALL = 0  # of the run that serves every seed, and of its control


def depends_on_seed(method: Method) -> bool:
    """Say whether another seed could give other predictions.

    Args:
        method: The method with its config.

    Returns:
        True where it trains parameters, says that it draws lots, or takes evidence from a retriever that does.
    """
    if method.draws_lots or (method.trains and not method.only_counts):
        return True

    return any(get_retriever(retriever).draws_lots for retriever in method.retrievers())


def serves_every_seed(method: Method, profiles: str) -> bool:
    """Say whether one run is that of all seeds.

    Args:
        method: The method with its config.
        profiles: "own" or "swapped"; whose profile an example gets instead of its own is drawn by the seed.
    """
    return profiles == "own" and not depends_on_seed(method)


class SeedlessPredictContext(PredictContext):
    """What a method is lent that says that it draws no lots: whatever depends on the seed is an error."""

    def __getattribute__(self, name: str) -> Any:
        """Look up an attribute. Raises RpobenchError for the seed."""
        if name == "seed":
            raise BrokenMethod(
                "the method reads context.seed and says that it draws no lots: set `draws_lots = True` in its class, "
                "so that it runs once for each seed"
            )
        return super().__getattribute__(name)

    def choose_evidence(
        self, task: Task, examples: Sequence[Example], *, retriever: str, limits: EvidenceConfig | None = None
    ) -> list[Evidence]:
        """Choose evidence as `PredictContext` does. Raises RpobenchError for a retriever that draws lots."""
        if get_retriever(retriever).draws_lots:
            raise BrokenMethod(
                f"the method takes evidence from {retriever}, which draws lots: name it in `retrievers()`, so that "
                "the method runs once for each seed"
            )
        return super().choose_evidence(task, examples, retriever=retriever, limits=limits)
