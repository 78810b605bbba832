"""Cached answers: when one is found again, when it must not be, and what happens to a damaged file."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from rpobench import get_model
from rpobench.cli.cache import app
from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.prices import Price, PricedModel, without_cache
from rpobench.models.scripted import ScriptedModel
from rpobench.types import Chat, Completion, Decoding, Message, RpobenchError, Usage

CHATS: list[Chat] = [(Message("user", f"say: text {number}"),) for number in range(3)]
SAMPLED = Decoding(temperature=1.0, seed=1)


class Counted(ScriptedModel):
    """Says how often it was asked, so that no two answers are equal; fails where told to."""

    def __init__(self, identity: str = "counted") -> None:
        super().__init__(lambda chat: f"answer {self.calls}", identity)
        self.failing = False

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        completions = super().generate(chats, decoding)
        if not self.failing:
            return completions
        return [replace(completion, text="", failure="down") for completion in completions]


def cached(folder: Path, identity: str = "counted") -> tuple[CachedModel, Counted]:
    """A model with its cache in the folder, and the model inside it."""
    inner = Counted(identity)
    return CachedModel(inner, AnswerCache(folder / "answers.sqlite")), inner


def change_database(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    connection.close()


def test_the_same_call_is_not_made_twice(tmp_path: Path) -> None:
    first_model, first_inner = cached(tmp_path)
    second_model, second_inner = cached(tmp_path)

    first = first_model.generate(CHATS, Decoding())
    second = second_model.generate(CHATS, Decoding())

    assert (first_inner.calls, second_inner.calls) == (3, 0)
    assert [completion.text for completion in second] == [completion.text for completion in first]
    assert [completion.usage.prompt_tokens for completion in first] == [3, 3, 3]
    assert [completion.usage.prompt_tokens for completion in second] == [3, 3, 3]
    assert [completion.usage.cached for completion in first] == [0, 0, 0]
    assert [(completion.usage.cached, completion.usage.calls) for completion in second] == [(1, 1)] * 3


@pytest.mark.parametrize(
    "changed",
    [
        {"identity": "counted+adapter:1"},
        {"decoding": Decoding(max_new_tokens=65)},
        {"decoding": Decoding(temperature=0.1, seed=1)},
        {"decoding": Decoding(top_p=0.9)},
        {"chats": [(Message("system", "be brief"), *chat) for chat in CHATS]},
        {"chats": [(Message("assistant", chat[0].content),) for chat in CHATS]},
        {"chats": [(Message("user", chat[0].content + " "),) for chat in CHATS]},
    ],
)
def test_whatever_changes_an_answer_misses(tmp_path: Path, changed: dict[str, object]) -> None:
    model, _ = cached(tmp_path)
    model.generate(CHATS, Decoding())
    model.choose(CHATS, ["a", "b"])

    other, inner = cached(tmp_path, str(changed.get("identity", "counted")))
    other.generate(changed.get("chats", CHATS), changed.get("decoding", Decoding()))  # type: ignore[arg-type]

    assert inner.calls == 3


def test_a_local_models_adapter_template_and_system_prompt_miss(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "tiny"))
    base = AutoModelForCausalLM.from_pretrained(tiny_checkpoint)
    get_peft_model(base, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path / "adapter")
    cache = AnswerCache(tmp_path / "answers.sqlite")

    def hits(options: str = "") -> list[int]:
        model = CachedModel(get_model(f"hf:{folder}{options}"), cache)
        return [completion.usage.cached for completion in model.generate(CHATS, Decoding(2))]

    variants = ("", f"?adapter={tmp_path / 'adapter'}", "?system=Be+brief", "?dtype=bfloat16")
    assert [hits(options) for options in variants] == [[0, 0, 0]] * 4
    assert [hits(options) for options in variants] == [[1, 1, 1]] * 4

    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("You help.", "You hinder."))
    assert [hits(options) for options in variants] == [[0, 0, 0]] * 4


def test_what_is_kept_is_json_of_answer_and_counts_alone(tmp_path: Path) -> None:
    model, _ = cached(tmp_path)
    model.generate(CHATS, Decoding())
    with sqlite3.connect(tmp_path / "answers.sqlite") as connection:
        rows = connection.execute("SELECT key, model, value FROM answers").fetchall()
    connection.close()

    for key, identity, value in rows:
        assert len(key) == 64 and int(key, 16) and identity == "counted"
        content = json.loads(value)
        assert set(content) == {"text", "usage"} and content["usage"].keys() <= asdict(Usage()).keys()
    assert len(rows) == 3 and b"say:" not in (tmp_path / "answers.sqlite").read_bytes()


def test_sampling_is_kept_with_a_seed_only(tmp_path: Path) -> None:
    model, inner = cached(tmp_path)
    for seed, calls in ((1, 3), (1, 3), (2, 6), (None, 9)):
        model.generate(CHATS, replace(SAMPLED, seed=seed))
        assert inner.calls == calls
    model.generate(CHATS, replace(SAMPLED, seed=None))
    assert inner.calls == 12


def test_samples_of_one_chat_are_kept_apart(tmp_path: Path) -> None:
    model, inner = cached(tmp_path)

    (single,) = model.generate(CHATS[:1], SAMPLED)
    samples = model.generate(CHATS[:1] * 3, SAMPLED)
    assert samples[0].text == single.text and len({sample.text for sample in samples}) == 3
    assert inner.calls == 4, "the model numbers samples by their order, so the first is asked along"

    repeated = model.generate(CHATS[:1] * 3, SAMPLED)
    assert [sample.text for sample in repeated] == [sample.text for sample in samples]
    assert inner.calls == 4


def test_equal_greedy_chats_are_asked_once(tmp_path: Path) -> None:
    model, inner = cached(tmp_path)

    first, other, repeated = model.generate([CHATS[0], CHATS[1], CHATS[0]], Decoding())

    assert inner.calls == 2 and first.text == repeated.text != other.text
    assert (first.usage.cached, other.usage.cached, repeated.usage.cached) == (0, 0, 1)


def test_choices_depend_on_options_and_the_content_free_twin(tmp_path: Path) -> None:
    model, inner = cached(tmp_path)
    neutral = [(Message("user", "N/A"),)] * 3
    requests = [("12", None, 3), ("12", None, 3), ("12", neutral, 6), ("12", neutral, 6), ("21", None, 9)]

    for options, neutral_chats, calls in requests:
        model.choose(CHATS, options, neutral=neutral_chats)
        assert inner.calls == calls

    model.loglikelihood(CHATS, ["1"] * 3)
    model.loglikelihood(CHATS, ["1"] * 3)
    assert inner.calls == 15


def test_failures_are_asked_again(tmp_path: Path) -> None:
    model, inner = cached(tmp_path)

    inner.failing = True
    failed = model.generate(CHATS, Decoding())
    inner.failing = False
    answered = model.generate(CHATS, Decoding())

    assert failed[0].failure == "down" and answered[0].failure is None
    assert inner.calls == 6 and model.cache.info().answers == 3


def test_hits_and_misses_are_both_reported_where_they_stand(tmp_path: Path) -> None:
    model, _ = cached(tmp_path)
    model.generate(CHATS[1:2], Decoding())
    reported: dict[int, str] = {}

    def record(index: int, completion: Completion) -> None:
        reported[index] = completion.text

    completions = model.generate_each(CHATS, Decoding(), record)

    assert reported == dict(enumerate(completion.text for completion in completions)) and len(reported) == 3


def test_licensed_texts_go_around_it(tmp_path: Path) -> None:
    model, inner = cached(tmp_path)
    uncached = without_cache(PricedModel(model, Price(1, 1)))

    completions = uncached.generate(CHATS, Decoding())

    assert completions[0].usage.dollars is not None and inner.calls == 3
    assert without_cache(model) is inner and without_cache(inner) is inner
    assert not (tmp_path / "answers.sqlite").exists()


WRITER = """
import sys
from pathlib import Path
from rpobench.models.answer_cache import AnswerCache
from rpobench.types import Completion
cache = AnswerCache(Path(sys.argv[1]))
for number in range(200):
    key = str(number % 100)
    assert cache.get(key) is None or cache.get(key).text == key
    cache.put(key, sys.argv[2], Completion(key))
