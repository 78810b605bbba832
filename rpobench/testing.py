"""Checks that a method, task, model or retriever keeps its contract: call them in your own tests.

    from rpobench.testing import check_method

    def test_my_method_keeps_its_contract():
        check_method(MyMethod(MyMethod.Config()), tasks=["LaMP-3", "LaMP-7"])

They use synthetic data and a scripted model, so they need no network and no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from rpobench.data.synth.world import generate
from rpobench.evidence.retrievers import Retriever
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import FitContext, PredictContext
from rpobench.method.contract import Method
from rpobench.models.protocol import LanguageModel
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_retriever, get_task
from rpobench.runs.drafts import StoredDrafts
from rpobench.store.result_store import ResultStore
from rpobench.task.contract import Task
from rpobench.types import Chat, Decoding, Example, Message, Prediction, ProfileItem

TRAINING_EXAMPLES, PREDICTION_EXAMPLES = 6, 4  # how many
TASKS = ("LaMP-2", "LaMP-3", "LaMP-7")  # a task of each kind


class ContractError(AssertionError):
    """Something does not keep its contract; the text says what, and what is expected."""


class WordTokenizer:
    """A tokenizer whose tokens are words, so that none has to be fetched."""

    identity = "words"

    def __init__(self) -> None:
        self._words: list[str] = []

    def encode(self, text: str) -> list[int]:
        """Return a new number for each word of the text."""
        words = text.split()
        start = len(self._words)
        self._words += words

        return list(range(start, len(self._words)))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the words of these numbers."""
        return " ".join(self._words[index] for index in ids)


def check_method(method: Method, tasks: Sequence[str] = TASKS) -> None:
    """Check that a method fits, predicts, saves and loads as the contract says.

    Args:
        method: The method, not yet fitted.
        tasks: Names of tasks; those that it does not apply to are passed over.

    Raises:
        ContractError: A prediction is missing or double, is not repeatable, changes when the method is saved and
            loaded, or names evidence that is not in the profile.
    """
    for task_name in tasks:
        task = get_task(task_name)
        if method.applies_to(task):
            with TemporaryDirectory() as folder:
                _check_method_on(method, task, Path(folder))


def check_task(task: Task, item: ProfileItem, example: Example, target: str) -> None:
    """Check that a task asks, reads and scores as the contract says.

    Args:
        task: The task.
        item: A profile item with its fields.
        example: An example.
        target: A right answer to it.

    Raises:
        ContractError: A prompt leaves the input out, an item lacks a field, or a right answer is not scored as right.
    """
    # What was handed in is of this task.
    _expect(set(task.fields) <= item.fields.keys(), f"the item lacks fields of {task.name}: {task.fields}")
    task.check_example(example, "example")

    # It asks.
    prompt = task.prompt(example, [item])[-1].content
    _expect(task.content(example) in prompt, f"{task.name}: the prompt does not hold the input")
    _expect(isinstance(task.retrieval_text(item), str), f"{task.name}: retrieval_text must return a text")

    # It reads and scores.
    _expect(task.parse(target) == target, f"{task.name}: parse({target!r}) is {task.parse(target)!r}, not the answer")
    _expect(task.score(target, target) == 1.0, f"{task.name}: the target itself must score 1")
    metrics = task.aggregate([target], [target])
    _expect(metrics.keys() == task.metrics.keys(), f"{task.name}: aggregate gives {sorted(metrics)}, not its metrics")


def check_model(model: LanguageModel) -> None:
    """Check that a model generates and chooses as the contract says.

    Args:
        model: The model. It is asked four short questions.

    Raises:
        ContractError: An answer is missing, greedy text is not repeatable, or a choice is none of the options.
    """
    chats: list[Chat] = [(Message("user", "Say one word."),), (Message("user", "Say another word."),)]

    texts = [completion.text for completion in model.generate(chats, Decoding(max_new_tokens=4))]
    again = [completion.text for completion in model.generate(chats, Decoding(max_new_tokens=4))]
    _expect(len(texts) == 2, f"{model.identity}: {len(texts)} completions for 2 chats")
    _expect(texts == again, f"{model.identity}: greedy text is not the same twice")

    choices = [completion.text for completion in model.choose(chats, ("yes", "no"))]
    _expect(len(choices) == 2 and set(choices) <= {"yes", "no"}, f"{model.identity}: chose {choices} of yes and no")


