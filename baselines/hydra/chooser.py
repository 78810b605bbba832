"""Two judges around a black box: one orders the history that it is shown, one chooses among what it answers.

HYDRA (arXiv 2406.02888, sections 3.2 to 3.4). Its reranker learns whether the base model, shown one item alone, answers
well, which takes a call an item. Ours learns how good the item's own answer would be (`Task.score`), which takes none:
what a model is shown it tends to repeat. The scorer learns the scores of candidates and, for texts, that the user's own
answer is the best of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from rpobench.baselines.hydra.candidates import Candidates, propose
from rpobench.baselines.hydra.config import VERSION, ChooserConfig
from rpobench.baselines.hydra.judge import Head, Judge, JudgeTraining, Row
from rpobench.baselines.hydra.judged_rows import candidate_rows, item_rows
from safetensors.torch import load_file, save_file

from rpobench.method.config import UNCUT, EvidenceConfig, changed_knobs
from rpobench.method.context import Context, PredictContext
from rpobench.method.per_user import PartKey, find_part, keep_part, part_key, past_examples
from rpobench.models.encoder import Encoder
from rpobench.store.files import read_json, write_json
from rpobench.store.recorded import Called, recorded_config, recorded_profile, recorded_text
from rpobench.task.contract import Task
from rpobench.types import Completion, Evidence, Example, Labelled, Prediction, ProfileItem, Usage

FORMAT = 1  # raise it where the same judges and profile would give other heads
Items = Sequence[ProfileItem]
T = TypeVar("T")


@dataclass(frozen=True)
class Heads:
    """One user's heads of both judges, and what the base model was asked for them; `failure` as in `Completion`."""

    reranking: Head
    scoring: Head
    usage: Usage
    failure: str | None = None

    def save(self, folder: Path) -> None:
        """Write them in the folder, which exists."""
        save_file({"reranking": self.reranking, "scoring": self.scoring}, folder / "heads.safetensors")
        write_json(folder / "usage.json", asdict(self.usage))

    @classmethod
    def load(cls, folder: Path) -> Heads:
        """As `save` left them."""
        return cls(**load_file(folder / "heads.safetensors"), usage=Usage(**read_json(folder / "usage.json")))


