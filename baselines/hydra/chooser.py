"""Two judges around a black box: one ranks the history that it is shown, one chooses among what it answers.

HYDRA (arXiv 2406.02888, sections 3.2 to 3.4). Its reranker learns whether the base model, shown one item alone, answers
well, which takes a call an item. Ours learns how good the item's own answer would be (`Task.score`), which takes no
call: what a model is shown it tends to repeat. The scorer learns the scores of candidates and, for texts, that the
user's own answer is the best of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rpobench.baselines.hydra.candidates import Candidates, propose_candidates
from rpobench.baselines.hydra.config import VERSION, ChooserConfig
from rpobench.baselines.hydra.heads import Heads
from rpobench.baselines.hydra.judge import Head, Judge, JudgeTraining
from rpobench.baselines.hydra.rows import candidate_rows, item_rows
from rpobench.baselines.hydra.user_queries import UserQueries

from rpobench.api import (
    UNCUT,
    Completion,
    Evidence,
    EvidenceConfig,
    Example,
    FitContext,
    Labelled,
    PredictContext,
    Prediction,
    ProfileItem,
    Task,
    Usage,
    build_past_examples,
    keep_part,
    name_part,
    total_usage,
)
from rpobench.method.config import changed_knobs
from rpobench.method.context import Context
from rpobench.method.per_user import PartKey, find_part
from rpobench.models.encoder import Encoder
from rpobench.store.identity import content_of, former_identity
from rpobench.store.recorded import RecordedObject, recorded_config, recorded_profile, recorded_text

FORMAT = 1  # raise it where the same judges and profile would give other heads
RERANKER = "reranker"
SCORER = "scorer"


@dataclass(frozen=True)
class Chooser:
    """Answers one task's examples: its judges choose the evidence and the answer for each user.

    Attributes:
        task: The task.
        config: The knobs of the method.
        reranker: Judges past items, to show the best of them.
        scorer: Judges candidates, to answer with the best of them.
    """

    task: Task
    config: ChooserConfig
    reranker: Judge
    scorer: Judge

    def fit(self, labelled: Sequence[Labelled], context: FitContext) -> Usage:
        """Train both judges on users' examples and on the past items of each.

        Args:
            labelled: One example a training user.
            context: Lends the base model, whose answers the scorer learns from.

        Returns:
            What the base model was asked for it.
        """
        by_user = []
        for query in labelled:
            by_user.append([query, *self._past_examples(query.example, context.seed)])
        queries = UserQueries(self.task, by_user)

        # The reranker learns from the answers in past items.
        shortlists = self._shortlist(queries.examples, context)
        heads = self.reranker.fit(queries.item_rows(shortlists))

        # The scorer learns from what the base model answers after reranked evidence: `n` candidates for a user's
        # example, one for each of her past items.
        evidence = self._rerank(queries.examples, shortlists, queries.repeat(heads), context)
        counts = []
        for user_queries in by_user:
            counts += [self.config.n] + [1] * (len(user_queries) - 1)

        candidates = propose_candidates(self.task, queries.examples, evidence, context, counts=counts)
        self.scorer.fit(queries.candidate_rows(candidates, evidence))

        return total_usage(candidates)

    def save(self, folder: Path) -> None:
        """Write both judges in the folder."""
        self.reranker.save(folder / RERANKER)
        self.scorer.save(folder / SCORER)

    @classmethod
    def load(cls, folder: Path, task: Task, config: ChooserConfig, encoder: Encoder, *, seed: int) -> Chooser:
        """Return a chooser with the judges that were saved in the folder; untrained ones where there are none.

        Args:
            folder: The folder of `save`.
            task: What it answers.
            config: The knobs of the method.
            encoder: Makes the vectors that the judges read.
            seed: Of the judges' training.
        """
        training = JudgeTraining(config.width, config.steps, config.learning_rate, config.shrinkage, seed)

        judges = []
        for judge_folder in (folder / RERANKER, folder / SCORER):
            if judge_folder.exists():
                judges.append(Judge.load(judge_folder, encoder, training))
            else:
                judges.append(Judge(encoder, training))

        return cls(task, config, *judges)

    def predict(self, examples: Sequence[Example], context: PredictContext) -> list[Prediction]:
        """Choose the answer to each example, in order. A user's heads are charged to each of her examples."""
        heads = self._get_heads(examples, context)

        shortlists = self._shortlist(examples, context)
        reranking_heads = [user_heads.reranking for user_heads in heads]
        evidence = self._rerank(examples, shortlists, reranking_heads, context)

        counts = [self.config.n] * len(examples)
        candidates = propose_candidates(self.task, examples, evidence, context, counts=counts)

        predictions = []
        for index, example in enumerate(examples):
            completion = self._choose_answer(example, evidence[index], candidates[index], heads[index])
            prediction = context.read_prediction(self.task, example, completion)
            predictions.append(replace(prediction, evidence=evidence[index].ids, cut=evidence[index].cut))

        return predictions

    def _choose_answer(self, example: Example, evidence: Evidence, candidates: Candidates, heads: Heads) -> Completion:
        """The best candidate by the scorer, charged with all that was asked for it."""
        failure = candidates.failure
        if not failure and heads.failure:
            failure = f"no answer about the user's history ({heads.failure})"

        rows = candidate_rows(self.task, example, candidates, evidence)
        scores = self.scorer.score(rows, heads.scoring)
        best = max(range(len(scores)), key=scores.__getitem__)

        text = "" if failure else candidates.raws[best]
        return Completion(text, candidates.usage + heads.usage, failure, candidates.permanent)

    def _get_heads(self, examples: Sequence[Example], context: PredictContext) -> list[Heads]:
        """Each example's heads: kept from earlier, or learned now from its profile. Equal profiles share them."""
        keys = [self._part_key(example, context) for example in examples]

        new_examples = {}
        for key, example in zip(keys, examples, strict=True):
            if find_part(context.users, key) is None:
                new_examples[key] = example

        new_heads = self._learn_heads(list(new_examples.values()), context)
        new_heads_by_key = dict(zip(new_examples, new_heads, strict=True))
        for key, user_heads in new_heads_by_key.items():
            if not user_heads.failure:
                keep_part(context.users, key, user_heads.save)

        heads = []
        for key in keys:
            part = find_part(context.users, key)
            heads.append(new_heads_by_key[key] if part is None else Heads.load(part))

        return heads

    def _part_key(self, example: Example, context: Context) -> PartKey:
        """The name of the heads that are learned from this example's profile."""
        task, knobs = self.task, changed_knobs(self.config)
        base_model = context.base_model.identity
        identities = (self.reranker.identity, self.scorer.identity, content_of(base_model))
        content = [FORMAT, identities, [task.name, task.prompt_version, VERSION, knobs, context.seed], example.profile]

        recorded_judges = (self.reranker.recorded_identity, self.scorer.recorded_identity, former_identity(base_model))
        recorded_knobs = recorded_config("hydra", VERSION, self.config.model_dump(mode="json"), knobs)
        recorded_task = (task.name, task.prompt_version, RecordedObject("Config", recorded_knobs), context.seed)
        recorded_content = (FORMAT, recorded_judges, recorded_task, recorded_profile(example.profile))

        return name_part(content, recorded_text(recorded_content))

    def _learn_heads(self, examples: Sequence[Example], context: PredictContext) -> list[Heads]:
        """The heads of these examples' users, from the past items of each; the trunks stay as they are."""
        by_user = [self._past_examples(example, context.seed) for example in examples]
        queries = UserQueries(self.task, by_user)

        shortlists = self._shortlist(queries.examples, context)
        reranking = [self.reranker.learn_head(rows) for rows in queries.item_rows(shortlists)]

        evidence = self._rerank(queries.examples, shortlists, queries.repeat(reranking), context)
        counts = [1] * len(queries.examples)
        candidates = propose_candidates(self.task, queries.examples, evidence, context, counts=counts)
        scoring = [self.scorer.learn_head(rows) for rows in queries.candidate_rows(candidates, evidence)]

        heads = []
        for reranking_head, scoring_head, answers in zip(reranking, scoring, queries.group(candidates), strict=True):
            heads.append(Heads.from_candidates(reranking_head, scoring_head, answers))

        return heads

    def _past_examples(self, example: Example, seed: int) -> list[Labelled]:
        return build_past_examples(self.task, example, limit=self.config.history, seed=seed)

    def _shortlist(self, examples: Sequence[Example], context: Context) -> list[Sequence[ProfileItem]]:
        """The retriever's best items for each example, uncut."""
        limits = EvidenceConfig(k=self.config.shortlist, max_prompt_tokens=UNCUT)
        evidence = context.choose_evidence(self.task, examples, retriever=self.config.retriever, limits=limits)

        return [shortlist.items for shortlist in evidence]

    def _rerank(
        self,
        examples: Sequence[Example],
        shortlists: Sequence[Sequence[ProfileItem]],
        heads: Sequence[Head],
        context: Context,
    ) -> list[Evidence]:
        """The reranker's best items of each shortlist, cut as for every method."""
        best_items = []
        for example, items, head in zip(examples, shortlists, heads, strict=True):
            scores = self.reranker.score(item_rows(self.task, example, items), head)
            ranking = sorted(range(len(items)), key=scores.__getitem__, reverse=True)  # ties keep the retriever's order
            best_items.append([items[index] for index in ranking[: self.config.k]])

        return context.evidence_source.cut_to_budget(self.task, examples, best_items, self.config)
