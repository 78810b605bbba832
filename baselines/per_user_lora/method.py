"""One adapter a user: a LoRA trained on her own history, on top of the adapter that all users share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rpobench.baselines.per_user_lora.config import AdapterConfig, Lesson

from rpobench.api import Example, Message, PredictContext, Task, build_past_examples, sample_pair, show_progress
from rpobench.rpo.answering import answer_inputs
from rpobench.rpo.decoding import Answer
from rpobench.rpo.form import Form, Trajectory, one_line
from rpobench.rpo.module_input import ModuleInput
from rpobench.rpo.trained_module import TrainedModule

if TYPE_CHECKING:
    from rpobench.baselines.per_user_lora.lora import UserAdapters


class PerUserLora(TrainedModule):
    """OPPU (arXiv 2402.04401): one PEFT module for each user on a task adapter, here without retrieval (its k=0).

    The task adapter is that of `sft-generic`; it is merged and frozen, and a user's adapter is trained on her items as
    inputs with their answers (`Task.pair`). A user without usable items gets the task adapter's answer. LaMP-1 and
    LaMP-7, whose items are no pairs, learn the auxiliary tasks of LaMP's PEFT code (arXiv 2409.09510). Ours: LoRA on
    every linear layer (OPPU: queries and values), and the values of the knobs, which were not tuned.
    """

    name = "per-user-lora"
    version = "2"
    by_name_only = True
    presets: ClassVar = {"quick": {**TrainedModule.presets["quick"], "user_items": 16}}
    applied = TrainedModule.applied | (AdapterConfig.model_fields.keys() - TrainedModule.Config.model_fields.keys())
    form = Form(evidence=False, draft=False, analysis=False)
    _user_adapters: UserAdapters | None = None

    class Config(AdapterConfig):
        """The shared adapter's knobs and the users'."""

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        return [[(self.form.sample(task), sample_pair(task)) for task in tasks]]

    def _answer_inputs(self, task: Task, inputs: Sequence[ModuleInput], context: PredictContext) -> list[Answer]:
        """Users in turn, so that an adapter is put on the model once for all inputs of its user."""
        indices_by_lessons: dict[tuple[Lesson, ...], list[int]] = {}
        for index, module_input in enumerate(inputs):
            lessons = tuple(self._make_lessons(task, module_input.example, context.seed))
            indices_by_lessons.setdefault(lessons, []).append(index)

        answers_by_index: dict[int, Answer] = {}
        with show_progress(f"{task.name} users", len(inputs)) as advance:
            for lessons, indices in indices_by_lessons.items():
                self._adapters(context).use(lessons)
                answers = answer_inputs(self._module(context.seed), task, [inputs[index] for index in indices])
                answers_by_index |= dict(zip(indices, answers, strict=True))
                advance(len(indices))

        return [answers_by_index[index] for index in range(len(inputs))]

    def _adapters(self, context: PredictContext) -> UserAdapters:
        """The users' adapters, which are put on the model when the first user is answered."""
        from rpobench.baselines.per_user_lora.lora import UserAdapters

        from rpobench.models.local.transformers import TransformersModel

        if self._user_adapters is None:
            model = self._reflector
            assert isinstance(model, TransformersModel)
            training = self.config.training(context.seed)
            self._user_adapters = UserAdapters(model, training, context.users, memory_mb=self.config.user_memory_mb)
        return self._user_adapters

    def _make_lessons(self, task: Task, example: Example, seed: int) -> list[Lesson]:
        """The example's past items in the form of the module; an item that does not fit its context is left out."""
        lessons = []
        for past in build_past_examples(task, example, limit=self.config.user_items, seed=seed):
            chat = self.form.build_chat(task, past.example, "", ())
            answer = self.form.render(Trajectory("", "", one_line(past.target)))
            if self._window.fits((*chat, Message("assistant", answer))):
                lessons.append((chat, answer))

        return lessons