@dataclass(frozen=True)
class Chooser:
    """Answers one task's examples by the base model of `context`, its evidence and its answer chosen for each user."""

    task: Task
    context: Context
    config: ChooserConfig
    reranker: Judge
    scorer: Judge

    def fit(self, labelled: Sequence[Labelled]) -> Usage:
        """Train both judges on these users' examples and on the past items of each; returns what was asked for it."""
        users = [[one, *self._past(one.example)] for one in labelled]
        queries = [query for own in users for query in own]
        examples, items = [query.example for query in queries], self._shortlists(queries)
        heads = self.reranker.fit(_by_user(users, _judged_items(self.task, queries, items)))
        shown = self._shown(examples, items, _each(users, heads))
        counts = [1 if place else self.config.n for own in users for place in range(len(own))]
        found = propose(self.task, examples, shown, self.context, counts=counts)
        self.scorer.fit(_by_user(users, _judged_candidates(self.task, queries, found, shown)))
        return sum((one.usage for one in found), Usage())

    def save(self, folder: Path) -> None:
        """Write both judges in the folder."""
        self.reranker.save(folder / "reranker")
        self.scorer.save(folder / "scorer")

    def predictions(self, examples: Sequence[Example]) -> list[Prediction]:
        """The chosen answer to each example, in order. A user's heads are charged to each of her examples."""
        heads = self._heads(examples)
        items = self._shortlists([Labelled(one, "") for one in examples])
        shown = self._shown(examples, items, [own.reranking for own in heads])
        found = propose(self.task, examples, shown, self.context, counts=[self.config.n] * len(examples))
        return [self._chosen(*one) for one in zip(examples, shown, found, heads, strict=True)]

    def _chosen(self, example: Example, shown: Evidence, found: Candidates, heads: Heads) -> Prediction:
        failure = found.failure or (heads.failure and f"no answer about the user's history ({heads.failure})")
        values = self.scorer.scores(candidate_rows(self.task, example, found, shown), heads.scoring)
        best = max(range(len(values)), key=values.__getitem__)
        raw = "" if failure else found.raws[best]
        made = self.context.read_prediction(self.task, example, Completion(raw, found.usage + heads.usage, failure))
        return replace(made, evidence=shown.ids, cut=shown.cut)

    def _heads(self, examples: Sequence[Example]) -> list[Heads]:
        """Each example's heads: kept from earlier, or learned now from its profile. Equal profiles share them."""
        assert isinstance(self.context, PredictContext)
        folder = self.context.users
        keys = [self._key(example) for example in examples]
        new = {key: example for key, example in zip(keys, examples, strict=True) if find_part(folder, key) is None}
        learned = dict(zip(new, self._learn([self._past(example) for example in new.values()]), strict=True))
        for key, heads in learned.items():
            if not heads.failure:
                keep_part(folder, key, heads.save)

        every_head = []
        for key in keys:
            part = find_part(folder, key)
            every_head.append(learned[key] if part is None else Heads.load(part))
        return every_head

    def _key(self, example: Example) -> PartKey:
        """The name of the heads that are learned from this example's profile."""
        task, seed, knobs = self.task, self.context.seed, changed_knobs(self.config)
        identities = (self.reranker.identity, self.scorer.identity, self.context.base_model.identity)
        content = [FORMAT, identities, [task.name, task.version, VERSION, knobs, seed], example.profile]

        judges_then = (self.reranker.recorded_identity, self.scorer.recorded_identity, self.context.base_model.identity)
        config_then = recorded_config("hydra", VERSION, self.config.model_dump(mode="json"), knobs)
        asked_then = (task.name, task.version, Called("Config", config_then), seed)
        then = (FORMAT, judges_then, asked_then, recorded_profile(example.profile))
        return part_key(content, recorded_text(then))

    def _learn(self, users: Sequence[Sequence[Labelled]]) -> list[Heads]:
        """The heads of users with these past examples."""
        queries = [query for own in users for query in own]
        examples, items = [query.example for query in queries], self._shortlists(queries)
        judged = _by_user(users, _judged_items(self.task, queries, items))
        reranking = [self.reranker.head(rows) for rows in judged]
        shown = self._shown(examples, items, _each(users, reranking))
        found = propose(self.task, examples, shown, self.context, counts=[1] * len(queries))
        judged = _by_user(users, _judged_candidates(self.task, queries, found, shown))
        scoring = [self.scorer.head(rows) for rows in judged]
        return [_heads_of(*one) for one in zip(reranking, scoring, _split(users, found), strict=True)]

    def _past(self, example: Example) -> list[Labelled]:
        return past_examples(self.task, example, limit=self.config.history, seed=self.context.seed)

    def _shortlists(self, queries: Sequence[Labelled]) -> list[Items]:
        """The retriever's best items for each query, whole."""
        found = self.context.evidence(
            self.task,
            [query.example for query in queries],
            retriever=self.config.retriever,
            limits=EvidenceConfig(k=self.config.shortlist, max_prompt_tokens=UNCUT),
        )
        return [one.items for one in found]

    def _shown(self, examples: Sequence[Example], items: Sequence[Items], heads: Sequence[Head]) -> list[Evidence]:
        """The reranker's best items of each shortlist, cut as everybody's."""
        chosen = []
        for example, own, head in zip(examples, items, heads, strict=True):
            values = self.reranker.scores(item_rows(self.task, example, own), head)
            ranked = sorted(zip(values, own, strict=True), key=lambda pair: -pair[0])
            chosen.append([item for _, item in ranked[: self.config.k]])
        return self.context.evidence_source.cut_to_budget(self.task, examples, chosen, self.config)


def open_chooser(folder: Path, task: Task, context: Context, config: ChooserConfig, encoder: Encoder) -> Chooser:
    """With the judges that were saved in the folder; untrained ones where there are none."""
    training = JudgeTraining(config.width, config.steps, config.learning_rate, config.shrinkage, context.seed)
    reranker, scorer = (
        Judge.load(place, encoder, training) if place.exists() else Judge(encoder, training)
        for place in (folder / "reranker", folder / "scorer")
    )
    return Chooser(task, context, config, reranker, scorer)


def _heads_of(reranking: Head, scoring: Head, asked: Sequence[Candidates]) -> Heads:
    failure = next((one.failure for one in asked if one.failure), None)
    return Heads(reranking, scoring, sum((one.usage for one in asked), Usage()), failure)


def _judged_items(task: Task, queries: Sequence[Labelled], items: Sequence[Items]) -> list[list[Row]]:
    return [item_rows(task, one.example, own, one.target) for one, own in zip(queries, items, strict=True)]


def _judged_candidates(
    task: Task, queries: Sequence[Labelled], found: Sequence[Candidates], shown: Sequence[Evidence]
) -> list[list[Row]]:
    return [
        candidate_rows(task, one.example, own, evidence, one.target)
        for one, own, evidence in zip(queries, found, shown, strict=True)
    ]


def _split(users: Sequence[Sequence[Labelled]], of_queries: Iterable[T]) -> list[list[T]]:
    """What belongs to each query, given in the order of all users' queries, by user."""
    rest = iter(of_queries)
    return [[next(rest) for _ in own] for own in users]


def _by_user(users: Sequence[Sequence[Labelled]], rows: Sequence[Sequence[Row]]) -> list[list[Row]]:
    return [[row for part in own for row in part] for own in _split(users, rows)]


def _each(users: Sequence[Sequence[Labelled]], heads: Sequence[Head]) -> list[Head]:
    """The user's head for every one of her queries."""
    return [head for head, own in zip(heads, users, strict=True) for _ in own]
