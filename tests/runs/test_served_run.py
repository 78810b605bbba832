"""`rpobench run` on a served model: what is asked again, what is not, what failures do to a result, and the key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chat_server import KEY, ChatServer
from paths import PLUGIN

import rpobench
from rpobench.data.synth.world import generate
from rpobench.submissions.check import check
from rpobench.types import RpobenchError

COUNT = 12


pytestmark = pytest.mark.usefixtures("server")


def run(server: ChatServer, out: Path, **options: Any) -> list[dict[str, Any]]:
    given = {"method": "zero-shot", "task": "LaMP-7", "limit": COUNT, "out": out, "base_url": server.url}
    return rpobench.run(**{**given, "base_model": "openai:tiny", **options})


def result(out: Path, made: list[dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / made[0]["run"] / "result.json").read_text())
    return content


def test_a_second_run_asks_nothing_and_a_changed_parameter_everything(server: ChatServer, tmp_path: Path) -> None:
    first = run(server, tmp_path / "one")
    assert len(server.bodies) == COUNT
    second = run(server, tmp_path / "two")
    assert len(server.bodies) == COUNT, "another folder: the cache answered"
    assert second[0]["metrics"] == first[0]["metrics"]
    assert result(tmp_path / "one", first)["usage"]["cached"] == 0
    usage = result(tmp_path / "two", second)["usage"]
    assert (usage["cached"], usage["calls"]) == (COUNT, COUNT)
    run(server, tmp_path / "three", base_model="openai:tiny?system=Be+brief")
    assert len(server.bodies) == 2 * COUNT


@pytest.mark.parametrize("price", ["2,10", "prices.json"])
def test_every_prediction_carries_what_it_cost(
    server: ChatServer, tmp_path: Path, price: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.json").write_text('{"openai:other": [1, 1], "openai:tiny": [2, 10]}')
    for out, cached in (("one", 0), ("two", 1)):
        (made,) = run(server, tmp_path / out, price=price, base_model="openai:tiny?deadline=9")
        lines = (tmp_path / out / made["run"] / "predictions.jsonl").read_text().splitlines()
        costs = [json.loads(line)["usage"] for line in lines]
        assert len(costs) == COUNT
        for one in costs:
            assert one["calls"] == 1 and one["cached"] == cached
            assert one["prompt_tokens"] > 0 and one["completion_tokens"] > 0 and one["seconds"] > 0
            assert one["dollars"] == pytest.approx((2 * one["prompt_tokens"] + 10 * one["completion_tokens"]) / 1e6)
    assert sum(one["dollars"] for one in costs) == pytest.approx(result(tmp_path / "two", [made])["usage"]["dollars"])


def test_a_server_is_asked_for_what_the_task_needs_and_as_many_at_a_time_as_given(
    server: ChatServer, tmp_path: Path
) -> None:
    server.delay = 0.1
    run(server, tmp_path, concurrency=3)
    assert server.most_under_way == 3
    room = {body["max_tokens"] for body in server.bodies}
    assert room == {rpobench.get_task("LaMP-7").max_new_tokens}


def test_a_server_that_writes_more_than_it_was_asked_for_is_counted_and_stopped_by_what_it_wrote(
    server: ChatServer, tmp_path: Path
) -> None:
    server.reply = lambda body: "word " * 3000
    with pytest.raises(RpobenchError, match=r"--max-cost 0.005: \$0.00\d+ spent; "):
        run(server, tmp_path, price="0,1", max_cost=0.005, concurrency=1)
    assert len(server.bodies) == 2
    (made,) = run(server, tmp_path, price="0,1")
    assert made["failed"] == 0 and result(tmp_path, [made])["usage"]["completion_tokens"] == 3000 * COUNT


def test_label_tasks_are_read_from_what_the_model_says(server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda body: "I would say 4."
    (made,) = run(server, tmp_path, task="LaMP-3")
    assert made["failed"] == 0 and made["metrics"]["MAE"] < made["references"]["best_generic"] + 4
    assert len(server.bodies) == COUNT


def test_licensed_texts_are_not_in_the_shared_cache(server: ChatServer, tmp_path: Path) -> None:
    run(server, tmp_path / "one", task="LaMP-6")
    run(server, tmp_path / "two", task="LaMP-6")
    assert len(server.bodies) == 2 * COUNT and not (tmp_path / "cache" / "answers.sqlite").exists()


def fail_some(server: ChatServer, *words: str) -> None:
    """From now on the server refuses every chat with any of these words in it."""
    finish = server._answer

    def answer(body: dict[str, Any]) -> Any:
        refused = any(some in body["messages"][-1]["content"] for some in words)
        server.finish = "content_filter" if refused else "stop"
        return finish(body)

    server._answer = answer  # type: ignore[method-assign]


def a_word_of_one_input() -> str:
    return generate("LaMP-7", "dev", COUNT).labelled[3].example.input[-25:]


def test_a_failed_example_is_listed_and_alone_asked_again(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answering = server._answer
    fail_some(server, a_word_of_one_input())
    first = run(server, tmp_path)
    assert first[0]["failed"] == 1 and result(tmp_path, first)["unanswered"] == 1
    told = capsys.readouterr().err
    assert f"1 of {COUNT} examples have no answer (refused by the server's content filter) and count as wrong" in told
    server._answer = answering  # type: ignore[method-assign]
    server.finish, before = "stop", len(server.bodies)
    second = run(server, tmp_path)
    assert len(server.bodies) == before + 1
    assert second[0]["failed"] == 0 and result(tmp_path, second)["unanswered"] == 0
    assert second[0]["metrics"] == run(server, tmp_path / "whole")[0]["metrics"]
    assert [report.faults for report in check(tmp_path / second[0]["run"])] == [[]]
    run(server, tmp_path)
    assert len(server.bodies) == before + 1, "now it is finished"


def test_a_run_without_any_answer_says_so(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.finish = "content_filter"
    (made,) = run(server, tmp_path)
    assert made["failed"] == made["n"] == COUNT
    assert f"{COUNT} of {COUNT} examples have no answer" in capsys.readouterr().err
    server.finish, server.error = "stop", (500, {"message": "out of order"})
    with pytest.raises(RpobenchError, match=r"out of order.*the same command continues"):
        run(server, tmp_path / "down", limit=5)
    assert not list((tmp_path / "down").glob("*/result.json"))


def test_a_run_that_a_broken_server_stopped_goes_on_where_it_was(server: ChatServer, tmp_path: Path) -> None:
    answering = server._answer

    def answer(body: dict[str, Any]) -> Any:
        server.error = (500, {"message": "out of order"}) if len(server.bodies) > 7 else None
        return answering(body)

    server._answer = answer  # type: ignore[method-assign]
    with pytest.raises(RpobenchError, match=r"10 requests failed, 7 did not; .*the same command continues"):
        run(server, tmp_path, limit=30, concurrency=1)
    assert not list(tmp_path.glob("*/result.json"))
    server._answer, server.error, before = answering, None, len(server.bodies)  # type: ignore[method-assign]
    (made,) = run(server, tmp_path, limit=30)
    assert len(server.bodies) == before + 23 and made["n"] == 30 and made["failed"] == 0


def test_what_rests_on_a_missing_draft_is_unanswered_too(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))
    rpobench.registry._declared.cache_clear()
    fail_some(server, a_word_of_one_input(), training_input()[-25:])
    made = run(server, tmp_path, method="peek", swap=False)
    kept = result(tmp_path, made)
    lines = (tmp_path / made[0]["run"] / "predictions.jsonl").read_text().splitlines()
    (failed,) = [one for one in map(json.loads, lines) if one["unanswered"]]
    assert kept["unanswered"] == 1 and failed["failure"].startswith("no draft: refused")
    with pytest.raises(RpobenchError, match=f"LaMP-7: 1 of {COUNT} training drafts have no answer .*asks them again"):
        run(server, tmp_path, method="learner", swap=False)
    rpobench.registry._declared.cache_clear()


def training_input() -> str:
    return generate("LaMP-7", "train", COUNT).labelled[0].example.input


def test_a_prompt_beyond_the_context_names_its_example(server: ChatServer, tmp_path: Path) -> None:
    word = a_word_of_one_input()
    answering = server._answer

    def answer(body: dict[str, Any]) -> Any:
        long = word in body["messages"][-1]["content"]
        server.error = (400, {"message": "x", "code": "context_length_exceeded"}) if long else None
        return answering(body)

    server._answer = answer  # type: ignore[method-assign]
    with pytest.raises(RpobenchError, match=r"LaMP-7 example '[^']+': openai:tiny at .*exceeds") as one:
        run(server, tmp_path)
    assert repr(generate("LaMP-7", "dev", COUNT).labelled[3].example.id) in str(one.value)


def test_a_budget_ends_a_run_that_the_next_one_continues(server: ChatServer, tmp_path: Path) -> None:
    options = {"price": "1000,1000", "concurrency": 2}
    with pytest.raises(RpobenchError, match=r"--max-cost 0.1: \$0.\d+ spent; .*the same command continues"):
        run(server, tmp_path, max_cost=0.1, **options)
    spent = len(server.bodies)
    assert 0 < spent < COUNT
    made = run(server, tmp_path, **options)
    assert len(server.bodies) == COUNT and made[0]["failed"] == 0
    usage = result(tmp_path, made)["usage"]
    assert usage["dollars"] == pytest.approx((usage["prompt_tokens"] + usage["completion_tokens"]) / 1000)
    assert usage["cached"] == spent
    with pytest.raises(RpobenchError, match="--max-cost 1: the price of openai:tiny is unknown; give --price"):
        run(server, tmp_path, max_cost=1.0)


def command(
    server: ChatServer, out: Path, *more: str, before: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    plan = [
        *before,
        "run",
        "--method",
        "zero-shot",
        "--task",
        "LaMP-7",
        "--base-model",
        "openai:tiny",
        "--limit",
        str(COUNT),
    ]
    given = [*plan, "--base-url", server.url, "--out", str(out), *more]
    return subprocess.run(
        [sys.executable, "-c", "from rpobench.cli.main import main; main()", *given],
        env={**os.environ, **variables}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_key_is_in_no_file_and_no_log(server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda body: f"you are {KEY}"
    server.faults = ["500", "429", "malformed"]
    done = command(server, tmp_path / "runs", "--json", OPENAI_LOG="debug")
    assert done.returncode == 0 and "openai" in done.stderr, "the client's own log is part of the search"
    server.error = (401, {"message": f"Incorrect API key provided: {KEY}"})
    refused = command(server, tmp_path / "other", "--limit", "13", OPENAI_LOG="debug")
    assert refused.returncode == 1 and "refuses the key" in refused.stderr
    traced = command(server, tmp_path / "other", "--limit", "13", before=("--debug",))
    assert traced.returncode == 1 and "Traceback" in traced.stderr and "refuses the key" in traced.stderr
    searched = [text for one in (done, refused, traced) for text in (one.stdout, one.stderr)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "answers.sqlite" for path in files) and any(path.name == "spec.json" for path in files)
    searched += [path.read_bytes().decode("latin-1") for path in files]
    assert not any(KEY in text or "Bearer" in text for text in searched)


def test_an_estimate_comes_first_and_alone_with_dry_run(server: ChatServer, tmp_path: Path) -> None:
    dry = command(server, tmp_path / "runs", "--dry-run", "--json", "--price", "2,10")
    found = json.loads(dry.stdout)
    assert server.bodies == [] and not (tmp_path / "runs").exists() and not (tmp_path / "cache").exists()
    assert found["calls"] == COUNT and found["new_tokens"] == COUNT * rpobench.get_task("LaMP-7").max_new_tokens
    assert found["dollars"] == pytest.approx((found["prompt_tokens"] * 2 + found["new_tokens"] * 10) / 1e6)
    done = command(server, tmp_path / "runs")
    line = next(line for line in done.stderr.splitlines() if line.startswith("estimate: "))
    assert line.startswith(f"estimate: {COUNT} calls of the base model, about {found['prompt_tokens']} tokens to read")
    assert line.endswith("dollars unknown without --price") and len(server.bodies) == COUNT
    again = command(server, tmp_path / "runs", "--dry-run")
    assert again.stdout.startswith("estimate: 0 calls")
    server.error = (404, {"message": "no such model"})
    refused = command(server, tmp_path / "other", "--limit", "13")
    assert 0 < refused.stderr.index("estimate: ") + 1 < refused.stderr.index("knows no such model")
