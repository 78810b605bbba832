"""Dense retrieval: what is encoded when, what is kept, how orders are fused, and what the embedded encoder finds."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpobench import get_method, get_retriever
from rpobench.data.synth.world import generate
from rpobench.evidence.dense import Dense, Hybrid, RecencyDense
from rpobench.evidence.rankings import Rankings
from rpobench.evidence.retrievers import BM25
from rpobench.models import encoder
from rpobench.models.local.checkpoints import Checkpoint
from rpobench.registry import get_task, identify_models
from rpobench.types import RpobenchError

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Letters:
    """Stands in for the weights: a text's vector counts its letters. Records what it is given."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []

    def encode(self, texts: Sequence[str], *, batch_size: int, show_progress_bar: bool) -> np.ndarray:
        self.passes.append(list(texts))
        counts = np.array([[text.count(letter) for letter in LETTERS] for text in texts], dtype=np.float64)
        return counts / np.maximum(1, np.linalg.norm(counts, axis=1, keepdims=True))


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Letters:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    weights = Letters()
    monkeypatch.setattr(encoder.Encoder, "_model", weights)
    return weights


def test_texts_are_ordered_by_likeness_and_equal_ones_keep_their_place(letters: Letters) -> None:
    assert list(Dense().rank("aab", ["zz", "ab", "aab", "zz"])) == [2, 1, 0, 3]
    assert list(Dense().rank("a", [])) == []


def test_each_text_is_encoded_once_also_by_the_next_process_and_no_text_is_kept(
    letters: Letters, tmp_path: Path
) -> None:
    Dense().rank("query words", ["secret one", "secret two", "secret one"])
    Dense().rank("query words", ["secret two", "new"])
    assert [sorted(texts) for texts in letters.passes] == [["query words", "secret one", "secret two"], ["new"]]
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    assert sqlite3.connect(file).execute("SELECT count(*) FROM vectors").fetchone() == (4,)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "cache").iterdir() if path.is_file())
    assert b"secret" not in kept


def test_all_texts_of_all_profiles_are_encoded_in_one_pass(letters: Letters) -> None:
    task, asked = get_task("LaMP-7"), [one.example for one in generate("LaMP-7", "dev", 4).labelled]
    orders = Rankings(0).rank(task, asked, Dense())
    assert [len(order) for order in orders] == [len(one.profile) for one in asked]
    assert len(letters.passes) == 1


def test_many_texts_are_encoded_and_kept_some_at_a_time(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "SLICE", 4)
    texts = [letter * 2 for letter in "abcdefghij"]
    whole = letters.encode

    def killed(part: Sequence[str], **options: Any) -> np.ndarray:
        if "ii" in part:
            raise KeyboardInterrupt
        return whole(part, **options)

    monkeypatch.setattr(letters, "encode", killed)
    with pytest.raises(KeyboardInterrupt):
        encoder.Encoder().store_vectors(texts)
    monkeypatch.setattr(letters, "encode", whole)
    vectors = encoder.Encoder().encode([*texts, "aa"])
    assert letters.passes == [texts[:4], texts[4:8], texts[8:]]
    assert (vectors.argmax(axis=1) == [*range(10), 0]).all()


def test_a_hybrid_order_is_the_sum_of_reciprocal_ranks(letters: Letters) -> None:
    texts = ["dog cat", "act", "bird fish", "tac dog dog"]
    bm25, dense = list(BM25().rank("cat", texts)), list(Dense().rank("cat", texts))
    score = {place: 1 / (61 + bm25.index(place)) + 1 / (61 + dense.index(place)) for place in range(4)}
    assert bm25 != dense
    assert list(Hybrid().rank("cat", texts)) == sorted(range(4), key=lambda place: (-score[place], place))


def test_recency_and_likeness_take_turns_and_no_item_comes_twice(letters: Letters) -> None:
    dates = [date(2020, 1, day) for day in (1, 2, 3, 4)]
    order = list(RecencyDense().rank("aa", ["aa", "ab", "bb", "aaa"], dates=dates))
    assert order == [3, 0, 2, 1]
    with pytest.raises(RpobenchError, match="needs a date"):
        RecencyDense().rank("a", ["a"], dates=[None])


def test_the_encoder_is_named_by_the_method_and_in_the_identity(letters: Letters, tmp_path: Path) -> None:
    method = get_method("rag-hybrid")(get_method("rag-hybrid").Config(encoder="some/where"))
    assert method.retrievers() == ("hybrid:some/where",)
    assert identify_models(get_method("rag-dense")(get_method("rag-dense").Config()))["encoder"].startswith(
        "all-minilm"
    )
    assert "all-minilm-l6-v2@b9a0018dff09" in get_retriever("dense").identity
    identities = {get_retriever(name).identity for name in ("dense", "hybrid", "recency-dense", "bm25", "recency")}
    assert len(identities) == 5
    with pytest.raises(RpobenchError, match="no such folder"):
        _ = Dense("nowhere").identity


def save_tiny_bert(folder: Path) -> Path:
    """A random one-layer BERT that knows a few words, without a word on pooling, like Contriever's checkpoint."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "sat"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder)
    return folder


def test_a_checkpoint_without_pooling_gets_the_mean_over_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import BertModel

    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path / "cache"))
    folder = save_tiny_bert(tmp_path / "bert")
    long, short = encoder.Encoder(str(folder)).encode(["cat sat dog cat", "dog"])  # padded in one batch
    model = BertModel.from_pretrained(folder).eval()
    for vector, tokens in ((long, [2, 5, 7, 6, 5, 3]), (short, [2, 6, 3])):
        with torch.no_grad():
            states = model(torch.tensor([tokens])).last_hidden_state[0]
        assert np.allclose(vector, states.mean(dim=0).numpy(), atol=1e-5)


def test_another_pooling_is_another_encoder_and_another_place_is_not(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "bert")
    first = encoder.Encoder(str(folder)).identity
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere" / "bert")
    assert encoder.Encoder(str(elsewhere)).identity == first and first.startswith("bert@")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert encoder.Encoder(str(folder)).identity != first


def test_a_pickle_beside_the_weights_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "bert")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(RpobenchError, match=r"pytorch_model\.bin is a pickle, which is never loaded"):
        encoder.Encoder(str(folder)).folder  # noqa: B018


def test_a_damaged_file_of_vectors_is_one_line(letters: Letters, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "vectors.sqlite").write_text("no database " * 100)
    with pytest.raises(RpobenchError, match=r"vectors\.sqlite: file is not a database: delete it"):
        Dense().rank("a", ["b"])


def test_contriever_means_its_revision_with_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def found(place: str) -> Checkpoint:
        asked.append(place)
        return Checkpoint(save_tiny_bert(tmp_path / "bert"), place)

    monkeypatch.setattr(encoder, "find_checkpoint", found)
    assert encoder.Encoder("facebook/contriever").identity.startswith("facebook/contriever@")
    assert asked == ["facebook/contriever@970b380340c2e3fac6eba814e23e906e3635c8ae"]


@pytest.mark.slow
def test_the_embedded_encoder_finds_what_shares_no_word() -> None:
    texts = ["The stock market fell sharply today", "A kitten slept on the sofa", "New bridge opens over the river"]
    assert get_retriever("dense").rank("a small cat napping on the couch", texts)[0] == 1