"""


def test_several_processes_at_once(tmp_path: Path) -> None:
    file = tmp_path / "answers.sqlite"
    command = [sys.executable, "-c", WRITER, str(file)]

    writers = [subprocess.Popen([*command, f"m{n}"], stderr=subprocess.PIPE, text=True) for n in range(4)]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0, 0], errors
    cache = AnswerCache(file)
    assert cache.info().answers == 100 and cache.find_damaged() == []


def test_the_file_is_made_by_one_at_a_time(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite")
    done = threading.Event()
    opener = threading.Thread(target=lambda: (cache.put("key", "m", Completion("a")), done.set()))

    with FileLock(tmp_path / "answers.lock"):  # as another process that is about to make it; SQLite would not wait
        opener.start()
        assert not done.wait(0.3) and not cache.path.exists()

    opener.join(60)
    assert done.is_set() and cache.get("key") is not None


def test_it_writes_ahead_so_that_readers_do_not_wait(tmp_path: Path) -> None:
    model, _ = cached(tmp_path)
    model.generate(CHATS, Decoding())
    writer = sqlite3.connect(tmp_path / "answers.sqlite", isolation_level=None)
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    writer.execute("BEGIN IMMEDIATE")
    completions = model.generate(CHATS, Decoding())

    assert completions[0].usage.cached == 1
    writer.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "answers.sqlite"
    file.write_text("this is no database, and long enough to look at" * 100)

    with pytest.raises(RpobenchError, match=r"answers.sqlite: file is not a database; .*move the file away"):
        CachedModel(Counted(), AnswerCache(file)).generate(CHATS, Decoding())


@pytest.mark.parametrize(
    "change", ["replace(value, 'answer', 'poison')", "'no JSON'", "'[]'", "x'ff00'", "CAST(x'ff00' AS TEXT)"]
)
def test_a_damaged_answer_is_not_given_out_but_asked_anew(tmp_path: Path, change: str) -> None:
    model, _ = cached(tmp_path)
    model.generate(CHATS, Decoding())

    change_database(model.cache.path, f"UPDATE answers SET value = {change} WHERE value LIKE '%answer 2%'")
    assert len(model.cache.find_damaged()) == 1

    second_model, second_inner = cached(tmp_path)
    texts = [completion.text for completion in second_model.generate(CHATS, Decoding())]
    assert second_inner.calls == 1 and texts == ["answer 1", "answer 1", "answer 3"]
    assert second_model.cache.find_damaged() == [] and second_model.cache.info().answers == 3


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path))
    model, _ = cached(tmp_path)
    model.generate(CHATS, Decoding())
    call = CliRunner().invoke

    info = json.loads(call(app, ["info", "--json"]).stdout)
    assert info["answers"] == 3 and info["models"] == {"counted": 3} and info["bytes"] > 0
    assert "3 answers" in call(app, ["info"]).stdout and call(app, ["verify"]).exit_code == 0

    change_database(model.cache.path, "UPDATE answers SET value = replace(value, 'answer 1', 'answer X')")
    failed = call(app, ["verify"])
    assert failed.exit_code == 1 and "1 damaged answers; `rpobench cache prune`" in str(failed.exception)
    assert len(json.loads(call(app, ["verify", "--json"]).stdout)["damaged"]) == 1

    assert call(app, ["prune"]).stdout.strip() == "1 answers removed"
    assert call(app, ["verify"]).exit_code == 0
    assert json.loads(call(app, ["prune", "--older-than", "0", "--json"]).stdout) == {"removed": 2}
    assert json.loads(call(app, ["info", "--json"]).stdout)["answers"] == 0


def test_a_models_name_is_shown_in_plain_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPOBENCH_CACHE", str(tmp_path))
    model, _ = cached(tmp_path, "a\x1b[2Jb")
    model.generate(CHATS, Decoding())

    output = CliRunner().invoke(app, ["info"]).stdout

    assert "3\ta\\x1b[2Jb" in output


def test_pruning_keeps_what_is_young(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite")
    cache.put("old", "m", Completion("a", Usage(1, 2, 3)))
    change_database(cache.path, "UPDATE answers SET made = made - 31 * 86400")
    cache.put("young", "m", Completion("b"))

    removed = cache.prune(older_than=30)

    assert removed == 1
    assert cache.get("old") is None and cache.get("young") is not None
