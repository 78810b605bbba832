"""What a run was made with: packages, commit, platform and processor, the hashes of data and prompts, what ranked."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rpobench.data.dataset import DataSet
from rpobench.store.files import write_json
from rpobench.store.identity import SHA256, digest
from rpobench.store.recorded import recorded_digest, recorded_text
from rpobench.store.results import read_environment
from rpobench.task.contract import Task
from rpobench.types import RpobenchError

PACKAGES = ("rpobench", "torch", "transformers", "trl", "peft", "datasets", "rank-bm25", "rouge-score", "scikit-learn")


def environment(*, data_sha256: str, hashes: PromptHashes) -> dict[str, Any]:
    """A JSON object; holds no path and no name of a machine.

    `reference_tokenizer` and `retrievers` are identities, noted once evidence was taken.
    """
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **_checkout(),
        "data_sha256": data_sha256,
        "prompt_sha256": hashes.today,
        "recorded_prompt_sha256": hashes.recorded,
        "reference_tokenizer": None,
        "retrievers": [],
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Its model and, where Linux tells, the instructions for bfloat16: with them a module is trained in it."""
    told = Path("/proc/cpuinfo")
    text = told.read_text(encoding="utf-8", errors="replace") if told.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    if not model:
        return platform.processor() or platform.machine()
    return " ".join([model[1].strip(), *(flag for flag in ("amx_bf16", "avx512_bf16") if f" {flag} " in text)])


def _checkout() -> dict[str, Any]:
    """`commit` of the checkout this package runs from, and whether its files differ (`dirty`); None for a wheel."""
    here = Path(__file__).resolve().parents[1]
    if not (here.parent / ".git").exists() or not shutil.which("git"):
        return {"commit": None, "dirty": None}
    commit = _git(here, "rev-parse", "HEAD").strip()
    changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit or None, "dirty": bool(changed.strip()) if commit else None}


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False).stdout


@dataclass(frozen=True)
class PromptHashes:
    """How a task asks, as hashes of 64 hex digits: in today's form, and in that of version 0.1."""

    today: str
    recorded: str

    def match(self, prompt_sha256: str) -> bool:
        """Whether a run that noted this hash was asked in the same words, whichever version made it."""
        return prompt_sha256 in (self.today, self.recorded)


def prompt_hashes(task: Task, data: DataSet) -> PromptHashes:
    """Hash how a task asks: its prompt of the first example of the data, with and without evidence."""
    example = data.labelled[0].example
    chats = [task.prompt(example), task.prompt(example, example.profile[:2])]
    return PromptHashes(digest(chats, SHA256), recorded_digest(recorded_text(chats), SHA256))


def _same_prompts(file: Path, data_sha256: str, hashes: PromptHashes) -> None:
    """Note what the run is made with, or refuse to continue it where the task's prompt changed under its name."""
    if not file.exists():
        write_json(file, environment(data_sha256=data_sha256, hashes=hashes))
    elif not hashes.match(read_environment(file)["prompt_sha256"]):
        raise RpobenchError(
            f"{file}: prompt_sha256 differs, the task's prompts changed since: raise the task's version or use --out"
        )


def _note_used(file: Path, used: Mapping[str, Any]) -> None:
    """Note which retrievers ranked and which tokenizer cut, as soon as it is known.

    Raises RpobenchError where what cut a run's evidence before is no longer the same.
    """
    noted = read_environment(file)
    before, now = noted.get("reference_tokenizer"), used.get("reference_tokenizer")
    if before and now and before != now:
        raise RpobenchError(f"{file}: its evidence was cut by {before}, now it is {now}: use another --out")
    if (updated := {**noted, **used}) != noted:
        write_json(file, updated)
