"""What a base model would answer: its greedy answer with seeded samples, or every label with the one it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpobench.api import (
    Chat,
    Completion,
    Evidence,
    Example,
    FitContext,
    Task,
    Usage,
    content_free_prompt,
    fails_for_good,
    first_failure,
    total_usage,
)
from rpobench.method.context import Context
from rpobench.models.kept_answers import KeptAnswers

TEMPERATURE = 0.8  # of the samples
CHUNK = 32  # choices between two writes: what a kill can cost a fit


@dataclass(frozen=True, slots=True)
class Candidates:
    """Possible answers to one example, the base model's own first.

    Attributes:
        texts: The answers.
        raws: The model's words that each was read from; for labels the labels themselves.
        usage: What they cost.
        failure: Why the model gave none, as in `Completion`.
        permanent: Whether the failure would come again, as in `Completion`.
    """

    texts: tuple[str, ...]
    raws: tuple[str, ...]
    usage: Usage
    failure: str | None = None
    permanent: bool = False

    @property
    def greedy(self) -> str:
        """The base model's own answer."""
        return self.texts[0]


def propose_candidates(
    task: Task, examples: Sequence[Example], evidence: Sequence[Evidence], context: Context, *, counts: Sequence[int]
) -> list[Candidates]:
    """Ask the base model for candidates after the official prompt with evidence.

    Args:
        task: The task of the examples.
        examples: What is asked.
        evidence: What the prompt of each shows of the history.
        context: Lends the base model.
        counts: How many candidates each example gets. A label task always gets all labels, for one call.

    Returns:
        The candidates of each example, in order. In a fit, those with a `failure` are left out of it.

    Raises:
        RpobenchError: In a fit, the model gave no answer to some of them that may come when it is asked again, or
            refused too many.
    """
    prompts = [task.prompt(example, best.items) for example, best in zip(examples, evidence, strict=True)]
    if task.labels:
        choices = _choose_labels(task, examples, prompts, context)
        candidates = [_label_candidates(task, choice) for choice in choices]
    else:
        completions_by_example = _write_texts(task, prompts, context, counts)
        candidates = [_text_candidates(task, completions) for completions in completions_by_example]

    if isinstance(context, FitContext):
        pairs = zip(examples, candidates, strict=True)
        failed = {example.id: answers for example, answers in pairs if answers.failure}
        context.left_out.add(task.name, failed, len(candidates), "prompts")
    return candidates


def _label_candidates(task: Task, choice: Completion) -> Candidates:
    """Every label, the chosen one first."""
    chosen_label = task.parse(choice.text)
    labels = [label for label in task.labels if label != chosen_label]
    if chosen_label:
        labels.insert(0, chosen_label)

    return Candidates(tuple(labels), tuple(labels), choice.usage, choice.failure, choice.permanent)


def _text_candidates(task: Task, completions: Sequence[Completion]) -> Candidates:
    texts = [task.parse(completion.text) or completion.text.strip() for completion in completions]
    raws = [completion.text for completion in completions]

    return Candidates(
        tuple(texts), tuple(raws), total_usage(completions), first_failure(completions), fails_for_good(completions)
    )


def _write_texts(
    task: Task, prompts: Sequence[Chat], context: Context, counts: Sequence[int]
) -> list[list[Completion]]:
    """The texts of each prompt, the greedy one first; `counts` says how many a prompt gets.

    They are asked for in rounds: the greedy texts of all prompts, then one seeded sample of each after another. What
    was written before is not written again.
    """
    completions: list[list[Completion]] = [[] for _ in prompts]
    rounds = max(counts, default=0)

    for round_number in range(rounds):
        is_greedy = round_number == 0
        indices = [index for index, count in enumerate(counts) if round_number < count]
        texts = context.generate_once(
            f"{task.name}-candidates",
            [prompts[index] for index in indices],
            max_new_tokens=task.max_new_tokens,
            temperature=0.0 if is_greedy else TEMPERATURE,
            seed=None if is_greedy else context.seed * rounds + round_number,
        )

        for index, text in zip(indices, texts, strict=True):
            completions[index].append(text)

    return completions


def _choose_labels(
    task: Task, examples: Sequence[Example], prompts: Sequence[Chat], context: Context
) -> Sequence[Completion]:
    """The model's choices; a fit keeps them in its folder, so that a killed one asks only for what is missing."""
    neutral = [content_free_prompt(task, example) for example in examples]
    if not isinstance(context, FitContext):
        return context.answer(task, prompts, neutral=neutral)

    def ask(indices: Sequence[int]) -> Sequence[Completion]:
        chunk = [prompts[index] for index in indices]
        return context.answer(task, chunk, neutral=[neutral[index] for index in indices])

    file = context.folder / f"{task.name}-choices.jsonl"
    return KeptAnswers(file, f"{task.name} choices", CHUNK).completions(prompts, ask)
