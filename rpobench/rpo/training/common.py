"""What both training stages share: the policy with its adapter, checkpoints that survive a kill, logs, progress."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import get_available_reporting_integrations

from rpobench.models.local.loading import fix_template_date
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.store.processes import is_first, wait_for_all
from rpobench.terminal import progress
from rpobench.types import RpobenchError

TOKENS = ("num_input_tokens_seen", "num_tokens")  # so far, resumes included; GRPO has the second alone

REPORTS = "runs"  # the folder under `output_dir` that transformers' reports go to
DISK_FULL = ("No space left", "PytorchStreamWriter", "inline_container")  # the last two are torch's
IGNORED = -100  # the label of a token that bears no loss, in torch, transformers and trl alike


def common_arguments(work: Path, *, report_to: str, seed: int) -> dict[str, Any]:
    """Training arguments of every stage; they follow the machine (`mixed_precision`, and checkpointing on CUDA)."""
    cuda = torch.cuda.is_available()
    return {
        "output_dir": str(work),
        "seed": seed,
        "use_cpu": not cuda,
        "bf16": mixed_precision(),
        "gradient_checkpointing": cuda,
        "dataloader_pin_memory": cuda,
        "ddp_find_unused_parameters": False,  # every weight of the adapter has a part in every loss
        "report_to": report_to,
        "disable_tqdm": True,  # stdout is for results; `TrainingProgress` draws on stderr
        "logging_steps": 1,
        "save_total_limit": 2,
    }


def check_reports(report_to: str) -> None:
    """Raises RpobenchError where `report_to` is nothing that transformers can report to here."""
    known = ["none", *get_available_reporting_integrations()]
    if report_to not in known:
        raise RpobenchError(f"report_to={report_to}: not one of {', '.join(known)}, or its package is not installed")


def mixed_precision() -> bool:
    """Whether a stage multiplies in bfloat16, its weights kept in float32: where the machine has instructions for it.

    On a CPU those are AMX, and AVX-512 BF16 but for Intel's, which do it at half the rate of float32
    (docs/decisions.md has the times of all three).
    """
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    known = torch.cpu.get_capabilities()
    if known.get("amx_bf16", False):
        return True
    return bool(known.get("avx512_bf16", False)) and "Intel" not in str(known.get("cpu_name", ""))


def new_policy(checkpoint: Path, *, rank: int, seed: int) -> PeftModel:
    """The reflection model with a fresh LoRA adapter on every linear layer."""
    set_seed(seed)
    lora = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(_base(checkpoint), lora)


def trained_policy(checkpoint: Path, adapter: Path, *, seed: int) -> PeftModel:
    """The reflection model with a trained adapter, ready to be trained on."""
    set_seed(seed)
    return PeftModel.from_pretrained(_base(checkpoint), str(adapter), is_trainable=True)


def _base(checkpoint: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(str(checkpoint), dtype=torch.float32, use_safetensors=True)


def load_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer; padding falls back to the end-of-text token."""
    tokenizer = fix_template_date(AutoTokenizer.from_pretrained(str(checkpoint)))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint: the trainer writes its state file last, so a torn one has none that reads."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]), reverse=True)
    return next((path for path in found if _readable(path / "trainer_state.json")), None)


def _readable(state: Path) -> bool:
    try:
        json.loads(state.read_text())
    except (OSError, ValueError):
        return False
    return True


def run_to_end(trainer: Trainer, work: Path) -> Any:
    """Train, from the last checkpoint in `work` if there is one, unless that is the end. Nothing goes to stdout."""
    trainer.remove_callback(PrinterCallback)
    resume = last_checkpoint(work)
    if resume and _is_end(trainer, resume):
        trainer._load_from_checkpoint(str(resume))
        trainer.state = TrainerState.load_from_json(str(resume / "trainer_state.json"))
    else:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    return trainer


def _is_end(trainer: Trainer, checkpoint: Path) -> bool:
    """Whether training had ended there; transformers would train on from it."""
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    judges = [one for one in trainer.callback_handler.callbacks if isinstance(one, BestAdapter)]
    return state.global_step >= state.max_steps or any(one.over(state.global_step) for one in judges)


def finished_stage(folder: Path, train: Callable[[Path], Trainer]) -> Path:
    """The adapter of a training stage: as it stands if it was finished before, else trained and then put in place.

    `train` gets the work folder, continues from its last checkpoint, and returns the trainer. Where it kept a best
    adapter (`best_folder`), that one is taken, else the last. The adapter folder appears under its name only when it is
    complete, with the training log, and the reports of `report_to` if there are any, beside the weights.
    """
    adapter = folder / "adapter"
    if adapter.exists():
        return adapter
    work = folder / "work"
    with _quiet(), _disk_faults(folder):
        trainer = train(work)
        if is_first():
            _put_in_place(trainer, work, adapter)
    wait_for_all()
    return adapter


@contextmanager
def _disk_faults(folder: Path) -> Iterator[None]:
    """A full disk as one line: the libraries below raise errors of their own for it."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not any(sign in str(error) for sign in DISK_FULL):
            raise
        told = str(error).splitlines()[0]
        raise RpobenchError(f"{folder}: {told}: what was trained is kept, make room there and run again") from error


def _put_in_place(trainer: Trainer, work: Path, adapter: Path) -> None:
    half, best = adapter.with_name("adapter.part"), best_folder(work) / "adapter"
    shutil.rmtree(half, ignore_errors=True)
    if best.exists():
        shutil.copytree(best, half)
    else:
        trainer.model.save_pretrained(str(half), selected_adapters=["default"])
    if (work / REPORTS).exists():
        shutil.move(work / REPORTS, half / REPORTS)
    (half / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in trainer.state.log_history))
    half.rename(adapter)
    shutil.rmtree(work, ignore_errors=True)


def trained_tokens(folder: Path) -> dict[str, int]:
    """The tokens, prompts and completions, that each finished stage under `folder` trained on, by the stage's name.

    A token counts each time it is read. Where training ended early, or an earlier adapter was kept, all were read.
    """
    found = {}
    for log in sorted(folder.glob("*/adapter/log.jsonl")):
        entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        name = next(name for name in TOKENS if any(name in entry for entry in entries))
        found[log.parts[-3]] = int(max(entry.get(name, 0) for entry in entries))
    return found


def best_folder(work: Path) -> Path:
    """Where a stage keeps its best adapter (`BestAdapter`) while it works."""
    return work / "best"


@contextmanager
def _quiet() -> Iterator[None]:
    """Bars and deprecation notes of the libraries below would hide the one bar that matters."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class TrainingProgress(TrainerCallback):  # type: ignore[misc]  # transformers is read untyped
    """The project's progress bar for a trainer; a resumed training starts where it was."""

    def __init__(self, description: str) -> None:
        self._description, self._open, self._done = description, ExitStack(), 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._done = state.global_step
        self._advance = self._open.enter_context(progress(self._description, state.max_steps - state.global_step))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._advance(state.global_step - self._done)
        self._done = state.global_step

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._open.close()
