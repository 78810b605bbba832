"""One stage of a training on disk: it continues from checkpoints after a kill, and leaves an adapter with its log."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import datasets
import transformers
from safetensors import SafetensorError
from transformers import PrinterCallback, Trainer, TrainerState

from rpobench.models.local.loading import silence_bars
from rpobench.rpo.training.best_adapter import BestAdapter
from rpobench.store.processes import is_first, wait_for_all
from rpobench.store.whole_folder import whole_folder
from rpobench.types import RpobenchError

# The log figures that count the tokens of a stage so far, resumes included; GRPO logs the second alone.
TOKEN_COUNTERS = ("num_input_tokens_seen", "num_tokens")

REPORTS = "runs"  # the folder under `output_dir` that transformers' reports go to
# Parts of the messages that libraries have for a full disk; the last two are torch's.
DISK_FULL = ("No space left", "PytorchStreamWriter", "inline_container")


def run_stage(folder: Path, train: Callable[[Path], Trainer]) -> Path:
    """Train a stage, unless it was finished before.

    The best adapter is taken if the stage keeps one (`best_folder`), else the last. The adapter folder appears only
    when it is complete. Beside the weights it has the training log, and the reports of `report_to` if there are any.

    Args:
        folder: The folder of the stage.
        train: Trains in the work folder that it is given, from the last checkpoint there, and returns the trainer.

    Returns:
        The folder of the adapter.

    Raises:
        RpobenchError: The disk is full.
    """
    adapter = folder / "adapter"
    if adapter.exists():
        return adapter

    work = folder / "work"
    with _quiet_libraries(), _disk_faults(folder):
        trainer = train(work)
        if is_first():
            _put_in_place(trainer, work, adapter)
    wait_for_all()
    return adapter


def run_to_end(trainer: Trainer, work: Path) -> None:
    """Train from the last checkpoint to the end; where that checkpoint is the end, load it. Nothing goes to stdout.

    Args:
        trainer: What trains.
        work: The folder of its checkpoints.
    """
    trainer.remove_callback(PrinterCallback)

    checkpoint = last_checkpoint(work)
    if checkpoint and _is_end(trainer, checkpoint):
        trainer._load_from_checkpoint(str(checkpoint))
        trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _is_end(trainer: Trainer, checkpoint: Path) -> bool:
    """Whether training had ended there; transformers would train on from it."""
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step >= state.max_steps:
        return True

    callbacks = trainer.callback_handler.callbacks
    return any(callback.ends_training(state.global_step) for callback in callbacks if isinstance(callback, BestAdapter))


def last_checkpoint(work: Path) -> Path | None:
    """Find the newest complete checkpoint.

    The trainer writes its state file last, so a checkpoint in which a kill fell has no state file that can be read.

    Args:
        work: The folder of checkpoints.

    Returns:
        The folder of the checkpoint; None where there is none.
    """

    def step(checkpoint: Path) -> int:
        return int(checkpoint.name.rsplit("-", 1)[1])

    newest_first = sorted(work.glob("checkpoint-*"), key=step, reverse=True)
    return next((checkpoint for checkpoint in newest_first if _is_readable(checkpoint / "trainer_state.json")), None)


def _is_readable(state_file: Path) -> bool:
    try:
        json.loads(state_file.read_text())
    except (OSError, ValueError):
        return False
    return True


def best_folder(work: Path) -> Path:
    """Name the folder in which a stage keeps its best adapter (`BestAdapter`) while it works."""
    return work / "best"


@contextmanager
def _disk_faults(folder: Path) -> Iterator[None]:
    """Turn a full disk into an error of one line: the libraries below raise errors of their own for it."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not any(sign in str(error) for sign in DISK_FULL):
            raise

        cause = str(error).splitlines()[0]
        raise RpobenchError(f"{folder}: {cause}: what was trained is kept, make room there and run again") from error


def _put_in_place(trainer: Trainer, work: Path, adapter: Path) -> None:
    """Fill the adapter's folder with weights, log and reports, and drop the work folder."""
    best_adapter = best_folder(work) / "adapter"
    with whole_folder(adapter) as folder:
        if best_adapter.exists():
            shutil.copytree(best_adapter, folder, dirs_exist_ok=True)
        else:
            trainer.model.save_pretrained(str(folder), selected_adapters=["default"])

        if (work / REPORTS).exists():
            shutil.move(work / REPORTS, folder / REPORTS)
        log_lines = [json.dumps(entry) + "\n" for entry in trainer.state.log_history]
        (folder / "log.jsonl").write_text("".join(log_lines))

    shutil.rmtree(work, ignore_errors=True)


def count_trained_tokens(folder: Path) -> dict[str, int]:
    """Count the tokens, prompts and completions, that each finished stage trained on.

    A token counts each time it is read. Where training ended early or an earlier adapter was kept, all that were read
    count.

    Args:
        folder: The folder of a training job.

    Returns:
        The tokens by the name of the stage.
    """
    tokens_by_stage = {}
    for log in sorted(folder.glob("*/adapter/log.jsonl")):
        entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        stage_folder = log.parent.parent
        tokens_by_stage[stage_folder.name] = _last_token_count(entries)

    return tokens_by_stage


def _last_token_count(entries: Sequence[Mapping[str, float]]) -> int:
    """The highest value of the first counter that any entry of a log has."""
    for counter in TOKEN_COUNTERS:
        counts = [entry[counter] for entry in entries if counter in entry]
        if counts:
            return int(max(counts))

    raise ValueError(f"no entry of the log has {' or '.join(TOKEN_COUNTERS)}")


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Silence bars and deprecation notes of the libraries below: they would hide the one bar that matters."""
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with silence_bars(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
