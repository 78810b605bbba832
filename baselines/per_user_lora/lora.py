"""One LoRA adapter a user on one frozen model: trained once, kept on disk, in memory within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model
from rpobench.baselines.per_user_lora.config import AdapterTraining, Lesson
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, set_seed

from rpobench.api import Chat, RpobenchError, keep_part, name_part
from rpobench.method.per_user import PartKey
from rpobench.models.local.loading import silence_libraries
from rpobench.models.local.transformers import TransformersModel
from rpobench.rpo.training.arguments import common_arguments
from rpobench.rpo.training.log_probs import NO_LOSS
from rpobench.rpo.training.policy import load_tokenizer
from rpobench.rpo.training.stage import run_to_end
from rpobench.store.identity import content_of, former_identity
from rpobench.store.processes import count_processes
from rpobench.store.recorded import RecordedObject, recorded_text

FORMAT = 1  # raise it where the same lessons would train another adapter
NOBODY = "nobody"  # the untrained adapter, which changes nothing
FRESH = "default"  # of the adapter under training; peft saves this name without a folder of its own


class UserAdapters:
    """Puts users' adapters on one model in turn, one at a time.

    As many stay in memory as have `memory_mb` megabytes together, the one in use always. The least lately used leaves
    first.

    Args:
        model: What answers.
        training: How an adapter is trained.
        folder: Where the adapters of all users lie.
        memory_mb: How much memory adapters may take, in megabytes.

    Raises:
        RpobenchError: Several processes train together (`rpobench.store.processes`).
    """

    def __init__(self, model: TransformersModel, training: AdapterTraining, folder: Path, *, memory_mb: int) -> None:
        if count_processes() > 1:
            raise RpobenchError(
                "users' adapters are trained while predicting, by one process: run the same command without a "
                "launcher, finished fits are kept"
            )

        self._model = model
        self._training = training
        self._folder = folder
        self._budget = memory_mb * 2**20  # bytes

        set_seed(training.seed)
        with silence_libraries():
            self._peft = get_peft_model(model.model, self._lora_config("all-linear"), adapter_name=NOBODY)
        self._targets = set(self._peft.peft_config[NOBODY].target_modules)

        self._resident: OrderedDict[str, int] = OrderedDict()  # bytes by key, least lately used first
        self.use([])

    def use(self, lessons: Sequence[Lesson]) -> None:
        """Let the model answer with the adapter of these lessons from now on.

        Args:
            lessons: What the adapter is trained on where it is not on disk. Without lessons the model is as it was.
        """
        if not lessons:
            self._peft.set_adapter(NOBODY, inference_mode=True)
            return

        part = self._part_key(lessons)
        key = part.name
        if key not in self._resident:
            adapter = keep_part(self._folder, part, lambda folder: self._train(lessons, folder))
            self._peft.load_adapter(str(adapter), adapter_name=key, is_trainable=False)
            self._resident[key] = self._count_bytes(key)

        self._resident.move_to_end(key)
        self._peft.set_adapter(key, inference_mode=True)
        self._evict()

    @property
    def resident(self) -> list[str]:
        """The keys of the adapters in memory, least lately used first."""
        return list(self._resident)

    def _evict(self) -> None:
        """Take adapters out of memory until the rest is within the budget; the one in use stays."""
        while len(self._resident) > 1 and sum(self._resident.values()) > self._budget:
            evicted_key, _ = self._resident.popitem(last=False)
            self._peft.delete_adapter(evicted_key)

    def _part_key(self, lessons: Sequence[Lesson]) -> PartKey:
        """The name of the adapter of these lessons."""
        training = self._training.fields()
        identity = self._model.identity
        content = [FORMAT, content_of(identity), training, list(lessons)]
        recorded_training = RecordedObject("AdapterTraining", training)
        recorded_content = (FORMAT, former_identity(identity), recorded_training, list(lessons))

        return name_part(content, recorded_text(recorded_content))

    def _lora_config(self, targets: str | set[str]) -> LoraConfig:
        rank = self._training.rank

        return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM")

    def _count_bytes(self, key: str) -> int:
        """How much memory the adapter with this key takes, in bytes."""
        tensors = [tensor for name, tensor in self._peft.named_parameters() if f".{key}." in name]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _train(self, lessons: Sequence[Lesson], folder: Path) -> None:
        """Train a fresh adapter and save it in the folder."""
        set_seed(self._training.seed)
        self._peft.add_adapter(FRESH, self._lora_config(self._targets))
        self._peft.set_adapter(FRESH)

        with silence_libraries():
            trainer = Trainer(
                model=self._peft,
                args=self._arguments(folder),
                train_dataset=[self._training_row(chat, answer) for chat, answer in lessons],
                data_collator=DataCollatorForSeq2Seq(load_tokenizer(self._model.path)),
            )
            run_to_end(trainer, folder)

        self._peft.eval()
        self._peft.save_pretrained(str(folder), selected_adapters=[FRESH])
        self._peft.set_adapter(NOBODY, inference_mode=True)
        self._peft.delete_adapter(FRESH)

    def _training_row(self, chat: Chat, answer: str) -> dict[str, list[int]]:
        """One lesson as the trainer reads it, with a loss on the answer alone."""
        prompt_ids, answer_ids = self._model.encode_lesson(chat, answer)

        return {
            "input_ids": prompt_ids + answer_ids,
            "attention_mask": [1] * len(prompt_ids + answer_ids),
            "labels": [NO_LOSS] * len(prompt_ids) + answer_ids,
        }

    def _arguments(self, work: Path) -> TrainingArguments:
        training = self._training

        common: dict[str, Any] = {
            **common_arguments(work, report_to="none", seed=training.seed),
            "bf16": False,  # the weights have their type already, and a wrapper around the model would stay on it
            "gradient_checkpointing": False,
        }

        return TrainingArguments(
            num_train_epochs=training.epochs,
            per_device_train_batch_size=training.batch,
            learning_rate=training.learning_rate,
            lr_scheduler_type="linear",
            save_strategy="no",
            remove_unused_columns=False,
            **common,
        )
