"""A served model that refuses single prompts: each server in its own words, and when everything is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from chat_server import ChatServer, chats

from rpobench.models.protocol import PromptTooLong
from rpobench.models.served.asking import OTHER_PROMPTS
from rpobench.models.served.openai import ServedModel
from rpobench.models.served.options import ServedOptions
from rpobench.models.served.reply_faults import EMPTY_TRIES
from rpobench.types import Completion, Decoding, RpobenchError

GREEDY = Decoding(max_new_tokens=8)
Answer = Callable[[dict[str, Any]], web.Response]


def served(server: ChatServer, **options: Any) -> ServedModel:
    return ServedModel("tiny", base_url=server.url, options=ServedOptions(deadline=5.0), **options)


def error_reply(status: int, error: object, **more: object) -> web.Response:
    return web.json_response({"error": error, **more}, status=status)


def choice_reply(content: object, finish_reason: str = "stop", **message: object) -> web.Response:
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish_reason}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 3}})


def misbehave(server: ChatServer, reply: Callable[[], web.Response], *numbers: int) -> None:
    """From now on the prompts with these numbers get this reply; without numbers all get it."""
    original = server._answer

    def answer(body: dict[str, Any]) -> web.Response:
        words = body["messages"][0]["content"]
        is_hit = not numbers or any(words.endswith(f" number {number}") for number in numbers)
        return reply() if is_hit else original(body)

    server._answer = answer  # type: ignore[method-assign]


REFUSALS: dict[str, Callable[[], web.Response]] = {
    "azure": lambda: error_reply(400, {"message": "filtered by the policy", "code": "content_filter"}),
    "deepseek": lambda: error_reply(400, {"message": "Content Exists Risk", "type": "invalid_request_error"}),
    "moonshot": lambda: error_reply(400, {"message": "considered high risk", "type": "content_filter"}),
    "openai": lambda: error_reply(400, {"message": "Invalid prompt: usage policy", "code": "invalid_prompt"}),
    "openrouter": lambda: error_reply(403, {"message": "Your input was flagged", "code": 403}),
    "validation": lambda: web.json_response({"detail": [{"loc": ["body"], "msg": "unsafe"}]}, status=422),
    "text": lambda: web.Response(text="blocked by the gateway", status=400),
    "gemini": lambda: choice_reply(None, "content_filter: PROHIBITED_CONTENT"),
    "gemini without choices": lambda: web.json_response({"promptFeedback": {"blockReason": "SAFETY"}}),
    "refusal field": lambda: choice_reply(None, refusal="I cannot help with that"),
    "recitation": lambda: choice_reply("", "RECITATION"),
    "a long error": lambda: web.Response(text="no " * 2_000_000, status=400),
    "no gzip": lambda: web.Response(body=b"no", status=400, headers={"Content-Encoding": "gzip"}),
    "cohere": lambda: choice_reply("half an ans", "ERROR_TOXIC"),
    "a list in a 200": lambda: web.json_response([{"error": {"code": 403, "message": "flagged"}}]),
    "minimax": lambda: web.json_response({"base_resp": {"status_code": 1026, "status_msg": "input is sensitive"}}),
    "inside a 200": lambda: error_reply(200, {"message": "flagged", "code": 403}),
}


@pytest.mark.parametrize("vendor", REFUSALS)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_refused_prompt_alone_has_no_answer(server: ChatServer, vendor: str, concurrency: int) -> None:
    misbehave(server, REFUSALS[vendor], 0, 7)
    reported: dict[int, Completion] = {}

    completions = served(server, concurrency=concurrency).generate_each(chats(20), GREEDY, reported.__setitem__)

    failed = [index for index, completion in enumerate(completions) if completion.failure]
    assert failed == [0, 7] and completions[0].permanent and completions[7].permanent
    assert [reported[index] for index in range(20)] == list(completions)
    assert len(server.bodies) == 20, "none is asked twice"


@pytest.mark.parametrize("vendor", ["deepseek", "openrouter", "validation", "text", "inside a 200"])
def test_where_everything_is_refused_the_server_says_why(server: ChatServer, vendor: str) -> None:
    misbehave(server, REFUSALS[vendor])

    with pytest.raises(RpobenchError, match=r"Content Exists Risk|flagged|unsafe|blocked") as error:
        served(server, concurrency=1).generate(chats(50), GREEDY)

    assert "refuses the" in str(error.value)
    assert len(server.bodies) == OTHER_PROMPTS + 1, "so many are tried before it is given up"


def test_fewer_prompts_are_all_tried(server: ChatServer) -> None:
    misbehave(server, REFUSALS["deepseek"])

    with pytest.raises(RpobenchError, match="Content Exists Risk"):
        served(server).generate(chats(3), GREEDY)

    assert len(server.bodies) == 3


def test_the_eighth_other_prompt_may_answer(server: ChatServer) -> None:
    misbehave(server, REFUSALS["deepseek"], *range(OTHER_PROMPTS))

    completions = served(server, concurrency=1).generate(chats(OTHER_PROMPTS + 1), GREEDY)

    assert [completion.permanent for completion in completions] == [True] * OTHER_PROMPTS + [False]


def test_what_was_answered_earlier_clears_a_refusal(server: ChatServer) -> None:
    misbehave(server, REFUSALS["deepseek"])
    model = served(server)
    model.has_earlier_answers = lambda: True

    (completion,) = model.generate(chats(1), GREEDY)

    assert completion.permanent and "Content Exists Risk" in (completion.failure or "")


def test_refusals_are_no_faults_of_the_server(server: ChatServer) -> None:
    misbehave(server, REFUSALS["deepseek"], *range(1, 60))

    completions = served(server).generate(chats(80), GREEDY)

    assert sum(completion.permanent for completion in completions) == 59


def test_honest_empties_stay_empty_and_are_retried_at_once(server: ChatServer) -> None:
    misbehave(server, lambda: choice_reply(""), 3)

    completions = served(server).generate(chats(20), GREEDY)

    assert completions[3].permanent and "an empty answer" in (completions[3].failure or "")
    assert len(server.bodies) == 20 + EMPTY_TRIES - 1


@pytest.mark.parametrize("content", [None, [], " \n"])
def test_a_server_that_only_gives_empties_is_given_up(server: ChatServer, content: object) -> None:
    misbehave(server, lambda: choice_reply(content))

    with pytest.raises(RpobenchError, match=r"gives no answer .*an empty answer"):
        served(server, concurrency=1).generate(chats(50), GREEDY)

    assert len(server.bodies) == (OTHER_PROMPTS + 1) * EMPTY_TRIES


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "5"}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "5"}],
        ["5"],
        [{"type": "output_text", "text": "5"}],
        [{"text": "I think of 1", "thought": True}, {"text": "5"}],
        [{"type": "reasoning_text", "text": "hm"}, {"type": "summary_text", "text": "1"}, {"text": "5"}],
        [[{"type": "text", "text": {"value": "5"}}], None, {"type": "image_url", "image_url": {"url": "1"}}],
    ],
)
def test_parts_of_an_answer_are_joined(server: ChatServer, parts: list[object]) -> None:
    misbehave(server, lambda: choice_reply(parts))

    (completion,) = served(server).generate(chats(1), GREEDY)

    assert completion.text == "5" and completion.failure is None


@pytest.mark.parametrize("code", [429, "429", "rate_limit_exceeded", 502, None, "overloaded"])
def test_a_passing_error_inside_of_a_200_is_asked_again(server: ChatServer, code: object) -> None:
    replies = [web.json_response({"choices": None, "error": {"message": "later", "code": code}})]
    original = server._answer
    server._answer = lambda body: replies.pop() if replies else original(body)  # type: ignore[method-assign]

    (completion,) = served(server).generate(chats(1), GREEDY)

    assert completion.text == "say this number 0" and len(server.bodies) == 2


PASSING_ERRORS: dict[str, Callable[[], web.Response]] = {
    "gemini": lambda: web.json_response([{"error": {"code": 429, "message": "later"}}]),
    "minimax": lambda: web.json_response({"choices": None, "base_resp": {"status_code": 1002, "status_msg": "later"}}),
    "cloudflare": lambda: web.json_response({"errors": [{"message": "later", "code": 503}]}),
    "baidu": lambda: web.json_response({"error_code": 18, "error_msg": "later"}),
    "zhipu": lambda: web.json_response({"success": False, "code": 500, "msg": "later"}),
    "tencent": lambda: web.json_response({"Response": {"Error": {"Code": "InternalError", "Message": "later"}}}),
    "a text": lambda: error_reply(200, "an invalid response from upstream, later"),
    "broken off": lambda: choice_reply("half an ans", "error"),
    "deepseek": lambda: choice_reply("half an ans", "insufficient_system_resource"),
    "tgi": lambda: error_reply(424, "later"),
    "groq": lambda: error_reply(498, {"message": "later"}),
}


@pytest.mark.parametrize("vendor", PASSING_ERRORS)
def test_a_fault_in_any_vendors_form_is_asked_again(server: ChatServer, vendor: str) -> None:
    replies, original = [PASSING_ERRORS[vendor]], server._answer
    server._answer = lambda body: replies.pop()() if replies else original(body)  # type: ignore[method-assign]

    (completion,) = served(server).generate(chats(1), GREEDY)

    assert completion.text == "say this number 0" and len(server.bodies) == 2


@pytest.mark.parametrize("vendor", ["zhipu", "broken off", "tgi"])
def test_a_fault_that_does_not_pass_is_no_answer_and_not_final(server: ChatServer, vendor: str) -> None:
    misbehave(server, PASSING_ERRORS[vendor], 1)

    failed = served(server).generate(chats(3), GREEDY)[1]

    assert failed.failure and failed.text == "" and not failed.permanent


def test_the_error_of_a_choice_is_one_too(server: ChatServer) -> None:
    content = {"choices": [{"error": {"message": "upstream is down", "code": 502}, "message": {"content": ""}}]}
    misbehave(server, lambda: web.json_response(content), 1)

    answered, failed, _ = served(server).generate(chats(3), GREEDY)

    assert answered.text and "upstream is down" in (failed.failure or "") and not failed.permanent


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"message": "upstream quota exhausted, add credits", "code": 402}, "upstream quota exhausted, add credits"),
        ({"message": "No auth credentials found", "code": 401}, "No auth credentials found"),
        ({"message": "pay", "code": "insufficient_quota"}, "pay"),
        ({"message": "no such model", "code": 404}, "no such model"),
    ],
)
def test_an_error_for_the_user_inside_of_a_200(server: ChatServer, error: dict[str, Any], words: str) -> None:
    misbehave(server, lambda: error_reply(200, error))

    with pytest.raises(RpobenchError, match=words):
        served(server).generate(chats(2), GREEDY)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (
            422,
            {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 43"},
        ),
        (422, {"error": "`inputs` must have less than 1024 tokens. Given: 1200"}),
        (400, {"error": {"message": "Please reduce the length of the messages or completion."}}),
        (413, {"error": {"message": "Request too large for model `x`: please reduce your message size"}}),
        (400, {"error": {"message": "<400> InternalError: Range of input length should be [1, 30720]"}}),
        (400, {"error": {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum"}}),
        (400, {"error": {"message": "This model's maximum prompt length is 131072 but the request contains 5"}}),
        (400, {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192"}}),
        (400, {"error": {"message": "The input token count (12) exceeds the maximum number of tokens allowed (8)"}}),
        (400, {"error": {"message": "Input is too long for requested model."}}),
        (429, {"error": {"message": "Request too large for gpt-4 on tokens per min (TPM): Limit 1, Requested 2"}}),
        (400, {"object": "error", "message": "The input (5 tokens) is longer than the model's context length (4)"}),
    ],
)
def test_a_prompt_beyond_the_context_in_any_words(server: ChatServer, status: int, content: dict[str, Any]) -> None:
    misbehave(server, lambda: web.json_response(content, status=status), 1)

    with pytest.raises(PromptTooLong) as error:
        served(server, concurrency=1).generate(chats(3), GREEDY)

    assert error.value.chat == chats(2)[1]


def test_a_limit_on_answers_is_no_long_prompt(server: ChatServer) -> None:
    words = "max_tokens is too large: 5000. This model supports at most 4096 completion tokens"
    misbehave(server, lambda: error_reply(400, {"message": words}))

    with pytest.raises(RpobenchError, match="max_tokens is too large: 5000") as error:
        served(server).generate(chats(2), GREEDY)

    assert not isinstance(error.value, PromptTooLong)


def test_thinking_that_takes_all_tokens_says_what_to_set(server: ChatServer) -> None:
    misbehave(server, lambda: choice_reply("", "length", reasoning_content="let me think"), 1)

    completions = served(server).generate(chats(4), GREEDY)

    assert "--think-tokens" in (completions[1].failure or "") and completions[1].permanent
    assert completions[1].truncated and len(server.bodies) == 4, "it is not asked again"


def test_thinking_is_counted_and_no_answer(server: ChatServer) -> None:
    def reply() -> web.Response:
        message = {"content": "<think>\nOkay, 1 is lowest.\n</think>\n\n5", "reasoning": "secret"}
        usage = {"prompt_tokens": 50, "completion_tokens": 4, "total_tokens": 120}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    misbehave(server, reply)

    (completion,) = served(server).generate(chats(1), GREEDY)

    assert completion.text.strip() == "5" and "1 is lowest" in (completion.raw or "")
    assert completion.usage.completion_tokens == 70, "its thinking stands in the total alone"


@pytest.mark.parametrize("finish_reason", ["length", "MAX_TOKENS", "max_tokens"])
def test_an_answer_at_the_limit_is_marked(server: ChatServer, finish_reason: str) -> None:
    misbehave(server, lambda: choice_reply("I think that", finish_reason), 0)

    cut_off, whole = served(server).generate(chats(2), GREEDY)

    assert cut_off.truncated and not whole.truncated


def test_earlier_answers_clear_any_number_of_refusals(server: ChatServer) -> None:
    misbehave(server, REFUSALS["deepseek"])
    model = served(server)
    model.has_earlier_answers = lambda: True

    completions = model.generate(chats(3 * OTHER_PROMPTS), GREEDY)

    assert all(completion.permanent for completion in completions)
    assert len(server.bodies) == 3 * OTHER_PROMPTS


def test_an_answer_under_way_clears_refusals_that_came_sooner(server: ChatServer) -> None:
    misbehave(server, REFUSALS["deepseek"], *range(1, 2 * OTHER_PROMPTS))
    server.slow_words = " number 0"

    completions = served(server).generate(chats(4 * OTHER_PROMPTS), GREEDY)

    assert sum(completion.permanent for completion in completions) == 2 * OTHER_PROMPTS - 1
