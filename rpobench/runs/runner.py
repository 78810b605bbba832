"""Runs a spec: fit or load, predict what is missing, score, save. Killed anywhere, it continues there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.data.lazy_examples import list_ids, select_examples
from rpobench.evidence.source import RankedEvidence
from rpobench.method.answering import TextPrivacy, name_example_in_error
from rpobench.method.code import MethodCode
from rpobench.method.context import DraftStore, FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.method.declaration import check_predictions
from rpobench.method.left_out import LeftOut
from rpobench.models.protocol import LanguageModel, batch_size, same_identity, tell_of_earlier_answers
from rpobench.registry import get_retriever
from rpobench.runs.changed_code import check_fit_code, check_run_code
from rpobench.runs.drafts import CHUNK, FitDrafts, StoredDrafts
from rpobench.runs.environment import (
    ENVIRONMENT,
    claim_environment,
    hash_prompts,
    note_evidence_identities,
    note_fit_environment,
)
from rpobench.runs.fit_cost import FitAttempt, fit_attempt, read_fit_cost
from rpobench.runs.former_readings import refuse_former_reading
from rpobench.runs.refusals import RefusalLimits, report_unanswered
from rpobench.runs.seeds import SeedlessPredictContext, depends_on_seed
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.scoring.result import describe_origin, is_licensed, score
from rpobench.store.files import write_json
from rpobench.store.locks import locked
from rpobench.store.predictions import append_predictions, read_seconds
from rpobench.store.processes import is_first, wait_for_all
from rpobench.store.result_store import ResultStore, claim
from rpobench.store.results import SCHEMA_VERSION
from rpobench.store.spec import FitSpec, RunSpec
from rpobench.store.stored_run import FIT_COST, StoredRun
from rpobench.store.user_cache import cache_folder
from rpobench.store.whole_folder import whole_folder
from rpobench.task.contract import Task
from rpobench.terminal import show_progress
from rpobench.types import Example, Labelled, Prediction, RpobenchError


class Runner:
    """Carries out specs against one store and one base model.

    Args:
        store: Where runs and fits are kept.
        base_model: The model that is personalized.
        seed: The seed of everything that is drawn: training, sampling, swapping and random evidence.
        texts: Whether `rpobench show` and reports may show the texts of the results.
        limits: What becomes of examples that the model does not answer.
        label: What the rows of the runs are called; an empty one takes an earlier label away, None leaves it.
        code: The code of the method that is run, which runs and fits note; None where it is not to be noted.
        free_tasks: The names of tasks whose data says itself under which licence it is.
    """

    def __init__(
        self,
        store: ResultStore,
        base_model: LanguageModel,
        *,
        seed: int,
        texts: bool = True,
        limits: RefusalLimits | None = None,
        label: str | None = None,
        code: MethodCode | None = None,
        free_tasks: Iterable[str] = (),
    ) -> None:
        self.store = store
        self.code = code
        self.base_model = base_model
        self.seed = seed
        self.texts = texts
        self.limits = limits or RefusalLimits()
        self.label = label
        self.privacy = TextPrivacy(frozenset(free_tasks))

        self._drafts = StoredDrafts(store, base_model, self.limits.asks_again, self.privacy)
        tell_of_earlier_answers(base_model, self._has_earlier_answers)
        self._evidence = RankedEvidence(
            get_retriever, _load_reference_tokenizer, seed=seed, rankings_folder=cache_folder() / "orders"
        )

    def fit(self, method: Method, spec: FitSpec, train: Mapping[Task, Sequence[Labelled]]) -> Method:
        """Fit a method, or load it where it was fitted before.

        Of several processes of one launch all come here and fit; the first alone locks and writes.

        Args:
            method: The method, not fitted.
            spec: What is fitted.
            train: The training examples of each task.

        Returns:
            The fitted method.
        """
        folder = self.store.fit_folder(self.store.fit_digest(spec))

        with locked(folder) if is_first() else nullcontext():
            if is_first():
                note_fit_environment(folder, self.code, self.privacy.free_tasks)
                claim(folder, spec)
            wait_for_all()
            check_fit_code(self.store, spec, self.code)

            if not (folder / "checkpoint").exists():
                self._fit(method, folder, train)
            wait_for_all()

            if is_first():
                shutil.rmtree(folder / "work", ignore_errors=True)  # also what a kill after the rename left

        return type(method).load(folder / "checkpoint", method.config)

    def has_fit(self, spec: FitSpec) -> bool:
        """Say whether the fit with this spec is finished."""
        return (self.store.fit_folder(self.store.fit_digest(spec)) / "checkpoint").exists()

    def users_folder(self, method: Method) -> Path:
        """Find the folder of what a method's code learned of single users."""
        folder = self.store.users_folder
        return folder / f"{method.name}-{self.code.key}" if self.code else folder

    def find_finished(self, task: Task, data: DataSet, spec: RunSpec) -> StoredRun | None:
        """Find a finished run.

        Where this runner is to show no texts, the stored result is marked so first. The mark stays. A result of an
        earlier version also gets what the data says of where it comes from.

        Args:
            task: The task.
            data: The scored examples.
            spec: What describes the run.

        Returns:
            The run; None where it is unfinished, or examples are to be asked again.

        Raises:
            RpobenchError: The run was made by other code or with other prompts, an earlier version of the task read its
                answers, or its folder is another run's.
        """
        check_run_code(self.store, spec, self.code)
        folder = self.store.run_folder(spec)
        if not (folder / "result.json").exists():
            packed_run = self.store.find_packed(spec)
            self._check_label(packed_run)
            if packed_run is None and not folder.exists():
                refuse_former_reading(self.store, task, spec)
            return packed_run

        self._claim(folder, task, data, spec)
        run = self.store.load(folder)
        if run.result.unanswered and not all(map(self.limits.is_settled, run.predictions().values())):
            return None

        changes: dict[str, Any] = {} if run.result.origin else describe_origin(data)
        if run.result.texts and not self.texts:
            changes["texts"] = False
        return self._change_result(run, changes) if changes else run

    def run(self, method: Method, task: Task, data: DataSet, spec: RunSpec) -> StoredRun:
        """Predict what is missing, score all of it, and save.

        Args:
            method: The method, fitted if it trains.
            task: The task.
            data: The scored examples.
            spec: What describes the run.

        Returns:
            The finished run.

        Raises:
            NoSwap: The profiles cannot be swapped; nothing is written then.
            RpobenchError: Something else is wrong; what was predicted before stays.
        """
        examples = list(data.examples)
        if spec.profiles == "swapped":
            examples = swap_profiles(examples, seed=spec.seed)

        folder = self.store.run_folder(spec)
        with locked(folder):
            finished_run = self.find_finished(task, data, spec)
            if finished_run:
                return finished_run

            self._claim(folder, task, data, spec)
            self._evidence.rankings.expect(task, examples, f"{data.sha256}/{spec.profiles}/{spec.seed}")
            predictions = self._predict(method, task, examples, spec)

            write_json(folder / "result.json", self._score(task, data, spec, predictions))
            report_unanswered(folder.name, predictions)

        return self.store.load(folder)

    def find_missing_examples(self, spec: RunSpec, examples: Sequence[Example]) -> Sequence[Example]:
        """Find the examples that a run has still to predict.

        Args:
            spec: What describes the run.
            examples: All its examples.

        Returns:
            Those without a prediction, and those that are to be asked again.
        """
        predictions = self._read_settled(spec)

        positions = [
            position for position, example_id in enumerate(list_ids(examples)) if example_id not in predictions
        ]
        return select_examples(examples, positions)

    def find_undrafted(self, task: Task, examples: Iterable[Example]) -> dict[str, Example]:
        """Find the drafts that are yet to be made.

        Args:
            task: The task.
            examples: The examples that need a draft.

        Returns:
            An example for each missing draft, by the draft's key, without its profile; equal prompts share a draft.
        """
        return self._drafts.find_missing(task, examples)

    def make_fit_rehearsal(self, method: Method, model: LanguageModel, drafts: DraftStore, folder: Path) -> FitContext:
        """Make a context in which a method rehearses `fit`, so that its calls can be counted.

        Args:
            method: The method.
            model: Stands in for the base model.
            drafts: Stand in for its drafts.
            folder: Where the method may write.

        Returns:
            The context. Its evidence is real.
        """
        return FitContext(model, drafts, self._evidence, self.seed, folder, evidence_limits=method.evidence_limits)

    def make_predict_context(
        self, method: Method, model: LanguageModel, drafts: DraftStore, users: Path
    ) -> PredictContext:
        """Make the context in which a method predicts, or rehearses it so that its calls can be counted.

        Args:
            method: The method.
            model: The base model, or what stands in for it.
            drafts: Its drafts, or what stands in for them.
            users: Where the method may write what it learns of single users.

        Returns:
            The context. Its evidence is real.
        """
        make_context = PredictContext if depends_on_seed(method) else SeedlessPredictContext
        return make_context(model, drafts, self._evidence, self.seed, users, evidence_limits=method.evidence_limits)

    def _change_result(self, run: StoredRun, changes: Mapping[str, Any]) -> StoredRun:
        """Set fields of a run's stored result that are no scores, and return the run as it then is."""
        write_json(run.folder / "result.json", {**run.result.to_json(), **changes})

        return self.store.load(run.folder)

    def _fit(self, method: Method, folder: Path, train: Mapping[Task, Sequence[Labelled]]) -> None:
        """Fit a method, and put its checkpoint into the folder of the fit when it is complete."""
        work = folder / "work"
        work.mkdir(parents=True, exist_ok=True)
        if not is_first():  # the others only train: the first one notes the cost and saves
            left_out = LeftOut(self.limits.most_left_out)
            method.fit(train, self._make_fit_context(method, train, work, left_out, None))
            return

        left_out = self._open_left_out(work)
        with (
            self._drafts.notes.noted_in(folder / ENVIRONMENT),
            fit_attempt(folder / FIT_COST, work, method, self._drafts.meter, left_out) as attempt,
        ):
            method.fit(train, self._make_fit_context(method, train, work, left_out, attempt))
        with whole_folder(folder / "checkpoint") as checkpoint:
            method.save(checkpoint)

    def _open_left_out(self, work: Path) -> LeftOut:
        """What an earlier attempt at the fit left out; nothing where all is asked again."""
        file = work / "left_out.json"
        if self.limits.asks_again:
            file.unlink(missing_ok=True)
        return LeftOut(self.limits.most_left_out, file)

    def _make_fit_context(
        self, method: Method, tasks: Iterable[Task], folder: Path, left_out: LeftOut, attempt: FitAttempt | None
    ) -> FitContext:
        drafts = FitDrafts(self._drafts, attempt, left_out)
        model = self.privacy.restrict(self.base_model, tasks)
        limits, privacy = method.evidence_limits, self.privacy
        return FitContext(model, drafts, self._evidence, self.seed, folder, left_out, privacy, evidence_limits=limits)

    def _has_earlier_answers(self) -> bool:
        """Whether the base model answered something, in a run or a draft of this store."""
        return self._drafts.has_answers or self.store.has_answers_of(self.base_model.identity)

    def _claim(self, folder: Path, task: Task, data: DataSet, spec: RunSpec) -> None:
        """Begin a run's folder, or check that the run in it can be continued."""
        claim(folder, spec)
        hashes = hash_prompts(task, data)
        file = folder / ENVIRONMENT
        claim_environment(file, data_sha256=data.sha256, hashes=hashes, label=self.label, code=self.code)

    def _check_label(self, packed_run: StoredRun | None) -> None:
        """Refuse another label for a packed run: nothing is written into a packed set."""
        label = packed_run.environment.label if packed_run else None
        if packed_run and self.label is not None and self.label != (label or ""):
            raise RpobenchError(
                f"--label {self.label}: {packed_run.name} is packed, its row is called {label or 'by its method'}: "
                "leave --label out or use another --out"
            )

    def _read_settled(self, spec: RunSpec) -> dict[str, Prediction]:
        """Read the predictions so far, by example id, without those that are to be asked again."""
        predictions = self.store.read_predictions(spec).items()
        return {example_id: prediction for example_id, prediction in predictions if self.limits.is_settled(prediction)}

    def _predict(self, method: Method, task: Task, examples: Sequence[Example], spec: RunSpec) -> dict[str, Prediction]:
        """Predict what is missing, chunk by chunk, and return all predictions by example id."""
        folder = self.store.run_folder(spec)
        predictions = self._read_settled(spec)
        missing = [example for example in examples if example.id not in predictions]
        self.limits.check_run(folder.name, predictions.values(), len(examples))  # a stopped run stops again

        model = self.privacy.restrict(self.base_model, [task])
        context = self.make_predict_context(method, model, self._drafts, self.users_folder(method))
        chunk_size = batch_size(model, CHUNK)
        label = f"{task.name} {method.name}{' swapped' if spec.profiles == 'swapped' else ''}"

        with self._drafts.notes.noted_in(folder / ENVIRONMENT), show_progress(label, len(missing)) as advance:
            for start in range(0, len(missing), chunk_size):
                before = self._drafts.meter.read()
                chunk = self._predict_chunk(method, task, missing[start : start + chunk_size], context)
                charge = self._drafts.meter.charge_since(before)

                append_predictions(folder / "predictions.jsonl", chunk, seconds=charge.seconds)
                note_evidence_identities(folder / ENVIRONMENT, self._evidence.list_identities())
                predictions |= {prediction.example_id: prediction for prediction in chunk}
                self.limits.check_run(folder.name, predictions.values(), len(examples))
                advance(len(chunk))

        return {example.id: predictions[example.id] for example in examples}

    def _predict_chunk(
        self, method: Method, task: Task, examples: Sequence[Example], context: PredictContext
    ) -> list[Prediction]:
        with name_example_in_error(task, examples), same_identity(self.base_model):
            predictions = check_predictions(method, examples, method.predict(task, examples, context))

        return self._drafts.mark_failures(task, examples, predictions)

    def _score(self, task: Task, data: DataSet, spec: RunSpec, predictions: Mapping[str, Prediction]) -> dict[str, Any]:
        """Make the content of `result.json`: scores, and what predicting and fitting took."""
        seconds = read_seconds(self.store.run_folder(spec) / "predictions.jsonl")
        cost = read_fit_cost(self.store.fit_folder(spec.fit) / FIT_COST) if spec.fit else None

        result = score(task, data, predictions)
        result["seconds"] = round(sum(seconds[example_id] for example_id in predictions), 3)
        result["fit_seconds"] = cost.seconds if cost else None
        if cost and cost.tokens:
            result["fit_tokens"] = cost.tokens
        if cost and cost.left_out:
            result["fit_left_out"] = {name: len(ids) for name, ids in cost.left_out.items()}

        result["texts"] = self.texts and not is_licensed(task, data)
        result["schema"] = SCHEMA_VERSION
        result["synthetic"] = data.synthetic
        return result | describe_origin(data)


def _load_reference_tokenizer() -> Any:
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    return reference_tokenizer()
