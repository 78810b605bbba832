"""Real data that lies beside the checkout, because its licences keep it out of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NEEDS_SHARED = "RPOBENCH_NEEDS_SHARED"


def require_shared(path: Path) -> Path:
    """Skip the running test where this folder of shared data is absent, and say so.

    A machine that must have the data sets RPOBENCH_NEEDS_SHARED=1: there the test fails instead.

    Args:
        path: A folder such as `paths.LAMP_SAMPLE`.

    Returns:
        The same path, which exists.
    """
    if path.exists():
        return path

    message = f"{path}: the shared data is absent: its licence keeps it out of the repository"
    if os.environ.get(NEEDS_SHARED) == "1":
        pytest.fail(f"{message}, and {NEEDS_SHARED}=1 says that it must be here")
    pytest.skip(message)
