"""Dollars: from tokens and a price, never guessed, and a budget that ends a run between two answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_server import KEY, ChatServer, chat_server

from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.prices import Budget, Price, PricedModel, read_price
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.models.served.openai import ServedModel
from rpobench.types import Chat, Decoding, Message, RpobenchError, Usage

CHATS: list[Chat] = [(Message("user", f"say this number {number}"),) for number in range(40)]


def serve(server: ChatServer, cache_file: Path) -> CachedModel:
    """A served model with four requests at a time, its answers cached in the file."""
    return CachedModel(ServedModel("tiny", base_url=server.url, concurrency=4), AnswerCache(cache_file))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with chat_server() as running:
        yield running


def test_dollars_are_tokens_times_price_cached_or_not(tmp_path: Path) -> None:
    budget = Budget()
    cached_model = CachedModel(ScriptedModel(echo), AnswerCache(tmp_path / "a.sqlite"))
    model = PricedModel(cached_model, Price(2.0, 10.0), budget)
    expected = (4 * 2.0 + 4 * 10.0) / 1e6

    for _ in range(2):
        completions = model.generate(CHATS, Decoding())
        assert [completion.usage.dollars for completion in completions] == pytest.approx([expected] * 40)
    assert budget.spent == pytest.approx(40 * expected), "the second time nothing was asked"

    (choice,) = model.choose(CHATS[:1], ["say"])
    assert choice.usage.dollars == pytest.approx((4 * 2.0 + 1 * 10.0) / 1e6)
    assert model.identity == "scripted" and model.loglikelihood(CHATS[:1], ["say"]) == [1.0]


def test_without_token_counts_the_price_stays_unknown(server: ChatServer) -> None:
    server.counts = False
    model = PricedModel(ServedModel("tiny", base_url=server.url), Price(2.0, 10.0))

    (completion,) = model.generate(CHATS[:1], Decoding())

    assert completion.usage.dollars is None
    assert Price(1, 1).dollars(Usage(1)) is None


def test_a_budget_that_cannot_be_counted_stops(server: ChatServer, tmp_path: Path) -> None:
    server.counts = False
    model = PricedModel(serve(server, tmp_path / "a.sqlite"), Price(2.0, 10.0), Budget(5.0))

    with pytest.raises(RpobenchError, match=r"--max-cost 5: the server counts no tokens, .*leave --max-cost out"):
        model.generate(CHATS, Decoding())

    assert len(server.bodies) <= 4


def test_a_spent_budget_stops_and_the_next_call_goes_on(server: ChatServer, tmp_path: Path) -> None:
    cost = (4 * 1000 + 4 * 1000) / 1e6
    cache_file = tmp_path / "a.sqlite"

    requests = []
    for _ in range(2):
        model = PricedModel(serve(server, cache_file), Price(1000, 1000), Budget(10 * cost))
        with pytest.raises(RpobenchError, match=r"--max-cost 0.08: \$0.\d+ spent; answers are kept, the same command"):
            model.generate(CHATS, Decoding())
        requests.append(len(server.bodies))

    first, second = requests[0], requests[1] - requests[0]
    assert 10 <= first <= 13 and 10 <= second <= 13, "at most what was under way more than the limit"
    assert AnswerCache(cache_file).info().answers == requests[1], "every answer that was paid is kept"

    server.bodies.clear()
    PricedModel(serve(server, cache_file), Price(1, 1)).generate(CHATS, Decoding())
    assert len(server.bodies) == 40 - requests[1]


def test_without_a_cache_a_call_that_began_is_finished() -> None:
    inner = ScriptedModel(echo)
    model = PricedModel(inner, Price(1000, 1000), Budget(0.001))

    completions = model.generate(CHATS, Decoding())

    assert len(completions) == 40
    with pytest.raises(RpobenchError, match="--max-cost"):
        model.generate(CHATS, Decoding())
    assert inner.calls == 40


def test_prices_from_the_command_line_and_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"openai:tiny": [1, 2.5]}))

    assert read_price("0.15,0.6", "openai:any") == Price(0.15, 0.6)
    assert read_price(str(file), "openai:tiny") == Price(1, 2.5)
    assert read_price(str(file), "openai:other") is None


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", "-1,2", "1,inf", "nan,1", "nowhere.json"])
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(RpobenchError, match=f"--price {text}: give IN,OUT in dollars a million tokens"):
        read_price(text, "openai:tiny")


@pytest.mark.parametrize(
    "price",
    [
        "3",
        '["a", 1]',
        "[1]",
        "{}",
        '"12"',
        "[true, 1]",
        '["1", "2"]',
        '{"1": 1, "2": 2}',
        "[-1, 2]",
        "[1e999, 2]",
        "[1" + "0" * 400 + ", 2]",
    ],
)
def test_what_is_no_price_file(tmp_path: Path, price: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"openai:tiny": ' + price + "}")

    with pytest.raises(RpobenchError, match=r"prices.json: give IN,OUT in dollars"):
        read_price(str(file), "openai:tiny")


@pytest.mark.parametrize("content", ["[]", "3", '"openai:tiny"', "", "[" * 100_000])
def test_a_price_file_that_is_no_table(tmp_path: Path, content: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(content)

    with pytest.raises(RpobenchError, match=r"prices.json: give IN,OUT in dollars"):
        read_price(str(file), "openai:tiny")
