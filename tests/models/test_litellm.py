"""`litellm:PROVIDER/MODEL`: the library's exceptions, usage and prices, its silence, and the keys that none may see."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, chats
from command_line import spawn_rpobench

import rpobench
from rpobench.models.protocol import PromptTooLong
from rpobench.models.served import litellm as adapter
from rpobench.models.served.litellm import LiteLLMModel
from rpobench.models.served.options import ServedOptions
from rpobench.types import Decoding, RpobenchError

pytestmark = pytest.mark.slow  # the library is an extra of its own, and takes seconds to import

GREEDY = Decoding(8)
KEY = "sk-vllm-quite-secret-9876"
VENDOR = "anthropic/claude-sonnet-4-5"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, server: ChatServer) -> None:
    monkeypatch.setattr(adapter, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(adapter, "PAUSE", 0.001)
    monkeypatch.setenv("HOSTED_VLLM_API_KEY", KEY)
    monkeypatch.delenv("HOSTED_VLLM_API_BASE", raising=False)
    for name in adapter.QUIET:
        monkeypatch.setenv(name, "")


def served(server: ChatServer, **options: Any) -> LiteLLMModel:
    return LiteLLMModel("hosted_vllm/tiny", base_url=server.url, **options)


def run(server: ChatServer, out: Path, **options: Any) -> dict[str, Any]:
    values = {"method": "zero-shot", "task": "LaMP-7", "limit": 12, "out": out, "swap": False}
    (run_object,) = rpobench.run(**values, base_model="litellm:hosted_vllm/tiny", base_url=server.url, **options)
    return run_object


def test_a_run_and_the_same_again(server: ChatServer, tmp_path: Path) -> None:
    first = run(server, tmp_path / "first")
    assert len(server.bodies) == 12 and first["failed"] == 0
    assert server.bodies[0]["model"] == "tiny" and server.bodies[0]["temperature"] == 0

    second = run(server, tmp_path / "second")
    assert len(server.bodies) == 12 and second["metrics"] == first["metrics"]

    folder = tmp_path / "first" / first["run"]
    assert json.loads((folder / "spec.json").read_text())["base_model"] == f"litellm:hosted_vllm/tiny@{server.url}"
    usage = json.loads((folder / "result.json").read_text())["usage"]
    assert usage["calls"] == 12 and usage["prompt_tokens"] > 12 and usage["completion_tokens"] >= 12


def test_the_vendors_key_is_sent_and_written_nowhere(server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda body: f"your key is {KEY}"

    run(server, tmp_path / "runs")

    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    files = [file for folder in ("runs", "cache") for file in (tmp_path / folder).rglob("*") if file.is_file()]
    assert not [file for file in files if KEY.encode() in file.read_bytes()]
    assert [file for file in files if b"your key is [HOSTED_VLLM_API_KEY]" in file.read_bytes()]


def test_a_server_of_the_users_needs_no_key(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOSTED_VLLM_API_KEY")

    (completion,) = served(server).generate(chats(1), GREEDY)

    assert completion.failure is None


def test_a_refused_prompt_stays_alone(server: ChatServer, tmp_path: Path) -> None:
    model = served(server, concurrency=1)
    model.generate(chats(1), GREEDY)

    server.error = (400, {"message": "Content Exists Risk"})
    (completion,) = model.generate(chats(1), GREEDY)

    assert completion.permanent and "Content Exists Risk" in str(completion.failure)
    assert len(server.bodies) == 2, "a refusal is not asked again"


@pytest.mark.parametrize("fault", ["429", "500", "malformed", "empty", "closed", "shapeless"])
def test_a_passing_fault_is_asked_again(server: ChatServer, fault: str) -> None:
    server.faults, server.retry_after = [fault], "0"

    (completion,) = served(server, options=ServedOptions(deadline=5)).generate(chats(1), GREEDY)

    assert completion.failure is None and server.served == {fault: 1}


def test_as_many_requests_at_a_time_as_were_asked_for(server: ChatServer) -> None:
    server.delay = 0.1

    served(server, concurrency=3).generate(chats(9), GREEDY)

    assert server.most_under_way == 3


def test_a_reply_that_drips_has_a_deadline(server: ChatServer) -> None:
    server.faults = ["slow"]

    (completion,) = served(server, options=ServedOptions(deadline=0.5)).generate(chats(1), GREEDY)

    assert completion.failure is None and len(server.bodies) == 2


def test_a_refused_key_names_the_vendors_variable(server: ChatServer) -> None:
    server.error = (401, {"message": f"{KEY} is no key of ours"})

    with pytest.raises(RpobenchError, match=r"refuses the key .*set HOSTED_VLLM_API_KEY") as error:
        served(server).generate(chats(1), GREEDY)

    assert KEY not in str(error.value)


def test_options_reach_the_server_and_the_identity(server: ChatServer) -> None:
    options = {"chat_template_kwargs": {"enable_thinking": False}}
    model = rpobench.get_model(
        "litellm:hosted_vllm/tiny?system=Be+brief&temperature=0.5", base_url=server.url, model_options=options
    )

    model.generate(chats(1), GREEDY)

    (body,) = server.bodies
    assert body["messages"][0] == {"role": "system", "content": "Be brief"} and body["temperature"] == 0.5
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    for part in ("+system:", "+temperature:0.5", "+chat_template_kwargs:"):
        assert part in model.identity


def library_error(name: str) -> Exception:
    """An exception of the library's own, as it raises it."""
    exceptions = pytest.importorskip("litellm").exceptions
    words = {"message": f"{name} with {KEY}", "llm_provider": "anthropic", "model": VENDOR}
    if name == "PermissionDeniedError":
        import httpx

        words["response"] = httpx.Response(403, request=httpx.Request("POST", "https://example.invalid"))
    if name == "APIError":
        words["status_code"] = 529
    error: Exception = getattr(exceptions, name)(**words)
    return error


