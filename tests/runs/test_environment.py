"""What a run notes of its surroundings, and where it is not continued because they changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from words import Words

import rpobench
from rpobench import get_task
from rpobench.data.synth.world import generate
from rpobench.runs.benchmark import run
from rpobench.runs.environment import PromptHashes, describe_environment, note_evidence_identities
from rpobench.runs.plan import Plan, make_plan
from rpobench.store.files import read_json
from rpobench.types import RpobenchError

pytestmark = pytest.mark.usefixtures("model")


def plan(out: Path, method: str, **options: Any) -> Plan:
    return make_plan(method=method, task="LaMP-3", out=out / "runs", limit=6, **options)


def read_noted(out: Path, run_name: str) -> dict[str, Any]:
    return read_json(out / "runs" / run_name / "environment.json")


def test_environment_names_versions_and_hashes_and_no_path(tmp_path: Path) -> None:
    (summary,) = run(plan(tmp_path, "zero-shot"))

    noted = read_noted(tmp_path, summary.run)

    assert noted["processor"] and noted["cores"] >= 1 and noted["threads"] >= 1
    assert noted["packages"]["rpobench"] == rpobench.__version__
    assert noted["data_sha256"] == generate("LaMP-3", "dev", 6).sha256
    assert str(tmp_path) not in json.dumps(noted)


def test_environment_lists_the_instructions_that_change_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("model name\t: Some CPU\nflags\t\t: fpu avx2 avx512f_not avx512_bf16\n")
    monkeypatch.setattr("rpobench.runs.environment.CPU_FACTS", facts)

    (summary,) = run(plan(tmp_path, "zero-shot"))

    assert read_noted(tmp_path, summary.run)["instruction_sets"] == ["avx2", "avx512_bf16"]


def test_evidence_that_would_be_cut_otherwise_is_refused(tmp_path: Path) -> None:
    (summary,) = run(plan(tmp_path, "zero-shot"))
    (file,) = tmp_path.glob(f"**/{summary.run}/environment.json")
    note_evidence_identities(file, {"reference_tokenizer": "words@1"})

    with pytest.raises(RpobenchError, match="was cut by words@1, now it is words@2"):
        note_evidence_identities(file, {"reference_tokenizer": "words@2"})


def test_environment_names_what_ranked_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rpobench.runs.runner._load_reference_tokenizer", Words)

    bare, rag = run(plan(tmp_path, "zero-shot,rag-bm25", swap=False))

    noted = read_noted(tmp_path, rag.run)
    assert (noted["reference_tokenizer"], noted["retrievers"]) == ("words@1", ["bm25okapi-0.2.2"])
    noted = read_noted(tmp_path, bare.run)
    assert (noted["reference_tokenizer"], noted["retrievers"]) == (None, [])


@pytest.mark.parametrize(("status", "dirty"), [("", False), (" M rpobench/runs/runner.py\n", True)])
def test_environment_says_whether_the_code_was_changed(
    monkeypatch: pytest.MonkeyPatch, status: str, dirty: bool
) -> None:
    def answer_git(folder: Path, *arguments: str) -> str:
        return status if arguments[0] == "status" else "ab12\n"

    monkeypatch.setattr("rpobench.runs.environment._run_git", answer_git)

    noted = describe_environment(data_sha256="", hashes=PromptHashes("", ""))

    assert (noted["commit"], noted["dirty"]) == ("ab12", dirty)


def test_a_run_whose_prompts_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(plan(tmp_path, "zero-shot"))
    monkeypatch.setattr(type(get_task("LaMP-3")), "with_evidence", lambda self, input, evidence: "other words")

    with pytest.raises(RpobenchError, match="prompt_sha256 differs"):
        run(plan(tmp_path, "zero-shot"))
