"""The order of each profile: ranked once, remembered, and for large sets kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from rpobench.evidence.pool import Job, rank_all
from rpobench.evidence.retrievers import Retriever
from rpobench.store.files import write_bytes
from rpobench.task.contract import Task
from rpobench.terminal import progress
from rpobench.types import Example, RpobenchError

KEPT_FROM = 2_000  # items; what is less is ranked anew sooner than it is found
STEP = 100  # profiles between two moves of a progress bar


@dataclass
class Orders:
    """Orders of profiles. `seed` is for rankers that draw lots; `folder` keeps large sets, None keeps none.

    A kept file holds places and hashes, never a text, and is named by data, task, retriever and seed.
    """

    seed: int
    folder: Path | None = None
    _expected: dict[str, _Expected] = field(default_factory=dict)
    _known: dict[tuple[str, str, bytes], Sequence[int]] = field(default_factory=dict)

    def expect(self, task: Task, examples: Sequence[Example], data: str) -> None:
        """Say which examples will be asked for one after another: the first question then ranks all of them.

        `data` names these examples and all that is in them, such as a sha256.
        """
        self._expected[task.name] = _Expected(examples, {one.id: place for place, one in enumerate(examples)}, data)

    def of(self, task: Task, examples: Sequence[Example], ranker: Retriever) -> list[Sequence[int]]:
        """Every place of each example's own profile, best first."""
        expected = self._expected.get(task.name)
        if expected is None or not all(map(expected.holds, examples)):
            return self._of_unnamed(task, examples, ranker)
        if ranker.identity not in expected.orders:
            expected.orders[ranker.identity] = self.together(task, expected.examples, ranker, expected.data)
        return [expected.orders[ranker.identity][expected.places[example.id]] for example in examples]

    def together(
        self, task: Task, examples: Sequence[Example], ranker: Retriever, data: str
    ) -> Sequence[Sequence[int]]:
        """The same for all examples of the data of this name: found on disk, or ranked now and kept there."""
        items = sum(len(example.profile) for example in examples)
        if self.folder is None or items < KEPT_FROM:
            return self._ranked(task, examples, ranker, items)
        named = f"{data}/{task.name}@{task.version}/{ranker.identity}/{self.seed}"
        file = self.folder / f"{task.name}-{hashlib.sha256(named.encode()).hexdigest()[:24]}.npz"
        if file.exists():
            return read_orders(file)
        orders = self._ranked(task, examples, ranker, items)
        write_orders(file, orders)
        return orders

    def _of_unnamed(self, task: Task, examples: Sequence[Example], ranker: Retriever) -> list[Sequence[int]]:
        """For examples that nobody named: what the ranker is given is their name."""
        names = [(task.name, ranker.identity, self._job(task, example).digest()) for example in examples]
        missing = [place for place, name in enumerate(names) if name not in self._known]
        data = hashlib.sha256(b"".join(names[place][2] for place in missing)).hexdigest()
        orders = self.together(task, [examples[place] for place in missing], ranker, data)
        self._known.update(zip((names[place] for place in missing), orders, strict=True))
        return [self._known[name] for name in names]

    def _ranked(self, task: Task, examples: Sequence[Example], ranker: Retriever, items: int) -> list[Sequence[int]]:
        """Ranked now, with a progress bar where it takes longer."""
        # Held one at a time: they may be mapped.
        jobs = (self._job(task, example) for example in examples)
        with progress(f"{task.name} {ranker.identity}", len(examples) if items >= KEPT_FROM else 0) as advance:
            return list(_counted(rank_all(ranker, jobs, items), advance))

    def _job(self, task: Task, example: Example) -> Job:
        return Job(
            task.retrieval_query(example),
            [task.retrieval_text(item) for item in example.profile],
            [item.date for item in example.profile],
            f"{self.seed}/{task.name}/{example.id}",
        )


@dataclass
class _Expected:
    """Examples that will be asked for, and their orders by retriever once one was."""

    examples: Sequence[Example]
    places: dict[str, int]
    data: str
    orders: dict[str, Sequence[Sequence[int]]] = field(default_factory=dict)

    def holds(self, example: Example) -> bool:
        """Whether it is the very example: another may have its id and a swapped profile."""
        place = self.places.get(example.id)
        return place is not None and self.examples[place] is example


def _counted(orders: Iterable[Sequence[int]], advance: Callable[[int], None]) -> Iterator[Sequence[int]]:
    done = 0
    for done, order in enumerate(orders, start=1):
        yield order
        if done % STEP == 0:
            advance(STEP)
    if done % STEP:
        advance(done % STEP)


def read_orders(file: Path) -> list[Sequence[int]]:
    """What `write_orders` wrote. Raises RpobenchError where the file is damaged."""
    try:
        with np.load(file, allow_pickle=False) as held:
            places, ends = held["places"].tolist(), held["ends"].tolist()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RpobenchError(f"{file}: is damaged ({error}): delete it, it is made again") from error
    return [places[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def write_orders(file: Path, orders: Sequence[Sequence[int]]) -> None:
    """Keep orders: the whole file or nothing."""
    packed = BytesIO()
    places = np.fromiter((place for order in orders for place in order), np.int32)
    np.savez_compressed(packed, places=places, ends=np.cumsum([len(order) for order in orders], dtype=np.int64))
    write_bytes(file, packed.getvalue())