def answer_with(
    monkeypatch: pytest.MonkeyPatch, model: LiteLLMModel, *outcomes: Exception | str
) -> list[dict[str, Any]]:
    """The library raises or says these one after the other, the last one for ever; returns what it was asked."""
    from litellm import ModelResponse

    bodies: list[dict[str, Any]] = []

    async def acompletion(**body: Any) -> Any:
        outcome = outcomes[min(len(bodies), len(outcomes) - 1)]
        bodies.append(body)
        if isinstance(outcome, Exception):
            raise outcome

        choice = {"index": 0, "message": {"role": "assistant", "content": outcome}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        return ModelResponse(model=model.model, choices=[choice], usage=usage)

    monkeypatch.setattr(model._library, "acompletion", acompletion)
    return bodies


@pytest.mark.parametrize("name", ["ContentPolicyViolationError", "BadRequestError", "UnprocessableEntityError"])
def test_exceptions_of_one_prompt(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = LiteLLMModel(VENDOR, concurrency=1)
    bodies = answer_with(monkeypatch, model, "first", library_error_or_status(name), "last")

    first, refused, last = model.generate(chats(3), GREEDY)

    assert (first.text, last.text) == ("first", "last") and len(bodies) == 3
    assert refused.permanent and refused.failure and KEY not in refused.failure


def library_error_or_status(name: str) -> Exception:
    """As `library_error`, for the exception that wants a response."""
    if name != "UnprocessableEntityError":
        return library_error(name)

    import httpx
    from litellm.exceptions import UnprocessableEntityError

    response = httpx.Response(422, request=httpx.Request("POST", "https://example.invalid"))
    error: Exception = UnprocessableEntityError("no", VENDOR, "anthropic", response)
    return error


@pytest.mark.parametrize(
    "name",
    ["RateLimitError", "ServiceUnavailableError", "InternalServerError", "Timeout", "APIConnectionError", "APIError"],
)
def test_exceptions_that_pass(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = LiteLLMModel(VENDOR)
    bodies = answer_with(monkeypatch, model, library_error(name), library_error(name), "word")

    (completion,) = model.generate(chats(1), GREEDY)

    assert completion.text == "word" and len(bodies) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("AuthenticationError", "refuses the key .*; set ANTHROPIC_API_KEY"),
        ("NotFoundError", "knows no such model"),
        ("ContextWindowExceededError", "the prompt exceeds the model's context"),
        ("PermissionDeniedError", "refuses the key or the request .*ANTHROPIC_API_KEY"),
    ],
)
def test_exceptions_that_end_a_run(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    model = LiteLLMModel(VENDOR)
    bodies = answer_with(monkeypatch, model, library_error(name))

    with pytest.raises(RpobenchError, match=rf"litellm:{VENDOR}: {message}") as error:
        model.generate(chats(1), GREEDY)

    assert isinstance(error.value, PromptTooLong) == (name == "ContextWindowExceededError")
    assert len(bodies) == 1 and KEY not in str(error.value)


def test_a_lasting_rate_limit_is_waited_for_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LiteLLMModel(VENDOR, patience=20)
    limit = library_error("RateLimitError")
    limit.litellm_response_headers = {"retry-after": "30"}  # type: ignore[attr-defined]
    bodies = answer_with(monkeypatch, model, limit)

    with pytest.raises(RpobenchError, match=r"its rate limit lasts .*--patience is 20"):
        model.generate(chats(1), GREEDY)

    assert len(bodies) == 1


def test_what_a_model_does_not_take_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from litellm.exceptions import UnsupportedParamsError

    model = LiteLLMModel("openai/o1")
    words = "O-series models don't support temperature=0.0. Only temperature=1 is supported."
    bodies = answer_with(monkeypatch, model, UnsupportedParamsError(words, "openai", "o1"), "word")

    (completion,) = model.generate(chats(1), GREEDY)

    assert completion.text == "word" and "temperature" in bodies[0] and "temperature" not in bodies[1]
    assert model.identity == "litellm:openai/o1+without:temperature"
    assert "refuses temperature; it is left out" in capsys.readouterr().err


def test_the_library_itself_refuses_what_no_model_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none-that-works")
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    model = LiteLLMModel("openai/o1", options=ServedOptions(deadline=5))

    completions = []
    with pytest.raises(RpobenchError, match="0 did not"):
        model.generate_each(chats(1), GREEDY, lambda index, completion: completions.append(completion))

    assert "temperature" not in str(completions[0].failure), "the second try went without it, and found no server"


@pytest.mark.parametrize(
    ("name", "price"),
    [("openai/gpt-4o-mini", (0.15, 0.6)), ("gpt-4o-mini", (0.15, 0.6)), ("hosted_vllm/gpt-4o-mini", None)],
)
def test_prices_are_the_librarys(name: str, price: tuple[float, float] | None) -> None:
    list_price = LiteLLMModel(name).list_price

    assert (list_price and (list_price.prompt, list_price.completion)) == price


def test_a_model_elsewhere_has_no_list_price(server: ChatServer) -> None:
    assert LiteLLMModel("openai/gpt-4o-mini", base_url=server.url).list_price is None


def test_dollars_are_those_of_the_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from litellm import ModelResponse, completion_cost

    monkeypatch.setattr(adapter, "LiteLLMModel", with_answers(monkeypatch, "word"))
    plan = {"method": "zero-shot", "task": "LaMP-7", "limit": 4, "swap": False, "base_model": "litellm:openai/gpt-4o"}

    (run_object,) = rpobench.run(**plan, out=tmp_path / "runs")

    result = json.loads((tmp_path / "runs" / run_object["run"] / "result.json").read_text())
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    dollars = completion_cost(ModelResponse(model="gpt-4o", usage=usage), model="openai/gpt-4o")
    assert result["usage"]["dollars"] == pytest.approx(4 * dollars)
    assert "litellm:openai/gpt-4o: $2.5 and $10 a million tokens read and written" in capsys.readouterr().err

    with pytest.raises(RpobenchError, match=r"--max-cost 0.005: .* spent"):
        rpobench.run(**{**plan, "limit": 30}, out=tmp_path / "runs", max_cost=0.005)
    with pytest.raises(RpobenchError, match=r"--max-cost 0.005: .* spent"):
        rpobench.run(**{**plan, "limit": 40}, out=tmp_path / "runs", max_cost=0.005, price="9,9")


def with_answers(monkeypatch: pytest.MonkeyPatch, text: str) -> Callable[..., LiteLLMModel]:
    """A factory of models that say the same to everything."""

    def make(*arguments: Any, **options: Any) -> LiteLLMModel:
        model = LiteLLMModel(*arguments, **options)
        answer_with(monkeypatch, model, text)
        return model

    return make


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_key": "x"}, "option 'api_key' is written by rpobench itself"),
        ({"aws_secret_access_key": "x"}, "option 'aws_secret_access_key' holds a key"),
        ({"extra_headers": {"Authorization": KEY}}, "option 'extra_headers' holds a key"),
        ({"api_base": "http://127.0.0.1/v1"}, "option 'api_base' is the server's address; give it with --base-url"),
    ],
)
def test_options_with_keys_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RpobenchError, match=message) as error:
        rpobench.get_model("litellm:hosted_vllm/tiny", model_options=options)

    assert KEY not in str(error.value)


