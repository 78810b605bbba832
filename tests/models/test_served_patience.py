"""A rate limit that lasts: all requests wait, the user sees how long, and the run stops where it takes too long."""

from __future__ import annotations

import pytest
from chat_server import ChatServer, chats

from rpobench.models.served import checked_client, patience
from rpobench.models.served.openai import ServedModel
from rpobench.types import Decoding, RpobenchError

GREEDY = Decoding(max_new_tokens=8)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_client, "LONGEST_SILENCE", 0)  # every rate limit that names a time is waited for aloud
    monkeypatch.setattr(patience, "TOLD_EVERY", 0.4)


def test_a_long_limit_is_waited_for_and_told(server: ChatServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.faults, server.retry_after = ["429"] * 4, "1"

    completions = ServedModel("tiny", base_url=server.url, concurrency=4).generate(chats(8), GREEDY)

    assert all(completion.text for completion in completions)
    lines = capsys.readouterr().err.splitlines()
    assert "rate limit (Error code: 429 - slow down" in lines[0] and lines[0].endswith("asks again in 1 s")
    assert 2 <= len(lines) <= 4, "one countdown for all requests"
    assert len(server.bodies) == 12


def test_beyond_the_patience_the_run_stops(server: ChatServer) -> None:
    server.error, server.retry_after = (429, {"message": "the day's share is used up"}), "7200"

    with pytest.raises(RpobenchError, match=r"the day's share is used up.*--patience is 60; .*the same command"):
        ServedModel("tiny", base_url=server.url, patience=60).generate(chats(8), GREEDY)


def test_an_answer_makes_the_next_wait_a_first_one(server: ChatServer) -> None:
    server.faults, server.retry_after = ["429", "", "429", "", "429"], "1"

    completions = ServedModel("tiny", base_url=server.url, concurrency=1, patience=1.5).generate(chats(4), GREEDY)

    assert all(completion.text for completion in completions)
