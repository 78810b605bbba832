"""What a run was made with: package versions, commit, platform, and the hashes of data and prompts."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("rpobench", "torch", "transformers", "trl", "peft", "datasets", "rank-bm25", "rouge-score", "scikit-learn")


def environment(*, data_sha256: str, prompt_sha256: str) -> dict[str, Any]:
    """A JSON object; holds no path and no name of a machine."""
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
        "data_sha256": data_sha256,
        "prompt_sha256": prompt_sha256,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that this package runs from; None for an installed wheel."""
    here = Path(__file__).resolve().parent
    if not (here.parent / ".git").exists() or not shutil.which("git"):
        return None
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None
