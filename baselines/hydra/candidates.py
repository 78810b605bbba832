"""What a base model would answer: its greedy answer with seeded samples, or every label with the one it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpobench.method.answering import content_free_prompt
from rpobench.method.context import Context, FitContext
from rpobench.models.kept_answers import KeptAnswers
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Evidence, Example, RpobenchError, Usage

TEMPERATURE = 0.8  # of the samples
CHUNK = 32  # choices between two writes: what a kill can cost a fit


@dataclass(frozen=True, slots=True)
class Candidates:
    """Possible answers to one example, the base model's own (`greedy`) first, each with the words it was read from.

    `failure` says why the model gave none.
    """

    texts: tuple[str, ...]
    raws: tuple[str, ...]
    usage: Usage
    failure: str | None = None

    @property
    def greedy(self) -> str:
        """The base model's own answer."""
        return self.texts[0]


def propose(
    task: Task, examples: Sequence[Example], shown: Sequence[Evidence], context: Context, *, counts: Sequence[int]
) -> list[Candidates]:
    """Candidates for each example after the official prompt with its evidence.

    Of a text as many as `counts` says for its example; of a label task always all labels, for one call.

    Raises:
        RpobenchError: in a fit, the model gave no answer to some of them.
    """
    chats = [task.prompt(example, one.items) for example, one in zip(examples, shown, strict=True)]
    if task.labels:
        neutral = [content_free_prompt(task, example) for example in examples]
        found = [_labels(task, one) for one in _choose(task, chats, neutral, context)]
    else:
        found = [_texts(task, own) for own in _written(task, chats, context, counts)]
    failures = [one.failure for one in found if one.failure]
    if failures and isinstance(context, FitContext):
        raise RpobenchError(
            f"{task.name}: the base model gave no answer to {len(failures)} of {len(found)} training prompts "
            f"({failures[0]}): the same command asks them again and goes on"
        )
    return found


def _labels(task: Task, chosen: Completion) -> Candidates:
    own = task.parse(chosen.text)
    texts = (*((own,) if own else ()), *(label for label in task.labels if label != own))
    return Candidates(texts, texts, chosen.usage, chosen.failure)


def _texts(task: Task, written: Sequence[Completion]) -> Candidates:
    texts = tuple(task.parse(one.text) or one.text.strip() for one in written)
    failure = next((one.failure for one in written if one.failure), None)
    return Candidates(texts, tuple(one.text for one in written), sum((one.usage for one in written), Usage()), failure)


def _written(task: Task, chats: Sequence[Chat], context: Context, counts: Sequence[int]) -> list[list[Completion]]:
    """Greedy texts, then one round of samples after another; what was written before is not written again."""
    made: list[list[Completion]] = [[] for _ in chats]
    most = max(counts, default=0)
    for turn in range(most):
        places = [place for place, count in enumerate(counts) if turn < count]
        texts = context.generate_once(
            f"{task.name}-candidates",
            [chats[place] for place in places],
            max_new_tokens=task.max_new_tokens,
            temperature=TEMPERATURE if turn else 0.0,
            seed=context.seed * most + turn if turn else None,
        )
        for place, text in zip(places, texts, strict=True):
            made[place].append(text)
    return made


def _choose(task: Task, chats: Sequence[Chat], neutral: Sequence[Chat], context: Context) -> Sequence[Completion]:
    """The model's choices; a fit keeps them in its folder, so that a killed one asks only for what is missing."""
    if not isinstance(context, FitContext):
        return context.answer(task, chats, neutral=neutral)

    def ask(indices: Sequence[int]) -> Sequence[Completion]:
        return context.answer(task, [chats[index] for index in indices], neutral=[neutral[index] for index in indices])

    file = context.folder / f"{task.name}-choices.jsonl"
    return KeptAnswers(file, f"{task.name} choices", CHUNK).completions(chats, ask)
