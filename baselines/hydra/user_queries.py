"""Labelled queries of several users: in one list for what is asked together, by user for what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from rpobench.baselines.grouping import split_into_groups
from rpobench.baselines.hydra.candidates import Candidates
from rpobench.baselines.hydra.judge import Row
from rpobench.baselines.hydra.rows import candidate_rows, item_rows

from rpobench.api import Evidence, Example, Labelled, ProfileItem, Task

T = TypeVar("T")


@dataclass(frozen=True)
class UserQueries:
    """The queries that each user's heads are learned from.

    Attributes:
        task: The task of all queries.
        by_user: The queries of each user, with their right answers.
    """

    task: Task
    by_user: Sequence[Sequence[Labelled]]

    @property
    def queries(self) -> list[Labelled]:
        """All queries, user after user."""
        return list(chain.from_iterable(self.by_user))

    @property
    def examples(self) -> list[Example]:
        """The example of each query, user after user."""
        return [query.example for query in self.queries]

    def group(self, values: Sequence[T]) -> list[list[T]]:
        """Group by user what belongs to each query, in the order of `queries`."""
        return split_into_groups(values, [len(queries) for queries in self.by_user])

    def repeat(self, values: Sequence[T]) -> list[T]:
        """Repeat what belongs to each user for every one of her queries."""
        repeated: list[T] = []
        for value, queries in zip(values, self.by_user, strict=True):
            repeated.extend([value] * len(queries))

        return repeated

    def item_rows(self, shortlists: Sequence[Sequence[ProfileItem]]) -> list[list[Row]]:
        """Build the rows that a reranker learns from, by user; one shortlist a query."""
        rows_by_query = []
        for query, items in zip(self.queries, shortlists, strict=True):
            rows_by_query.append(item_rows(self.task, query.example, items, query.target))

        return self._join_rows(rows_by_query)

    def candidate_rows(self, candidates: Sequence[Candidates], evidence: Sequence[Evidence]) -> list[list[Row]]:
        """Build the rows that a scorer learns from, by user; candidates and evidence of each query.

        A query that the base model refuses has none.
        """
        rows_by_query: list[list[Row]] = []
        for query, answers, items in zip(self.queries, candidates, evidence, strict=True):
            if answers.permanent:
                rows_by_query.append([])
                continue
            rows_by_query.append(candidate_rows(self.task, query.example, answers, items, query.target))

        return self._join_rows(rows_by_query)

    def _join_rows(self, rows_by_query: Sequence[Sequence[Row]]) -> list[list[Row]]:
        """All rows of a user in one list."""
        return [list(chain.from_iterable(rows_of_user)) for rows_of_user in self.group(rows_by_query)]
