"""Examples that stay in their file until somebody asks for one, so that a file larger than the memory can be used.

The functions at the end take such sequences and plain ones alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, overload

from rpobench.types import Example, Labelled


class ExampleFile(Protocol):
    """A file of questions of which any can be read alone.

    `ids` and `user_ids` hold the example id and the user of every row of the file.
    """

    ids: Sequence[str]
    user_ids: Sequence[str]

    def example(self, row: int) -> Example:
        """Read the example at this row."""
        ...


class LazyExamples(Sequence[Example]):
    """Some rows of an example file, in order; an example exists only while somebody uses it."""

    def __init__(self, file: ExampleFile, rows: Sequence[int]) -> None:
        self._file = file
        self._rows = rows

    @property
    def ids(self) -> list[str]:
        """The example ids, without reading any text."""
        return [self._file.ids[row] for row in self._rows]

    @property
    def user_ids(self) -> list[str]:
        """The user of each example, without reading any text."""
        return [self._file.user_ids[row] for row in self._rows]

    def select(self, positions: Sequence[int]) -> LazyExamples:
        """Return the examples at these positions, still unread."""
        return LazyExamples(self._file, [self._rows[position] for position in positions])

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, position: int) -> Example: ...
    @overload
    def __getitem__(self, position: slice) -> LazyExamples: ...
    def __getitem__(self, position: int | slice) -> Example | LazyExamples:
        if isinstance(position, slice):
            return LazyExamples(self._file, self._rows[position])
        return self._file.example(self._rows[position])


class LazyLabelled(Sequence[Labelled]):
    """Lazy examples with their targets."""

    def __init__(self, examples: LazyExamples, targets: Mapping[str, str]) -> None:
        self.examples = examples
        self._targets = targets

    @property
    def targets(self) -> list[str]:
        """The target of each example, without reading any other text."""
        return [self._targets[example_id] for example_id in self.examples.ids]

    def select(self, positions: Sequence[int]) -> LazyLabelled:
        """Return the labelled examples at these positions, still unread."""
        return LazyLabelled(self.examples.select(positions), self._targets)

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, position: int) -> Labelled: ...
    @overload
    def __getitem__(self, position: slice) -> LazyLabelled: ...
    def __getitem__(self, position: int | slice) -> Labelled | LazyLabelled:
        if isinstance(position, slice):
            return LazyLabelled(self.examples[position], self._targets)

        example = self.examples[position]
        return Labelled(example, self._targets[example.id])


def label_examples(examples: Sequence[Example], targets: Mapping[str, str]) -> Sequence[Labelled]:
    """Join examples and targets.

    Args:
        examples: Plain or lazy examples.
        targets: The target by example id; every example has one.

    Returns:
        The labelled examples in the same order, lazy where the examples are.
    """
    if isinstance(examples, LazyExamples):
        return LazyLabelled(examples, targets)
    return tuple(Labelled(example, targets[example.id]) for example in examples)


def list_ids(examples: Sequence[Example]) -> list[str]:
    """List the example ids, without reading texts where the examples are lazy."""
    if isinstance(examples, LazyExamples):
        return examples.ids
    return [example.id for example in examples]


def list_examples(labelled: Sequence[Labelled]) -> Sequence[Example]:
    """Return the examples without their targets, lazy where they are."""
    if isinstance(labelled, LazyLabelled):
        return labelled.examples
    return tuple(pair.example for pair in labelled)


def list_targets(labelled: Sequence[Labelled]) -> list[str]:
    """List the target of each example, without reading other texts where the examples are lazy."""
    if isinstance(labelled, LazyLabelled):
        return labelled.targets
    return [pair.target for pair in labelled]


def list_users(labelled: Sequence[Labelled]) -> list[str]:
    """List the user of each example, without reading texts where the examples are lazy."""
    if isinstance(labelled, LazyLabelled):
        return labelled.examples.user_ids
    return [pair.example.user_id for pair in labelled]


def select_examples(examples: Sequence[Example], positions: Sequence[int]) -> Sequence[Example]:
    """Return the examples at these positions, in this order, lazy where all of them are."""
    if isinstance(examples, LazyExamples):
        return examples.select(positions)
    return [examples[position] for position in positions]


def select_labelled(labelled: Sequence[Labelled], positions: Sequence[int]) -> Sequence[Labelled]:
    """Return the labelled examples at these positions, in this order, lazy where all of them are."""
    if isinstance(labelled, LazyLabelled):
        return labelled.select(positions)
    return tuple(labelled[position] for position in positions)
