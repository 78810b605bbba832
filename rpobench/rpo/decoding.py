"""From inputs to answers: the module writes trajectories, and each is read as an answer of its task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpobench.models.protocol import LanguageModel
from rpobench.rpo.config import ModuleConfig
from rpobench.rpo.context_window import ContextWindow
from rpobench.rpo.form import Form, Retry, Trajectory
from rpobench.rpo.module_input import ModuleInput
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Message, Usage

TEMPERATURE = 0.8  # of the samples beside the greedy text, where n > 1
NO_TRAJECTORY = "no trajectory in the module's text"
NO_ANSWER = "the rewrite is no answer of the task"


@dataclass(frozen=True)
class ReflectionModule:
    """A trained module with everything that its answers depend on.

    Attributes:
        model: The reflection model with its adapter.
        form: What the module reads and writes.
        config: Its knobs; here `max_new_tokens`, `n` and `select`.
        window: What fits into its context.
        seed: What its samples depend on.
    """

    model: LanguageModel
    form: Form
    config: ModuleConfig
    window: ContextWindow
    seed: int


@dataclass(frozen=True)
class Answer:
    """A text of the module and what was read from it.

    Attributes:
        module_text: What the module wrote.
        text: The answer in the task's form; empty where `failure` says why there is no answer.
        raw: The answer before it was parsed.
        usage: What the text cost; where it was chosen among samples, what all of them cost.
        answer_prompt: The input with everything the module wrote before the answer.
        failure: Why there is no answer; None where there is one.
        retry_count: How many texts missed a line and were continued: at most one per sample.
        repair_count: How many of these then had all lines of the form.
        keeps_draft: Whether a gate keeps the draft instead.
    """

    module_text: str
    text: str
    raw: str
    usage: Usage
    answer_prompt: Chat
    failure: str | None = None
    retry_count: int = 0
    repair_count: int = 0
    keeps_draft: bool = False


def answer_once(
    module: ReflectionModule, task: Task, inputs: Sequence[ModuleInput], decoding: Decoding
) -> list[Answer]:
    """Let the module write one text per input, and read its answer.

    Args:
        module: The trained module.
        task: The task of all the inputs.
        inputs: What the module is asked.
        decoding: How it samples.

    Returns:
        One answer per input, in order.
    """
    completions, retries = generate_trajectories(module.model, module.form, inputs, decoding)
    answers = read_answers(module, task, inputs, completions)

    for retry in retries:
        answer = answers[retry.index]
        is_repaired = answer.failure != NO_TRAJECTORY
        answers[retry.index] = replace(answer, retry_count=1, repair_count=int(is_repaired))
    return answers


def generate_trajectories(
    model: LanguageModel, form: Form, inputs: Sequence[ModuleInput], decoding: Decoding
) -> tuple[list[Completion], list[Retry]]:
    """Let the module write one trajectory per input, and help once where a line's label is missing.

    A small module sometimes forgets the label of a line but knows what comes after it. Such a text is cut before the
    missing line, the label is added, and the module continues from there.

    Args:
        model: The trained reflection model.
        form: The lines that a trajectory must have.
        inputs: What the module is asked, in order.
        decoding: How it samples; the same for both attempts.

    Returns:
        One completion per input, in order, and the retries that were made. The usage of a completion includes its
        retry; its text is the first one where the retry did not help.
    """
    completions = list(model.generate([module_input.chat for module_input in inputs], decoding))

    # Which texts can be helped: those that stopped following the form at a known line.
    retries = []
    for index, completion in enumerate(completions):
        if form.parse(completion.text) is None:
            prefix = form.prefix_with_next_label(completion.text)
            if prefix is not None:
                retries.append(Retry(index, prefix))

    if not retries:
        return completions, []

    # Ask again, each time continuing the assistant's own words.
    retry_chats = [(*inputs[retry.index].chat, Message("assistant", retry.prefix)) for retry in retries]
    continuations = model.generate(retry_chats, decoding)

    for retry, continuation in zip(retries, continuations, strict=True):
        first_attempt = completions[retry.index]
        repaired_text = f"{retry.prefix} {continuation.text.strip()}"

        is_repaired = form.parse(repaired_text) is not None
        completions[retry.index] = replace(
            first_attempt,
            text=repaired_text if is_repaired else first_attempt.text,
            usage=first_attempt.usage + continuation.usage,
        )

    return completions, retries


def read_answers(
    module: ReflectionModule, task: Task, inputs: Sequence[ModuleInput], completions: Sequence[Completion]
) -> list[Answer]:
    """Read what the module's texts answer. Label tasks take the most likely label after the module's own analysis.

    Args:
        module: The trained module; it is asked for the labels.
        task: The task of all the inputs.
        inputs: What the module was asked.
        completions: What it wrote to each input.

    Returns:
        One answer per input, in order.
    """
    trajectories = [module.form.parse(completion.text) for completion in completions]

    answer_prompts: list[Chat] = []
    for module_input, trajectory in zip(inputs, trajectories, strict=True):
        if trajectory:
            analysis = Message("assistant", module.form.render_prefix(trajectory))
            answer_prompts.append((*module_input.chat, analysis))
        else:
            answer_prompts.append(module_input.chat)

    with_trajectory = [index for index, trajectory in enumerate(trajectories) if trajectory]
    choices: dict[int, Completion] = {}
    if task.labels and with_trajectory:
        labels = [f" {label}" for label in task.labels]
        chosen = module.model.choose([answer_prompts[index] for index in with_trajectory], labels)
        choices = dict(zip(with_trajectory, chosen, strict=True))

    answers = []
    for index, (completion, trajectory) in enumerate(zip(completions, trajectories, strict=True)):
        answers.append(_read_answer(task, completion, trajectory, answer_prompts[index], choices.get(index)))
    return answers


def _read_answer(
    task: Task, completion: Completion, trajectory: Trajectory | None, answer_prompt: Chat, choice: Completion | None
) -> Answer:
    if trajectory is None:
        return Answer(completion.text, "", "", completion.usage, answer_prompt, NO_TRAJECTORY)

    raw, usage = trajectory.rewrite, completion.usage
    if choice:
        raw, usage = choice.text.strip(), completion.usage + choice.usage

    text = task.parse(raw)
    return Answer(completion.text, text, raw, usage, answer_prompt, None if text else NO_ANSWER)
