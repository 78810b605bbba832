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

    completions = model.generate([ask("a b"), ask("c")], Decoding())
    model.choose([ask("d")], ["x"])
    model.loglikelihood([ask("e")], ["x"])

    usage = completions[0].usage
    assert [completion.text for completion in completions] == ["A B", "C"]
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (1, 2, 2)
    assert model.calls == 4
    assert [chat[-1].content for chat in model.chats] == ["a b", "c", "d", "e"]


def test_choose_takes_the_first_of_the_most_frequent_options() -> None:
    model = ScriptedModel(lambda chat: "")
    chats = [ask("action comedy comedy"), ask("neither")]

    choices = model.choose(chats, ["action", "comedy"])
    scores = model.loglikelihood(chats, ["comedy", "comedy"])

    assert [choice.text for choice in choices] == ["comedy", "action"]
    assert scores == [2.0, 0.0]


def test_a_scorer_decides_instead() -> None:
    model = ScriptedModel(lambda chat: "", scorer=lambda chat, text: -len(text))

    (choice,) = model.choose([ask("long long")], ["long", "no"])

    assert choice.text == "no"


def test_echo_takes_the_users_words_after_the_last_colon() -> None:
    model = open_scripted("echo")
    numbers = " ".join(map(str, range(20)))
    chat = (*ask("first: no"), Message("assistant", "x: y"), *ask(f"text: review: {numbers}"))

    with_colon, without_colon = model.generate([chat, ask("no mark")], Decoding())

    assert with_colon.text == "0 1 2 3 4 5 6 7 8 9 10 11"
    assert without_colon.text == "no mark"


def test_the_declared_names_open_a_language_model() -> None:
    models = [get_model(f"scripted:{rule}") for rule in ("echo", "generic")]

    first, second = models[1].generate([ask("one"), ask("two")], Decoding())

    assert isinstance(models[0], LanguageModel)
    assert [model.identity for model in models] == ["scripted:echo", "scripted:generic"]
    assert first.text == second.text != ""


def test_the_environment_sets_log_and_delay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "calls.jsonl"
    monkeypatch.setenv("RPOBENCH_SCRIPTED_LOG", str(log))
    monkeypatch.setenv("RPOBENCH_SCRIPTED_DELAY", "0.05")

    for _ in range(2):  # as two processes would: each appends
        started = time.perf_counter()
        open_scripted("echo").generate([ask("a"), ask("b\nc")], Decoding())
        assert time.perf_counter() - started >= 0.1

    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["last"] for entry in entries] == ["a", "b\nc"] * 2
    assert {(entry["kind"], entry["model"]) for entry in entries} == {("generate", "scripted:echo")}


def test_wrong_names_and_delays_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RpobenchError, match="scripted:parrot: unknown rule 'parrot'; known: echo, generic"):
        open_scripted("parrot")

    monkeypatch.setenv("RPOBENCH_SCRIPTED_DELAY", "soon")
    with pytest.raises(RpobenchError, match="RPOBENCH_SCRIPTED_DELAY is 'soon'"):
        open_scripted("echo")
