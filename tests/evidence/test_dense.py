"""Dense retrieval: what is encoded when, what is kept, how rankings are fused, and what the embedded encoder finds."""

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


def test_texts_are_ranked_by_likeness_and_ties_keep_order(letters: Letters) -> None:
    assert list(Dense().rank("aab", ["zz", "ab", "aab", "zz"])) == [2, 1, 0, 3]
    assert list(Dense().rank("a", [])) == []


def test_each_text_is_encoded_once_and_no_text_is_kept(letters: Letters, tmp_path: Path) -> None:
    Dense().rank("query words", ["secret one", "secret two", "secret one"])
    Dense().rank("query words", ["secret two", "new"])

    assert [sorted(texts) for texts in letters.passes] == [["query words", "secret one", "secret two"], ["new"]]
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    assert sqlite3.connect(file).execute("SELECT count(*) FROM vectors").fetchone() == (4,)
    kept_bytes = b"".join(path.read_bytes() for path in (tmp_path / "cache").iterdir() if path.is_file())
    assert b"secret" not in kept_bytes


def test_texts_of_all_profiles_are_encoded_in_one_pass(letters: Letters) -> None:
    task, examples = get_task("LaMP-7"), [labelled.example for labelled in generate("LaMP-7", "dev", 4).labelled]

    rankings = Rankings(0).rank(task, examples, Dense())

    assert [len(ranking) for ranking in rankings] == [len(example.profile) for example in examples]
    assert len(letters.passes) == 1


def test_many_texts_are_encoded_and_kept_in_slices(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "SLICE", 4)
    texts = [letter * 2 for letter in "abcdefghij"]
    encode = letters.encode

    def encode_until_killed(part: Sequence[str], **options: Any) -> np.ndarray:
        if "ii" in part:
            raise KeyboardInterrupt
        return encode(part, **options)

    monkeypatch.setattr(letters, "encode", encode_until_killed)
    with pytest.raises(KeyboardInterrupt):
        encoder.Encoder().store_vectors(texts)
    monkeypatch.setattr(letters, "encode", encode)
    vectors = encoder.Encoder().encode([*texts, "aa"])

    assert letters.passes == [texts[:4], texts[4:8], texts[8:]]
    assert (vectors.argmax(axis=1) == [*range(10), 0]).all()


def test_a_hybrid_ranking_sums_reciprocal_ranks(letters: Letters) -> None:
    texts = ["dog cat", "act", "bird fish", "tac dog dog"]
    bm25, dense = list(BM25().rank("cat", texts)), list(Dense().rank("cat", texts))

    scores = [1 / (61 + bm25.index(index)) + 1 / (61 + dense.index(index)) for index in range(4)]

    assert bm25 != dense
    assert list(Hybrid().rank("cat", texts)) == sorted(range(4), key=lambda index: (-scores[index], index))


def test_recency_and_likeness_take_turns_without_repeats(letters: Letters) -> None:
    dates = [date(2020, 1, day) for day in (1, 2, 3, 4)]

    ranking = list(RecencyDense().rank("aa", ["aa", "ab", "bb", "aaa"], dates=dates))

    assert ranking == [3, 0, 2, 1]
    with pytest.raises(RpobenchError, match="needs a date"):
        RecencyDense().rank("a", ["a"], dates=[None])


def test_a_method_names_its_encoder_in_its_identity(letters: Letters, tmp_path: Path) -> None:
    hybrid = get_method("rag-hybrid")(get_method("rag-hybrid").Config(encoder="some/where"))
    dense = get_method("rag-dense")(get_method("rag-dense").Config())

    identities = {get_retriever(name).identity for name in ("dense", "hybrid", "recency-dense", "bm25", "recency")}

    assert hybrid.retrievers() == ("hybrid:some/where",)
    assert identify_models(dense)["encoder"].startswith("all-minilm")
    assert "all-minilm-l6-v2@b9a0018dff09" in get_retriever("dense").identity
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


def test_a_checkpoint_without_pooling_gets_the_tokens_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_another_pooling_is_another_encoder(tmp_path: Path) -> None:
    folder = save_tiny_bert(tmp_path / "bert")
    identity = encoder.Encoder(str(folder)).identity

    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "bert")
    assert encoder.Encoder(str(copy)).identity == identity and identity.startswith("bert@")

    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert encoder.Encoder(str(folder)).identity != identity


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
    requests: list[str] = []

    def find_checkpoint(name: str) -> Checkpoint:
        requests.append(name)
        return Checkpoint(save_tiny_bert(tmp_path / "bert"), name)

    monkeypatch.setattr(encoder, "find_checkpoint", find_checkpoint)

    assert encoder.Encoder("facebook/contriever").identity.startswith("facebook/contriever@")
    assert requests == ["facebook/contriever@970b380340c2e3fac6eba814e23e906e3635c8ae"]


@pytest.mark.slow
def test_the_embedded_encoder_finds_what_shares_no_word() -> None:
    texts = ["The stock market fell sharply today", "A kitten slept on the sofa", "New bridge opens over the river"]
    assert get_retriever("dense").rank("a small cat napping on the couch", texts)[0] == 1