def test_an_unknown_provider_is_one_line() -> None:
    with pytest.raises(RpobenchError, match="litellm:nobody/some-model: the library knows no such provider") as error:
        rpobench.get_model("litellm:nobody/some-model")

    assert "\n" not in str(error.value)


def test_an_address_in_a_variable_is_part_of_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://127.0.0.1:8000/v1")
    assert LiteLLMModel("hosted_vllm/tiny").identity == "litellm:hosted_vllm/tiny@http://127.0.0.1:8000/v1"

    monkeypatch.setenv("HOSTED_VLLM_API_BASE", f"http://me:{KEY}@127.0.0.1:8000/v1")
    with pytest.raises(RpobenchError, match="carries more than an address") as error:
        LiteLLMModel("hosted_vllm/tiny")
    assert KEY not in str(error.value)


def test_a_teacher_through_the_library_is_told(server: ChatServer, tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match=r"--max-cost 1: rpo also asks its teacher litellm:hosted_vllm/tiny"):
        rpobench.run(
            method="rpo",
            task="LaMP-7",
            limit=2,
            out=tmp_path,
            base_model="openai:tiny",
            base_url=server.url,
            price="1,1",
            max_cost=1,
            settings={"writer": "teacher", "teacher": "litellm:hosted_vllm/tiny"},
        )


