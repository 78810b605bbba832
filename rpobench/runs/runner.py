"""Runs a spec: fit or load, predict what is missing, score, save. Killed anywhere, it continues there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.evidence.source import RankedEvidence
from rpobench.method.answering import keep_licensed_texts_private, name_example_in_error
from rpobench.method.context import DraftStore, FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.models.protocol import LanguageModel, batch_size
from rpobench.registry import get_retriever
from rpobench.runs.drafts import CHUNK, FitDrafts, StoredDrafts
from rpobench.runs.environment import _note_used, _same_prompts, prompt_hashes
from rpobench.runs.fit_cost import FIT_COST, FitAttempt, fit_attempt, read_fit_cost
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.scoring.result import score
from rpobench.store.files import write_json
from rpobench.store.locks import locked
from rpobench.store.predictions import append_predictions, seconds_spent
from rpobench.store.processes import is_first, wait_for_all
from rpobench.store.result_store import ResultStore, claim
from rpobench.store.results import SCHEMA_VERSION, read_result
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.store.user_cache import cache_folder
from rpobench.task.contract import Task
from rpobench.terminal import show_progress
from rpobench.types import Example, Labelled, Prediction, RpobenchError


@dataclass(frozen=True)
class RunResult:
    """A finished run: its spec, where it is, and what `result.json` holds."""

    spec: RunSpec
    folder: Path
    result: Mapping[str, Any]


class Runner:
    """Carries out specs against one store and one base model. Without `texts` results ask readers to show none."""

    def __init__(self, store: ResultStore, base_model: LanguageModel, *, seed: int, texts: bool = True) -> None:
        self.store, self.base_model, self.seed, self.texts = store, base_model, seed, texts
        self._drafts = StoredDrafts(store, base_model)
        self._evidence = RankedEvidence(
            get_retriever, _reference_tokenizer, seed=seed, rankings_folder=cache_folder() / "orders"
        )

    def fit(self, method: Method, spec: FitSpec, train: Mapping[Task, Sequence[Labelled]]) -> Method:
        """The method as trained by this spec: loaded if it was finished before, else fitted and saved.

        Of several processes (`ranks`) all come here and fit, the first alone locks and writes.
        """
        folder = self.store.fit_folder(self.store.fit_digest(spec))
        checkpoint, work = folder / "checkpoint", folder / "work"
        with locked(folder) if is_first() else nullcontext():
            if is_first():
                claim(folder, spec)
            wait_for_all()
            if not checkpoint.exists():
                self._fit(method, folder, work, train)
            wait_for_all()
            if is_first():
                shutil.rmtree(work, ignore_errors=True)  # also what a kill after the rename left
        return type(method).load(checkpoint, method.config)

    def _fit(self, method: Method, folder: Path, work: Path, train: Mapping[Task, Sequence[Labelled]]) -> None:
        work.mkdir(parents=True, exist_ok=True)
        meter = self._drafts.meter
        with fit_attempt(folder / FIT_COST, work, method, meter) if is_first() else nullcontext() as attempt:
            method.fit(train, self._fit_context(train, work, attempt))
        if is_first():
            half = folder / "checkpoint.part"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            method.save(half)
            half.rename(folder / "checkpoint")

    def has_fit(self, spec: FitSpec) -> bool:
        """Whether this fit is finished."""
        return (self.store.fit_folder(self.store.fit_digest(spec)) / "checkpoint").exists()

    def finished(self, task: Task, data: DataSet, spec: RunSpec) -> RunResult | None:
        """The result that stands, None where the run is unfinished or examples are unanswered.

        Without `texts` it is marked so, and stays so.
        """
        folder = self.store.run_folder(spec)
        if not (folder / "result.json").exists():
            return None
        claim(folder, spec)
        _same_prompts(folder / "environment.json", data.sha256, prompt_hashes(task, data))
        result = read_result(folder / "result.json")
        if result.get("unanswered"):
            return None
        if result["texts"] and not self.texts:
            result["texts"] = False
            write_json(folder / "result.json", result)
        return RunResult(spec, folder, result)

    def run(self, method: Method, task: Task, data: DataSet, spec: RunSpec) -> RunResult:
        """Predict what is missing of `data`, score all of it, and save. Raises NoSwap before anything is written."""
        examples = [one.example for one in data.labelled]
        if spec.profiles == "swapped":
            examples = swap_profiles(examples, seed=spec.seed)
        folder = self.store.run_folder(spec)
        with locked(folder):
            if standing := self.finished(task, data, spec):
                return standing
            claim(folder, spec)
            _same_prompts(folder / "environment.json", data.sha256, prompt_hashes(task, data))
            self._evidence.rankings.expect(task, examples, f"{data.sha256}/{spec.profiles}/{spec.seed}")
            predictions = self._predict(method, task, examples, spec, folder)
            seconds = seconds_spent(folder / "predictions.jsonl")
            fit = read_fit_cost(self.store.fit_folder(spec.fit) / FIT_COST) if spec.fit else None
            result = score(task, data, predictions) | {
                "seconds": round(sum(seconds[key] for key in predictions), 3),
                "fit_seconds": fit.seconds if fit else None,
                **({"fit_tokens": fit.tokens} if fit and fit.tokens else {}),
                "texts": self.texts and (data.synthetic or not task.licensed),
                "schema": SCHEMA_VERSION,
                "synthetic": data.synthetic,
            }
            write_json(folder / "result.json", result)
            _tell_unanswered(folder.name, predictions)
        return RunResult(spec, folder, read_result(folder / "result.json"))

    def _predict(
        self, method: Method, task: Task, examples: Sequence[Example], spec: RunSpec, folder: Path
    ) -> dict[str, Prediction]:
        finished = {id_: one for id_, one in self.store.done(spec).items() if not one.unanswered}
        missing = [example for example in examples if example.id not in finished]
        context, size = self._predict_context(task), batch_size(self.base_model, CHUNK)
        label = f"{task.name} {method.name}{' swapped' if spec.profiles == 'swapped' else ''}"
        with show_progress(label, len(missing)) as advance:
            for start in range(0, len(missing), size):
                chunk, before = missing[start : start + size], self._drafts.meter.read()
                with name_example_in_error(task, chunk):
                    made = list(method.predict(task, chunk, context))
                _check_answered(method, chunk, made)
                made = self._with_draft_failures(task, chunk, made)
                charge = self._drafts.meter.charge_since(before)
                append_predictions(folder / "predictions.jsonl", made, seconds=charge.seconds)
                _note_used(folder / "environment.json", self._evidence.used())
                finished |= {prediction.example_id: prediction for prediction in made}
                advance(len(made))
        return {example.id: finished[example.id] for example in examples}

    def predict_rehearsal(self, model: LanguageModel, drafts: DraftStore, users: Path) -> PredictContext:
        """A context for estimates of predicting: real evidence, stand-ins for model and drafts."""
        return PredictContext(model, drafts, self._evidence, self.seed, users)

    def fit_rehearsal(self, model: LanguageModel, drafts: DraftStore, folder: Path) -> FitContext:
        """A context for estimates of fitting: real evidence, stand-ins for model and drafts."""
        return FitContext(model, drafts, self._evidence, self.seed, folder)

    def undrafted(self, task: Task, examples: Sequence[Example]) -> dict[str, Example]:
        """The examples whose drafts are yet to be made, by draft key."""
        return self._drafts.missing(task, examples)

    def open_examples(self, spec: RunSpec, examples: Sequence[Example]) -> list[Example]:
        """Those that this run has still to predict."""
        finished = {id_ for id_, one in self.store.done(spec).items() if not one.unanswered}
        return [example for example in examples if example.id not in finished]

    def _with_draft_failures(
        self, task: Task, examples: Sequence[Example], made: Sequence[Prediction]
    ) -> list[Prediction]:
        """A prediction that was made from a draft which the model never gave is none either."""
        failures = {example.id: self._drafts.no_answer(task, example) for example in examples}
        return [
            replace(one, failure=f"no draft: {failures[one.example_id]}", unanswered=True)
            if one.draft is not None and not one.unanswered and failures[one.example_id]
            else one
            for one in made
        ]

    def _fit_context(self, tasks: Iterable[Task], folder: Path, attempt: FitAttempt | None) -> FitContext:
        drafts = FitDrafts(self._drafts, attempt)
        model = keep_licensed_texts_private(self.base_model, tasks)
        return FitContext(model, drafts, self._evidence, self.seed, folder)

    def _predict_context(self, task: Task) -> PredictContext:
        model = keep_licensed_texts_private(self.base_model, [task])
        return PredictContext(model, self._drafts, self._evidence, self.seed, self.store.users_folder)


def _tell_unanswered(run: str, predictions: Mapping[str, Prediction]) -> None:
    failures = [prediction.failure for prediction in predictions.values() if prediction.unanswered]
    if failures:
        print(
            f"{run}: {len(failures)} of {len(predictions)} examples have no answer ({failures[0]}) and count as wrong; "
            "the same command asks them again",
            file=sys.stderr,
        )


def _check_answered(method: Method, examples: Sequence[Example], made: Sequence[Prediction]) -> None:
    asked, answered = [example.id for example in examples], [prediction.example_id for prediction in made]
    if sorted(asked) != sorted(answered):
        raise RpobenchError(
            f"method {method.name}: {len(answered)} predictions for {len(asked)} examples, or for others than asked: "
            "predict must yield one for each"
        )


def _reference_tokenizer() -> Any:
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    return reference_tokenizer()
