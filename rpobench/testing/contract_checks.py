"""The contracts of tasks, models and retrievers."""

from __future__ import annotations

from rpobench.data.synth.world import generate
from rpobench.evidence.retrievers import Retriever
from rpobench.models.protocol import LanguageModel
from rpobench.task.contract import Task
from rpobench.testing.findings import expect
from rpobench.types import Chat, Decoding, Example, Message, ProfileItem


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
    expect(set(task.fields) <= item.fields.keys(), f"the item lacks fields of {task.name}: {task.fields}")
    task.check_example(example, "example")

    # It asks.
    prompt = task.prompt(example, [item])[-1].content
    expect(task.content(example) in prompt, f"{task.name}: the prompt does not hold the input")
    expect(isinstance(task.retrieval_text(item), str), f"{task.name}: retrieval_text must return a text")

    # It reads and scores.
    expect(task.parse(target) == target, f"{task.name}: parse({target!r}) is {task.parse(target)!r}, not the answer")
    expect(task.score(target, target) == 1.0, f"{task.name}: the target itself must score 1")
    metrics = task.aggregate([target], [target])
    expect(metrics.keys() == task.metrics.keys(), f"{task.name}: aggregate gives {sorted(metrics)}, not its metrics")


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
    expect(len(texts) == 2, f"{model.identity}: {len(texts)} completions for 2 chats")
    expect(texts == again, f"{model.identity}: greedy text is not the same twice")

    choices = [completion.text for completion in model.choose(chats, ("yes", "no"))]
    expect(len(choices) == 2 and set(choices) <= {"yes", "no"}, f"{model.identity}: chose {choices} of yes and no")


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

    expect(sorted(ranking) == [0, 1, 2], f"{retriever.identity}: the order {ranking} is not one of all three items")
    expect(ranking == again, f"{retriever.identity}: the order is not the same twice")
    expect(list(retriever.rank("sun", [], dates=[], key="1")) == [], f"{retriever.identity}: no items, no order")


def _dated_items() -> list[ProfileItem]:
    """Three profile items with dates, to rank."""
    labelled = generate("LaMP-4", "dev", 1).labelled[0]
    return list(labelled.example.profile[:3])