NO_NETWORK = """
import socket, sys
real = socket.getaddrinfo
def local_only(host, *arguments, **options):
    if host not in ("127.0.0.1", "localhost", b"127.0.0.1"):
        print("asked for", host, file=sys.stderr)
        raise OSError("no network here")
    return real(host, *arguments, **options)
socket.getaddrinfo = local_only
"""


def test_the_library_is_silent_and_asks_nobody_else(server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOME_SETTING=read\n")
    arguments = ["run", "--method", "zero-shot", "--task", "LaMP-7", "--limit", "3", "--out", str(tmp_path / "runs")]
    arguments += ["--base-model", "litellm:hosted_vllm/tiny", "--base-url", server.url, "--no-swap"]
    watch = "import os; print('env', os.environ.get('SOME_SETTING'), file=sys.stderr)"
    code = f"{NO_NETWORK}\nfrom rpobench.cli.main import main\ntry:\n    main()\nfinally:\n    {watch}"

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
    )

    # A line of the run's own begins with its time.
    lines = [line for line in done.stderr.splitlines() if not re.match(r"[\d-]+ [\d:]+ (estimate: |LaMP-7 )", line)]
    assert done.returncode == 0 and lines == ["env None"], done.stderr


def test_listing_models_does_not_import_the_library() -> None:
    code = (
        "import sys, rpobench.registry as registry; registry.list_names('models'); assert 'litellm' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert "litellm" in spawn_rpobench("list", "models").stdout
