"""Without the extra `litellm` its models are one line that says what to install."""

from __future__ import annotations

import sys

import pytest
from command_line import run_rpobench


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)  # as where it is not installed

    arguments = ["--method", "zero-shot", "--task", "LaMP-7", "--limit", "2", "--base-model", "litellm:openai/gpt-4o"]
    done = run_rpobench("run", *arguments, "--dry-run")

    assert done.returncode == 1
    assert done.stderr.startswith("rpobench: litellm: models need the package litellm; pip install 'rpobench[litellm]'")
    assert len(done.stderr.splitlines()) == 1