def check_retriever(retriever: Retriever) -> None:
    """Check that a retriever ranks as the contract says.

    Args:
        retriever: The retriever.

    Raises:
        ContractError: An order leaves items out, names some twice, or is not the same twice.
    """
    items = _dated_items()
    texts = [item.fields["text"] for item in items]
    dates = [item.date for item in items]

    ranking = list(retriever.rank("sun and rain", texts, dates=dates, key="1"))
    again = list(retriever.rank("sun and rain", texts, dates=dates, key="1"))

    _expect(sorted(ranking) == [0, 1, 2], f"{retriever.identity}: the order {ranking} is not one of all three items")
    _expect(ranking == again, f"{retriever.identity}: the order is not the same twice")
    _expect(list(retriever.rank("sun", [], dates=[], key="1")) == [], f"{retriever.identity}: no items, no order")


def _dated_items() -> list[ProfileItem]:
    """Three profile items with dates, to rank."""
    labelled = generate("LaMP-4", "dev", 1).labelled[0]
    return list(labelled.example.profile[:3])


def _check_method_on(method: Method, task: Task, folder: Path) -> None:
    """Fit the method on one task where it trains, let it answer twice and once more after loading, and check that."""
    model = ScriptedModel(_reply, scorer=_likelihood)
    drafts = StoredDrafts(ResultStore(folder), model)
    evidence = RankedEvidence(get_retriever, WordTokenizer, seed=0)

    if method.trains:
        (folder / "work").mkdir()
        train = list(generate(task.name, "train", TRAINING_EXAMPLES).labelled)
        method.fit({task: train}, FitContext(model, drafts, evidence, 0, folder / "work"))

    context = PredictContext(model, drafts, evidence, 0, folder / "users")
    examples = [labelled.example for labelled in generate(task.name, "dev", PREDICTION_EXAMPLES).labelled]
    predictions = list(method.predict(task, examples, context))
    again = list(method.predict(task, examples, context))

    (folder / "saved").mkdir()
    method.save(folder / "saved")
    loaded = type(method).load(folder / "saved", method.config)
    after_loading = list(loaded.predict(task, examples, context))

    name = f"{method.name} on {task.name}"
    _check_predictions(name, examples, predictions)
    _expect(_texts(again) == _texts(predictions), f"{name}: the same examples were answered otherwise the second time")
    _expect(_texts(after_loading) == _texts(predictions), f"{name}: it answers otherwise once saved and loaded")


def _check_predictions(name: str, examples: Sequence[Example], predictions: Sequence[Prediction]) -> None:
    """One for each example, with evidence from that example's own profile."""
    example_ids = sorted(example.id for example in examples)
    answered_ids = sorted(prediction.example_id for prediction in predictions)
    _expect(answered_ids == example_ids, f"{name}: predict must yield one for each example")

    examples_by_id = {example.id: example for example in examples}
    for prediction in predictions:
        profile = examples_by_id[prediction.example_id].profile
        foreign = set(prediction.evidence) - {item.id for item in profile}
        _expect(not foreign, f"{name}: evidence {sorted(foreign)} is not in the profile of {prediction.example_id}")


def _texts(predictions: Sequence[Prediction]) -> dict[str, str]:
    return {prediction.example_id: prediction.text for prediction in predictions}


def _reply(chat: Chat) -> str:
    """An answer that changes with the prompt."""
    return "answer " + sha256(chat[-1].content.encode()).hexdigest()[:12]


def _likelihood(chat: Chat, text: str) -> float:
    """A likelihood that changes with prompt and text, so that the choice changes with the prompt."""
    return float(int(sha256(f"{chat[-1].content}/{text}".encode()).hexdigest()[:8], 16))


def _expect(holds: bool, message: str) -> None:
    if not holds:
        raise ContractError(message)
