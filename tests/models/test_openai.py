"""A served model against a real server on this machine: what is asked, what is retried, what ends as a failure."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest
from chat_server import FAULTS, KEY, ChatServer, chats

from rpobench.models.served.openai import RETRIES, ServedModel, open_served
from rpobench.models.served.options import ServedOptions
from rpobench.models.served.replies import REFUSED
from rpobench.models.served.reply_faults import EMPTY_TRIES
from rpobench.types import Decoding, Message

GREEDY = Decoding(max_new_tokens=8)


def served(server: ChatServer, **options: object) -> ServedModel:
    """A model of this server; options that are none of `ServedModel` are those of its requests."""
    of_model = {name: options.pop(name) for name in ("concurrency", "patience") if name in options}
    request_options = ServedOptions(**{"deadline": 5.0, **options})  # type: ignore[arg-type]
    return ServedModel("tiny", base_url=server.url, options=request_options, **of_model)  # type: ignore[arg-type]


def test_answers_come_in_order_with_their_tokens(server: ChatServer) -> None:
    completions = served(server).generate(chats(40), GREEDY)

    assert [completion.text for completion in completions] == [f"say this number {number}" for number in range(40)]
    for completion in completions:
        usage = completion.usage
        assert (usage.calls, usage.prompt_tokens, usage.completion_tokens) == (1, 4, 4)
        assert usage.seconds > 0 and usage.dollars is None and completion.failure is None


def test_what_a_server_is_sent(server: ChatServer) -> None:
    chat = (Message("system", "be brief"), Message("user", "half \ud83d a pair"))

    served(server).generate([chat], Decoding(max_new_tokens=9, temperature=0.5, top_p=0.9))

    (body,) = server.bodies
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "half ? a pair"}]
    expected = {"model": "tiny", "messages": messages, "temperature": 0.5, "top_p": 0.9, "max_tokens": 9}
    assert body == expected
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_system_prompt_is_asked_with_and_part_of_the_identity(server: ChatServer) -> None:
    cached = open_served("tiny?system=Be+brief&deadline=5", base_url=server.url + "/")
    model, plain = cached.inner, served(server)

    model.generate(chats(1), GREEDY)

    assert server.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief"}
    assert plain.identity == f"openai:tiny@{server.url}"
    assert model.identity.startswith(plain.identity + "+system:") and model.identity == cached.identity
    assert served(server, system="Be long").identity != model.identity


def test_equal_sampled_chats_get_a_seed_each_repeatably(server: ChatServer) -> None:
    model = served(server, concurrency=1)

    for seed in (1, 1, 2):
        model.generate([*chats(1) * 2, *chats(2)], Decoding(8, temperature=1.0, seed=seed))
    seeds = [body["seed"] for body in server.bodies]
    first, second, other = seeds[:4], seeds[4:8], seeds[8:]

    assert first == second and len({*first[:3]}) == 3 and first[0] == first[3]
    assert not {*first} & {*other}

    served(server).generate(chats(1), GREEDY)
    assert "seed" not in server.bodies[-1]


def test_as_many_requests_at_a_time_as_allowed(server: ChatServer) -> None:
    server.delay = 0.1

    served(server, concurrency=7).generate(chats(21), GREEDY)

    assert server.most_under_way == 7


def test_a_label_is_what_the_model_says(server: ChatServer) -> None:
    server.reply = lambda body: "It is comedy."

    (choice,) = served(server).choose(chats(1), ["comedy", "drama"], neutral=chats(1))

    assert choice.text == "It is comedy." and server.bodies[0]["temperature"] == 0 and len(server.bodies) == 1


def test_it_works_where_an_event_loop_runs_already(server: ChatServer) -> None:
    async def notebook() -> str:
        return served(server).generate(chats(1), GREEDY)[0].text

    assert asyncio.run(notebook()) == "say this number 0"


@pytest.mark.parametrize("fault", [*FAULTS, "shapeless", "deep"])
def test_every_fault_is_asked_again(server: ChatServer, fault: str) -> None:
    server.faults = [fault]

    (completion,) = served(server, deadline=1.0).generate(chats(1), GREEDY)

    assert completion.text == "say this number 0" and completion.failure is None
    tries = EMPTY_TRIES if fault in ("empty", "shapeless") else 2
    assert server.served == {fault: 1} and len(server.bodies) == tries


def test_retry_after_is_honoured(server: ChatServer) -> None:
    server.faults = ["429"]  # which says 1 second

    started = time.monotonic()
    served(server).generate(chats(1), GREEDY)

    assert time.monotonic() - started >= 1


def test_retry_after_may_be_a_date(server: ChatServer) -> None:
    server.faults = ["429"]
    server.retry_after = formatdate(time.time() + 3, usegmt=True)  # which has no fractions of a second

    started = time.monotonic()
    served(server).generate(chats(1), GREEDY)

    assert time.monotonic() - started >= 1.5


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "out of order"),
        ("malformed", "an answer that is no JSON"),
        ("empty", "an empty answer"),
        ("shapeless", "without choices"),
        ("endless", "more than 4 MB"),
        ("hanging", "no whole answer in 0.2 s"),
        ("slow", "no whole answer in 0.2 s"),
        ("closed", "disconnected"),
    ],
)
def test_what_stays_unanswered_fails_alone(server: ChatServer, fault: str, reason: str) -> None:
    model = served(server, deadline=0.2, concurrency=1)
    model.generate(chats(1), GREEDY)

    server.faults = [fault] * (EMPTY_TRIES if fault in ("empty", "shapeless") else RETRIES + 1)
    failed, answered = model.generate(chats(2), GREEDY)

    assert failed.text == "" and failed.failure is not None and reason in failed.failure
    tries = EMPTY_TRIES if fault in ("empty", "shapeless") else RETRIES + 1
    assert f"asked {tries} times" in failed.failure and "\n" not in failed.failure
    assert answered.text == "say this number 1" and answered.failure is None


def test_a_refusal_is_a_failure_and_is_not_asked_again(server: ChatServer) -> None:
    server.finish = "content_filter"
    (completion,) = served(server).generate(chats(1), GREEDY)
    assert completion.failure == REFUSED

    server.error = (400, {"message": "flagged", "code": "content_filter"})
    (completion,) = served(server).generate(chats(1), GREEDY)
    assert (completion.text, completion.failure) == ("", f"{REFUSED} (Error code: 400 - flagged)")
    assert completion.permanent and len(server.bodies) == 2


def test_with_a_fifth_of_faults_every_chat_is_accounted_for(server: ChatServer) -> None:
    server.share = 0.2

    completions = served(server, deadline=1.0).generate(chats(200), GREEDY)

    assert len(completions) == 200
    assert all(bool(completion.text) != bool(completion.failure) for completion in completions)
    assert sum(completion.failure is not None for completion in completions) < 200 / 20
    assert all(server.served[kind] for kind in FAULTS), server.served
