"""Examples that stay in their file until somebody asks for one, alone and with their targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, overload

from rpobench.types import Example, Labelled


class MappedFile(Protocol):
    """A file of questions of which any can be read alone."""

    ids: Sequence[str]
    user_ids: Sequence[str]

    def example(self, row: int) -> Example:
        """The example at this row."""
        ...


class MappedExamples(Sequence[Example]):
    """Some rows of a mapped file, in order; an example exists only while somebody holds it."""

    def __init__(self, file: MappedFile, rows: Sequence[int]) -> None:
        self._file, self._rows = file, rows

    @property
    def ids(self) -> list[str]:
        """The example ids, without reading any text."""
        return [self._file.ids[row] for row in self._rows]

    @property
    def user_ids(self) -> list[str]:
        """The users, likewise."""
        return [self._file.user_ids[row] for row in self._rows]

    def select(self, places: Sequence[int]) -> MappedExamples:
        """The examples at these places, still mapped."""
        return MappedExamples(self._file, [self._rows[place] for place in places])

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> MappedExamples: ...
    def __getitem__(self, place: int | slice) -> Example | MappedExamples:
        if isinstance(place, slice):
            return MappedExamples(self._file, self._rows[place])
        return self._file.example(self._rows[place])


class MappedLabelled(Sequence[Labelled]):
    """Mapped examples with their targets."""

    def __init__(self, examples: MappedExamples, targets: Mapping[str, str]) -> None:
        self.examples, self._targets = examples, targets

    def select(self, places: Sequence[int]) -> MappedLabelled:
        """See `MappedExamples.select`."""
        return MappedLabelled(self.examples.select(places), self._targets)

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, place: int) -> Labelled: ...
    @overload
    def __getitem__(self, place: slice) -> MappedLabelled: ...
    def __getitem__(self, place: int | slice) -> Labelled | MappedLabelled:
        if isinstance(place, slice):
            return MappedLabelled(self.examples[place], self._targets)
        example = self.examples[place]
        return Labelled(example, self._targets[example.id])


def labelled_with(examples: Sequence[Example], targets: Mapping[str, str]) -> Sequence[Labelled]:
    """The examples with their targets: mapped where they are."""
    if isinstance(examples, MappedExamples):
        return MappedLabelled(examples, targets)
    return tuple(Labelled(example, targets[example.id]) for example in examples)


def ids_of(examples: Sequence[Example]) -> list[str]:
    """The ids, without reading texts where they are mapped."""
    return examples.ids if isinstance(examples, MappedExamples) else [example.id for example in examples]


def users_of(labelled: Sequence[Labelled]) -> list[str]:
    """The user of each, likewise."""
    return (
        labelled.examples.user_ids
        if isinstance(labelled, MappedLabelled)
        else [one.example.user_id for one in labelled]
    )


def select(labelled: Sequence[Labelled], places: Sequence[int]) -> Sequence[Labelled]:
    """Those at these places, in this order: mapped where all are."""
    return (
        labelled.select(places) if isinstance(labelled, MappedLabelled) else tuple(labelled[place] for place in places)
    )
