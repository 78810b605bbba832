"""The model without weights: what it answers, and that its calls are counted."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from rpobench import get_model
from rpobench.models.protocol import LanguageModel
from rpobench.models.scripted import ScriptedModel, open_scripted
from rpobench.types import Decoding, Message, RpobenchError


def ask(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def test_a_reply_answers_each_chat_and_is_counted() -> None:
    model = ScriptedModel(lambda chat: chat[-1].content.upper())
    answers = model.generate([ask("a b"), ask("c")], Decoding())
    assert [answer.text for answer in answers] == ["A B", "C"]
    assert (answers[0].usage.calls, answers[0].usage.prompt_tokens, answers[0].usage.completion_tokens) == (1, 2, 2)
    model.choose([ask("d")], ["x"])
    model.loglikelihood([ask("e")], ["x"])
    assert model.calls == 4
    assert [chat[-1].content for chat in model.chats] == ["a b", "c", "d", "e"]


def test_choose_takes_the_most_frequent_option_and_the_first_of_equal_ones() -> None:
    model = ScriptedModel(lambda chat: "")
    chats = [ask("action comedy comedy"), ask("neither")]
    assert [answer.text for answer in model.choose(chats, ["action", "comedy"])] == ["comedy", "action"]
    assert model.loglikelihood(chats, ["comedy", "comedy"]) == [2.0, 0.0]


def test_a_scorer_decides_instead() -> None:
    model = ScriptedModel(lambda chat: "", scorer=lambda chat, text: -len(text))
    assert model.choose([ask("long long")], ["long", "no"])[0].text == "no"


def test_echo_takes_the_words_after_the_last_colon_of_the_users_last_message() -> None:
    model = open_scripted("echo")
    chat = (*ask("first: no"), Message("assistant", "x: y"), *ask("text: review: " + " ".join(map(str, range(20)))))
    assert model.generate([chat], Decoding())[0].text == "0 1 2 3 4 5 6 7 8 9 10 11"
    assert model.generate([ask("no mark")], Decoding())[0].text == "no mark"


def test_the_declared_names_open_a_language_model() -> None:
    assert isinstance(get_model("scripted:echo"), LanguageModel)
    assert {get_model(f"scripted:{name}").identity for name in ("echo", "generic")} == {
        "scripted:echo",
        "scripted:generic",
    }
    generic = open_scripted("generic").generate([ask("one"), ask("two")], Decoding())
    assert generic[0].text == generic[1].text != ""


def test_the_environment_sets_log_and_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "calls.jsonl"
    monkeypatch.setenv("RPOBENCH_SCRIPTED_LOG", str(log))
    monkeypatch.setenv("RPOBENCH_SCRIPTED_DELAY", "0.05")
    for _ in range(2):  # as two processes would: each appends
        started = time.perf_counter()
        open_scripted("echo").generate([ask("a"), ask("b\nc")], Decoding())
        assert time.perf_counter() - started >= 0.1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["last"] for line in lines] == ["a", "b\nc"] * 2
    assert {(line["kind"], line["model"]) for line in lines} == {("generate", "scripted:echo")}


def test_wrong_names_and_delays_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RpobenchError, match="scripted:parrot: unknown rule 'parrot'; known: echo, generic"):
        open_scripted("parrot")
    monkeypatch.setenv("RPOBENCH_SCRIPTED_DELAY", "soon")
    with pytest.raises(RpobenchError, match="RPOBENCH_SCRIPTED_DELAY is 'soon'"):
        open_scripted("echo")
