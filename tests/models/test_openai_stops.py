"""What ends a run with a served model: one line that says which server, model or chat, and what to do."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import httpx2
import pytest
from aiohttp import web
from chat_server import KEY, ChatServer, chats

from rpobench.models.protocol import PromptTooLong
from rpobench.models.served.checked_client import CheckedClient
from rpobench.models.served.failure_limit import FailureLimit
from rpobench.models.served.openai import ServedModel, open_served
from rpobench.registry import get_model
from rpobench.types import Completion, Decoding, RpobenchError

GREEDY = Decoding(max_new_tokens=8)


def error_of(model: ServedModel, count: int = 1) -> str:
    """The one-line error that ends a call of that many chats."""
    with pytest.raises(RpobenchError) as error:
        model.generate(chats(count), GREEDY)

    assert "\n" not in str(error.value) and KEY not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("status", "content", "pattern"),
    [
        (401, {"message": f"Incorrect API key provided: {KEY}"}, "refuses the key .*set OPENAI_API_KEY"),
        (403, {"message": "not for you"}, "refuses the key"),
        (404, {"message": "no model tiny"}, "knows no such model or address .*no model tiny.*--base-url"),
        (400, {"message": "n must be\n1"}, "refuses the request .*n must be 1"),
        (429, {"message": "pay", "code": "insufficient_quota"}, "refuses the request .*pay"),
    ],
)
def test_what_every_request_would_meet(server: ChatServer, status: int, content: dict[str, Any], pattern: str) -> None:
    server.error = (status, content)

    message = error_of(ServedModel("tiny", base_url=server.url))

    assert message.startswith(f"openai:tiny at {server.url}: ")
    assert re.search(pattern, message)


@pytest.mark.parametrize(
    "content",
    [
        {"message": "maximum context length is 64 tokens, you asked for 99", "code": "context_length_exceeded"},
        {"message": "This model's maximum context length is 64 tokens."},
        {"message": "the request exceeds the available context size"},
        {"message": "prompt is too long: 99 tokens"},
    ],
)
def test_a_chat_beyond_the_context_is_named(server: ChatServer, content: dict[str, Any]) -> None:
    server.error = (400, content)

    with pytest.raises(PromptTooLong, match="exceeds the model's context") as error:
        ServedModel("tiny", base_url=server.url).generate(chats(1), GREEDY)

    assert error.value.chat == chats(1)[0]


def test_an_unreachable_server(server: ChatServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    message = error_of(ServedModel("tiny", base_url=f"http://127.0.0.1:{port}/v1"))

    assert f"http://127.0.0.1:{port}/v1" in message and "connection" in message and "check --base-url" in message


def test_a_server_that_is_down_ends_the_run_early(server: ChatServer) -> None:
    model = ServedModel("tiny", base_url=server.url, concurrency=2)
    model.generate(chats(1), GREEDY)
    server.error = (500, {"message": "out of order"})

    with pytest.raises(RpobenchError, match=r"10 requests failed, 1 did not; the last: .*out of order.* same command"):
        model.generate(chats(100), GREEDY)

    assert len(server.bodies) <= 1 + 6 * 11


def test_a_few_failures_and_never_an_answer_is_no_result(server: ChatServer) -> None:
    server.error = (500, {"message": "out of order"})

    message = error_of(ServedModel("tiny", base_url=server.url), 3)

    assert "3 requests failed, 0 did not" in message


def test_ten_failures_in_a_row_pass_the_limit() -> None:
    limit = FailureLimit()

    verdicts = [limit.add(failed=True) for _ in range(10)]

    assert verdicts == [False] * 9 + [True]


def test_failures_that_come_in_after_the_answers_are_no_row(server: ChatServer) -> None:
    original = server._answer

    def answer(body: dict[str, Any]) -> Any:
        number = int(body["messages"][0]["content"].split()[-1])
        server.error = (500, {"message": "out of order"}) if number < 12 else None
        return original(body)

    server._answer = answer  # type: ignore[method-assign]

    completions = ServedModel("tiny", base_url=server.url).generate(chats(200), GREEDY)

    assert sum(completion.failure is not None for completion in completions) == 12


def test_a_fourth_of_failures_passes_the_limit_a_fifth_not() -> None:
    fourth, fifth = FailureLimit(), FailureLimit()

    fourth_verdicts = [fourth.add(failed=number % 4 == 0) for number in range(60)]
    fifth_verdicts = [fifth.add(failed=number % 5 == 4) for number in range(1000)]

    assert fourth_verdicts.index(True) == 49, "as soon as 50 were asked"
    assert not any(fifth_verdicts)


def test_what_comes_in_after_a_stop_is_still_reported(server: ChatServer) -> None:
    server.delay = 0.1
    reported: list[int] = []

    def stop(index: int, completion: Completion) -> None:
        reported.append(index)
        raise RpobenchError("enough")

    with pytest.raises(RpobenchError, match="enough"):
        ServedModel("tiny", base_url=server.url, concurrency=5).generate_each(chats(50), GREEDY, stop)

    assert sorted(reported) == [0, 1, 2, 3, 4] and len(server.bodies) == 5


def test_a_server_that_repeats_the_key_is_not_quoted(server: ChatServer) -> None:
    model = ServedModel("tiny", base_url=server.url, concurrency=1)

    server.reply = lambda body: f"your key is {KEY}"
    assert model.generate(chats(1), GREEDY)[0].text == "your key is [OPENAI_API_KEY]"

    server.error = (500, {"message": f"the key {KEY} \x1b[2J broke me"})
    failure = model.generate(chats(1), GREEDY)[0].failure
    assert failure is not None and "the key [OPENAI_API_KEY] ?[2J broke me" in failure


def test_no_part_of_a_repeated_key_is_quoted_where_words_are_cut(server: ChatServer) -> None:
    def answer(body: dict[str, Any]) -> Any:
        return web.json_response({"odd": "x" * (110 - len(server.bodies)), "key": KEY})

    server._answer = answer  # type: ignore[method-assign]

    for _ in range(15):
        assert KEY[:4] not in error_of(ServedModel("tiny", base_url=server.url))


def test_words_in_another_form_are_quoted_too(server: ChatServer) -> None:
    server.error, server.error_field = (400, {"message": "pinned to another model"}), "detail"

    message = error_of(ServedModel("tiny", base_url=server.url))

    assert "(Error code: 400 - {'detail': {'message': 'pinned to another model'}})" in message


def test_without_likelihoods() -> None:
    model = ServedModel("tiny", base_url="http://localhost:1/v1")
    with pytest.raises(RpobenchError, match=r"openai:tiny at .*: API models have no likelihoods"):
        model.loglikelihood(chats(1), ["a"])


def test_counts_that_are_missing_are_zero(server: ChatServer) -> None:
    server.counts = False

    (completion,) = ServedModel("tiny", base_url=server.url).generate(chats(1), GREEDY)

    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (0, 0)


@pytest.mark.parametrize("count", [-5, True, "7", 1.5, None, 10**400])
def test_counts_that_are_none_are_zero(server: ChatServer, count: object) -> None:
    server.usage = {"prompt_tokens": count, "completion_tokens": count}

    (completion,) = ServedModel("tiny", base_url=server.url).generate(chats(1), GREEDY)

    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (0, 0)


@pytest.mark.parametrize(
    ("argument", "url", "complaint"),
    [
        ("", "http://x/v1", "names no model"),
        (
            "tiny?speed=1",
            "http://x/v1",
            "openai:tiny?speed=1: unknown option 'speed'; known: body, deadline, max_tokens,",
        ),
        ("tiny?deadline=0", "http://x/v1", "openai:tiny?deadline=0: option 'deadline' is '0'; give seconds"),
        ("tiny?deadline=nan", "http://x/v1", "openai:tiny?deadline=nan: option 'deadline' is 'nan'; give seconds"),
        ("tiny", "localhost:80", "--base-url localhost:80: is no address"),
        ("tiny", "http://[::1", "--base-url http://[::1: is no address"),
        ("tiny", "http://host:99999/v1", "--base-url http://host:99999/v1: is no address"),
        ("tiny", "http://host:abc/v1", "--base-url http://host:abc/v1: is no address"),
        ("tiny", "http://ho st/v1", "--base-url http://ho st/v1: is no address"),
        ("tiny", "http://h\x1bst/v1", "--base-url http://h?st/v1: is no address"),
        ("tiny", "http://../v1", "--base-url http://../v1: is no address"),
        ("tiny", f"http://me:{KEY}@host/v1", "put the key into OPENAI_API_KEY"),
        ("tiny", f"http://host/v1?key={KEY}", "put the key into OPENAI_API_KEY"),
        ("tiny", None, "https://api.openai.com/v1: wants a key; set OPENAI_API_KEY"),
    ],
)
def test_wrong_options(argument: str, url: str | None, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)

    with pytest.raises(RpobenchError) as error:
        open_served(argument, base_url=url)

    assert complaint in str(error.value) and KEY not in str(error.value)


def test_the_address_may_come_from_the_environment(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert get_model("openai:tiny", concurrency=3).identity == f"openai:tiny@{server.url}"


def test_an_option_that_a_model_does_not_take() -> None:
    with pytest.raises(RpobenchError, match="--base-url: base model 'scripted' has no such option; leave it out"):
        get_model("scripted:echo", base_url="http://x/v1")


def test_a_refused_key_is_not_asked_again(server: ChatServer) -> None:
    server.error = (401, {"message": "who are you"})

    error_of(ServedModel("tiny", base_url=server.url, concurrency=3), 50)

    assert len(server.bodies) <= 3, "what was under way, no more"


@pytest.mark.parametrize("key", ["sk-sécret-0123456789", "sk-secret\n0123456789", "sk secret 0123456789"])
def test_a_key_that_no_request_can_carry(server: ChatServer, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)

    with pytest.raises(RpobenchError, match=r"^OPENAI_API_KEY: holds characters that no key has; ") as error:
        ServedModel("tiny", base_url=server.url)

    assert key not in str(error.value)


def test_space_around_a_key_is_not_part_of_it(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    server.reply = lambda body: f"your key is {KEY}"

    (completion,) = ServedModel("tiny", base_url=server.url, concurrency=1).generate(chats(1), GREEDY)

    assert completion.text == "your key is [OPENAI_API_KEY]"
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("delay", ["3600", "9" * 30, "9" * 5000])
def test_a_server_that_wants_an_hour_is_not_waited_for(server: ChatServer, delay: str) -> None:
    server.error, server.retry_after = (429, {"message": "later"}), delay

    message = error_of(ServedModel("tiny", base_url=server.url))

    assert f"later, with Retry-After: {delay[:200]}, asked 1 time); waited 0 s, --patience is 300" in message
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
@pytest.mark.parametrize(
    "body", [b"\xff\xfe{", b"<html>\xff</html>", b"[1]", b'{"error": {"message": {"a": 1}, "code": [1]}}']
)
def test_an_error_in_any_form_is_one_line(server: ChatServer, status: int, body: bytes) -> None:
    server._answer = lambda _: web.Response(status=status, body=body)  # type: ignore[method-assign]

    assert f"Error code: {status}" in error_of(ServedModel("tiny", base_url=server.url))


def test_a_host_without_connections_is_given_up_early() -> None:
    patient = CheckedClient(deadline=60, connections=1)
    impatient = CheckedClient(deadline=0.2, connections=1)

    assert (patient.timeout.connect, patient.timeout.read) == (10, 60)
    with socket.socket() as silent_host:
        silent_host.bind(("127.0.0.1", 0))
        silent_host.listen(0)
        address = silent_host.getsockname()
        # The connection takes the only seat in its queue.
        with socket.create_connection(address), pytest.raises(httpx2.TimeoutException):
            asyncio.run(impatient.get(f"http://127.0.0.1:{address[1]}/"))
