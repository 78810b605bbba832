"""A model of somebody else's package, really built and installed: it works by its name, with its options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import spawn_rpobench

pytestmark = pytest.mark.slow

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "loud-models"
version = "1.0"

[project.entry-points."rpobench.models"]
loud = "loud_models:open_loud"

[tool.setuptools]
py-modules = ["loud_models"]
"""

MODULE = '''
from rpobench.types import Completion, RpobenchError, Usage


class Loud:
    """Says the last word of a chat aloud."""

    def __init__(self, voice, base_url):
        self.identity, self.base_url = f"loud:{voice}@{base_url}", base_url

    def generate(self, chats, decoding):
        return [Completion(chat[-1].content.split()[-1].upper(), Usage(1, 2, 3)) for chat in chats]

    def choose(self, chats, options, *, neutral=None):
        return [Completion(options[-1], Usage(1, 2, 0)) for _ in chats]

    def loglikelihood(self, chats, texts):
        return [0.0] * len(chats)


def open_loud(argument, base_url="nowhere"):
    if not argument:
        raise RpobenchError("loud: wants a voice, as in loud:bass")
    return Loud(argument, base_url)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed, offline."""
    source, site = tmp_path_factory.mktemp("loud"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "loud_models.py").write_text(MODULE)

    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), str(source)], check=True)
    return site


def test_it_is_listed_beside_ours(site: Path) -> None:
    process = spawn_rpobench("list", "models", "--json", PYTHONPATH=str(site))

    assert {"loud", "openai", "smollm2-135m"} <= set(json.loads(process.stdout))


def test_it_runs_by_its_name(site: Path, tmp_path: Path) -> None:
    plan = ["run", "--method", "zero-shot", "--task", "LaMP-3,LaMP-7", "--limit", "3", "--out", str(tmp_path), "--json"]
    model = ["--base-model", "loud:bass", "--base-url", "http://here", "--price", "1,1"]

    process = spawn_rpobench(*plan, *model, PYTHONPATH=str(site))

    assert process.returncode == 0, process.stderr
    rating, tweet = json.loads(process.stdout)
    assert (rating["failed"], tweet["failed"]) == (0, 0)

    spec = json.loads((tmp_path / tweet["run"] / "spec.json").read_text())
    assert spec["base_model"] == "loud:bass@http://here"

    for line in (tmp_path / tweet["run"] / "predictions.jsonl").read_text().splitlines():
        prediction = json.loads(line)
        assert prediction["raw"].isupper() and prediction["usage"]["dollars"] == 5e-6


def test_what_it_refuses_is_one_line(site: Path, tmp_path: Path) -> None:
    plan = ["run", "--method", "zero-shot", "--task", "LaMP-3", "--limit", "3", "--out", str(tmp_path)]
    concurrent = ["--base-model", "loud:bass", "--concurrency", "3"]

    without_voice = spawn_rpobench(*plan, "--base-model", "loud", PYTHONPATH=str(site))
    with_concurrency = spawn_rpobench(*plan, *concurrent, PYTHONPATH=str(site))

    assert without_voice.stderr == "rpobench: loud: wants a voice, as in loud:bass\n"
    expected = "rpobench: --concurrency: base model 'loud' has no such option; leave it out\n"
    assert with_concurrency.stderr == expected
