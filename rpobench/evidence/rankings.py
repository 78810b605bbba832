"""Rankings of profiles: each profile is ranked once and remembered, and large sets are kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from rpobench.evidence.pool import Job, rank_jobs
from rpobench.evidence.retrievers import Retriever
from rpobench.store.files import write_bytes
from rpobench.store.identity import content_of
from rpobench.task.contract import Task
from rpobench.terminal import show_progress
from rpobench.types import Example, RpobenchError

MANY_ITEMS = 2_000  # of a data set, from which on rankings go to disk: fewer are ranked faster than they are read
STEP = 100  # profiles between two moves of a progress bar


@dataclass
class Rankings:
    """Ranks profiles: for each one, the indices of its items, best first.

    A kept file holds indices and hashes, never a text. It is named by data, task, retriever and seed.

    Attributes:
        seed: For retrievers that draw lots.
        folder: Where the rankings of large sets are kept; None keeps none.
    """

    seed: int
    folder: Path | None = None
    _expected: dict[str, _ExpectedExamples] = field(default_factory=dict)
    _rankings_by_key: dict[tuple[str, str, bytes], Sequence[int]] = field(default_factory=dict)

    def expect(self, task: Task, examples: Sequence[Example], data_name: str) -> None:
        """Announce examples that will be asked for in parts: the first call of `rank` then ranks all of them.

        Args:
            task: The task of the examples.
            examples: All that will be asked for.
            data_name: A name of these examples and all that is in them, such as a sha256.
        """
        indices = {example.id: index for index, example in enumerate(examples)}

        self._expected[task.name] = _ExpectedExamples(examples, indices, data_name)

    def rank(self, task: Task, examples: Sequence[Example], retriever: Retriever) -> list[Sequence[int]]:
        """Rank the profile of each example.

        Args:
            task: Words the query and the items.
            examples: Whose profiles are ranked.
            retriever: What ranks them.

        Returns:
            For each example every index of its own profile, best first.
        """
        expected = self._expected.get(task.name)
        if expected is None or not all(expected.contains(example) for example in examples):
            return self._rank_unexpected(task, examples, retriever)

        if retriever.identity not in expected.rankings:
            rankings = self.rank_data_set(task, expected.examples, retriever, expected.data_name)
            expected.rankings[retriever.identity] = rankings

        rankings = expected.rankings[retriever.identity]
        return [rankings[expected.indices[example.id]] for example in examples]

    def rank_data_set(
        self, task: Task, examples: Sequence[Example], retriever: Retriever, data_name: str
    ) -> Sequence[Sequence[int]]:
        """Rank all examples of a data set: read from disk where they were ranked before, else ranked and kept there.

        Args:
            task: Words the query and the items.
            examples: All examples of the data set.
            retriever: What ranks their profiles.
            data_name: A name of these examples and all that is in them, such as a sha256.

        Returns:
            For each example every index of its own profile, best first.

        Raises:
            RpobenchError: The file on disk is damaged.
        """
        item_count = sum(len(example.profile) for example in examples)
        if self.folder is None or item_count < MANY_ITEMS:
            return self._rank_now(task, examples, retriever, item_count)

        key = f"{data_name}/{task.prompt_versioned}/{content_of(retriever.identity)}/{self.seed}"
        file = self.folder / f"{task.name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
        if file.exists():
            return read_rankings(file)

        rankings = self._rank_now(task, examples, retriever, item_count)
        write_rankings(file, rankings)

        return rankings

    def _rank_unexpected(self, task: Task, examples: Sequence[Example], retriever: Retriever) -> list[Sequence[int]]:
        """The rankings of examples that nobody announced: they are named by what the retriever reads of them."""
        keys = []
        missing_keys, missing_examples = [], []
        missing_digests = hashlib.sha256()

        for example in examples:
            digest = self._job(task, example).digest()
            key = (task.name, retriever.identity, digest)
            keys.append(key)
            if key not in self._rankings_by_key:
                missing_keys.append(key)
                missing_examples.append(example)
                missing_digests.update(digest)

        rankings = self.rank_data_set(task, missing_examples, retriever, missing_digests.hexdigest())
        for key, ranking in zip(missing_keys, rankings, strict=True):
            self._rankings_by_key[key] = ranking

        return [self._rankings_by_key[key] for key in keys]

    def _rank_now(
        self, task: Task, examples: Sequence[Example], retriever: Retriever, item_count: int
    ) -> list[Sequence[int]]:
        """The rankings of these examples, made here and now; with a progress bar where there is much to rank."""
        jobs = (self._job(task, example) for example in examples)  # a generator: all of them would fill the memory
        bar_length = len(examples) if item_count >= MANY_ITEMS else 0

        with show_progress(f"{task.name} {retriever.identity}", bar_length) as advance:
            return list(_advance_bar(rank_jobs(retriever, jobs, item_count), advance))

    def _job(self, task: Task, example: Example) -> Job:
        """What a retriever reads of an example."""
        return Job(
            task.retrieval_query(example),
            [task.retrieval_text(item) for item in example.profile],
            [item.date for item in example.profile],
            f"{self.seed}/{task.name}/{example.id}",
        )


@dataclass
class _ExpectedExamples:
    """Examples that will be asked for, and their rankings by retriever once they were made."""

    examples: Sequence[Example]
    indices: dict[str, int]  # by example id
    data_name: str
    rankings: dict[str, Sequence[Sequence[int]]] = field(default_factory=dict)  # by the retriever's identity

    def contains(self, example: Example) -> bool:
        """Whether it is the very same example: another may have its id and a swapped profile."""
        index = self.indices.get(example.id)
        return index is not None and self.examples[index] is example


def _advance_bar(rankings: Iterable[Sequence[int]], advance: Callable[[int], None]) -> Iterator[Sequence[int]]:
    """The same rankings; each `STEP` of them, and the rest in the end, move the bar on."""
    count = 0
    for count, ranking in enumerate(rankings, start=1):
        yield ranking
        if count % STEP == 0:
            advance(STEP)

    if count % STEP:
        advance(count % STEP)


def read_rankings(file: Path) -> list[Sequence[int]]:
    """Read what `write_rankings` wrote.

    Args:
        file: An .npz file.

    Returns:
        The rankings, each with every index of one profile, best first.

    Raises:
        RpobenchError: The file is damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            indices, ends = arrays["places"].tolist(), arrays["ends"].tolist()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RpobenchError(f"{file}: is damaged ({error}): delete it, it is made again") from error

    rankings = []
    start = 0
    for end in ends:
        rankings.append(indices[start:end])
        start = end

    return rankings


def write_rankings(file: Path, rankings: Sequence[Sequence[int]]) -> None:
    """Write rankings to an .npz file: the whole file or nothing.

    Args:
        file: Where they are kept.
        rankings: Indices of one profile each. The file has them end to end in `places`, and where each ends in `ends`.
    """
    indices = np.fromiter(chain.from_iterable(rankings), np.int32)
    ends = np.cumsum([len(ranking) for ranking in rankings], dtype=np.int64)

    buffer = BytesIO()
    np.savez_compressed(buffer, places=indices, ends=ends)
    write_bytes(file, buffer.getvalue())
