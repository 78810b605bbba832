"""What a run was made with: packages, commit, platform and processor, hashes of data and prompts, and what ranked."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.method.code import MethodCode
from rpobench.store.files import write_json
from rpobench.store.identity import SHA256, digest
from rpobench.store.recorded import recorded_digest, recorded_text
from rpobench.store.results import SHARED_FILES, read_environment
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

ENVIRONMENT = "environment.json"
CPU_FACTS = Path("/proc/cpuinfo")  # on Linux
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16", "sve")
FREE_TASKS = "free_tasks"  # of a fit: whose data has a licence of its own
PACKAGES = ("rpobench", "torch", "transformers", "trl", "peft", "datasets", "rank-bm25", "rouge-score", "scikit-learn")


@dataclass(frozen=True)
class PromptHashes:
    """How a task asks, as hashes of 64 hex digits.

    Attributes:
        today: The hash that runs of this version store.
        recorded: The hash that version 0.1 stored for the same words.
    """

    today: str
    recorded: str

    def match(self, prompt_sha256: str) -> bool:
        """Say whether a run that noted this hash was asked in the same words, whichever version made it."""
        return prompt_sha256 in (self.today, self.recorded)


def hash_prompts(task: Task, data: DataSet) -> PromptHashes:
    """Hash how a task asks: its prompt of the first example of the data, with and without evidence.

    Args:
        task: The task.
        data: The examples, at least one.

    Returns:
        The hashes.
    """
    example = data.examples[0]
    chats = [task.prompt(example), task.prompt(example, example.profile[:2])]

    return PromptHashes(digest(chats, SHA256), recorded_digest(recorded_text(chats), SHA256))


def describe_environment(*, data_sha256: str, hashes: PromptHashes, code: MethodCode | None = None) -> dict[str, Any]:
    """Describe what a run is made with; no path and no name of a machine is part of it.

    Args:
        data_sha256: The hash of the data.
        hashes: The hashes of the task's prompts.
        code: The code of the method; None where it ran elsewhere.

    Returns:
        A JSON object. `reference_tokenizer` and `retrievers` are identities, noted once evidence was taken;
        `shared_files` are noted as they are read.
    """
    return {
        **_describe_machine(code),
        "data_sha256": data_sha256,
        "prompt_sha256": hashes.today,
        "recorded_prompt_sha256": hashes.recorded,
        "reference_tokenizer": None,
        "retrievers": [],
        SHARED_FILES: [],
    }


def note_fit_environment(folder: Path, code: MethodCode | None, free_tasks: Iterable[str] = ()) -> None:
    """Note what a new fit is made with; what stands beside a fit that was begun is left as it is.

    Args:
        folder: The folder of the fit.
        code: The code of the method.
        free_tasks: The names of tasks whose data says itself under which licence it is.
    """
    if not any((folder / part).exists() for part in (ENVIRONMENT, "checkpoint", "work")):
        write_json(folder / ENVIRONMENT, {**_describe_machine(code), SHARED_FILES: [], FREE_TASKS: sorted(free_tasks)})


def claim_environment(
    file: Path, *, data_sha256: str, hashes: PromptHashes, label: str | None = None, code: MethodCode | None = None
) -> None:
    """Note what a new run is made with, or check that a run that was begun can be continued.

    Args:
        file: The run's `environment.json`.
        data_sha256: The hash of the data.
        hashes: The hashes of the task's prompts.
        label: What its row is to be called: it takes the place of an earlier label, and an empty one takes that away.
            None leaves an earlier one as it is.
        code: The code of the method.

    Raises:
        RpobenchError: The task's prompts changed, though its version did not.
    """
    if not file.exists():
        environment = describe_environment(data_sha256=data_sha256, hashes=hashes, code=code)
        write_json(file, {**environment, "label": label} if label else environment)
        return

    stored = read_environment(file)
    if not hashes.match(stored.prompt_sha256):
        raise RpobenchError(
            f"{file}: prompt_sha256 differs, the task's prompts changed since: raise the task's version or use --out"
        )
    if label is not None and label != (stored.label or ""):
        write_json(file, {**stored.to_json(), "label": label or None})


def note_evidence_identities(file: Path, identities: Mapping[str, Any]) -> None:
    """Note which retrievers ranked and which tokenizer cut, as soon as it is known.

    Args:
        file: The run's `environment.json`.
        identities: `reference_tokenizer` and `retrievers`; empty where no evidence was taken.

    Raises:
        RpobenchError: Another tokenizer cut the run's evidence before.
    """
    environment = read_environment(file)
    before, now = environment.reference_tokenizer, identities.get("reference_tokenizer")
    if before and now and before != now:
        raise RpobenchError(f"{file}: its evidence was cut by {before}, now it is {now}: use another --out")

    content = environment.to_json()
    updated = {**content, **identities}
    if updated != content:
        write_json(file, updated)


def _describe_machine(code: MethodCode | None) -> dict[str, Any]:
    """The code that works, the packages around it, and what it all runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

    return {
        "code": code.to_json() if code else None,
        "packages": {name: _find_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _describe_processor(),
        "cores": cores,
        "instruction_sets": _list_instruction_sets(CPU_FACTS),
        "threads": _count_threads(cores),
        **_describe_checkout(),
    }


def _list_instruction_sets(cpu_facts: Path) -> list[str]:
    """The instruction sets that decide how float32 and bfloat16 are multiplied; none where the system does not say."""
    if not cpu_facts.exists():
        return []

    for line in cpu_facts.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return [flag for flag in INSTRUCTION_SETS if flag in flags.split()]
    return []


def _count_threads(cores: int | None) -> int | None:
    """The threads of one product of matrices, as torch has them; where it is not loaded, as it would have them."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())

    threads = os.environ.get("OMP_NUM_THREADS", "")
    return int(threads) if threads.isdecimal() else cores


def _find_version(package: str) -> str | None:
    """Find the version of an installed package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _describe_processor() -> str:
    """Name the processor's model and, where Linux says, its instructions for bfloat16.

    The instructions are part of it since they change numbers: a module is trained in bfloat16 where they exist.
    """
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    if not model:
        return platform.processor() or platform.machine()

    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if f" {flag} " in text]
    return " ".join([model[1].strip(), *flags])


def _describe_checkout() -> dict[str, Any]:
    """Name the `commit` of the checkout that this package runs from, and whether its files differ (`dirty`).

    Both are None where the package was installed from a wheel.
    """
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / ".git").exists() or not shutil.which("git"):
        return {"commit": None, "dirty": None}

    commit = _run_git(package, "rev-parse", "HEAD").strip()
    changes = _run_git(package, "status", "--porcelain", "--untracked-files=no").strip()
    return {"commit": commit or None, "dirty": bool(changes) if commit else None}


def _run_git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False).stdout
