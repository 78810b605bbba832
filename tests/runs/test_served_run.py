"""`rpobench run` on a served model: what is asked again, what is not, what failures do to a result, and the key."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from chat_server import KEY, ChatServer
from command_line import spawn_rpobench
from paths import PLUGIN

import rpobench
from rpobench.cli.export import export
from rpobench.data.synth.world import generate
from rpobench.store.result_store import ResultStore
from rpobench.submissions.check import check_runs
from rpobench.submissions.pack import pack_runs
from rpobench.types import RpobenchError

COUNT = 12

pytestmark = pytest.mark.usefixtures("server")


def run(server: ChatServer, out: Path, **options: Any) -> dict[str, Any]:
    """Run a method on a task with the served model, and return the object of the run."""
    values = {"method": "zero-shot", "task": "LaMP-7", "limit": COUNT, "out": out, "base_url": server.url}
    (run_object,) = rpobench.run(**{**values, "base_model": "openai:tiny", **options})
    return run_object


def read_result(out: Path, run_object: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / run_object["run"] / "result.json").read_text())
    return content


def read_predictions(out: Path, run_object: dict[str, Any]) -> list[dict[str, Any]]:
    lines = (out / run_object["run"] / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_second_run_asks_nothing_unless_a_parameter_changed(server: ChatServer, tmp_path: Path) -> None:
    first = run(server, tmp_path / "first")
    assert len(server.bodies) == COUNT

    second = run(server, tmp_path / "second")
    assert len(server.bodies) == COUNT, "another folder: the cache answered"
    assert second["metrics"] == first["metrics"]
    assert read_result(tmp_path / "first", first)["usage"]["cached"] == 0
    usage = read_result(tmp_path / "second", second)["usage"]
    assert (usage["cached"], usage["calls"]) == (COUNT, COUNT)

    run(server, tmp_path / "third", base_model="openai:tiny?system=Be+brief")
    assert len(server.bodies) == 2 * COUNT


@pytest.mark.parametrize("price", ["2,10", "prices.json"])
def test_every_prediction_carries_what_it_cost(
    server: ChatServer, tmp_path: Path, price: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.json").write_text('{"openai:other": [1, 1], "openai:tiny": [2, 10]}')

    for out, cached in (("first", 0), ("second", 1)):
        run_object = run(server, tmp_path / out, price=price, base_model="openai:tiny?deadline=9")

        usages = [prediction["usage"] for prediction in read_predictions(tmp_path / out, run_object)]
        assert len(usages) == COUNT
        for usage in usages:
            assert usage["calls"] == 1 and usage["cached"] == cached
            assert usage["prompt_tokens"] > 0 and usage["completion_tokens"] > 0 and usage["seconds"] > 0
            dollars = (2 * usage["prompt_tokens"] + 10 * usage["completion_tokens"]) / 1e6
            assert usage["dollars"] == pytest.approx(dollars)

    total = read_result(tmp_path / "second", run_object)["usage"]["dollars"]
    assert sum(usage["dollars"] for usage in usages) == pytest.approx(total)


def test_requests_have_the_length_and_number_asked_for(server: ChatServer, tmp_path: Path) -> None:
    server.delay = 0.1

    run(server, tmp_path, concurrency=3)

    assert server.most_under_way == 3
    max_tokens = {body["max_tokens"] for body in server.bodies}
    assert max_tokens == {rpobench.get_task("LaMP-7").max_new_tokens}


def test_a_server_that_writes_too_much_is_counted_and_stopped(server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda body: "word " * 3000

    with pytest.raises(RpobenchError, match=r"--max-cost 0.005: \$0.00\d+ spent; "):
        run(server, tmp_path, price="0,1", max_cost=0.005, concurrency=1)
    assert len(server.bodies) == 2

    run_object = run(server, tmp_path, price="0,1")
    assert run_object["failed"] == 0
    assert read_result(tmp_path, run_object)["usage"]["completion_tokens"] == 3000 * COUNT


def test_label_tasks_are_read_from_what_the_model_says(server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda body: "I would say 4."

    run_object = run(server, tmp_path, task="LaMP-3")

    assert run_object["failed"] == 0
    assert run_object["metrics"]["MAE"] < run_object["references"]["best_generic"] + 4
    assert len(server.bodies) == COUNT


def test_licensed_texts_are_not_in_the_shared_cache(server: ChatServer, tmp_path: Path) -> None:
    run(server, tmp_path / "first", task="LaMP-6")
    run(server, tmp_path / "second", task="LaMP-6")

    assert len(server.bodies) == 2 * COUNT and not (tmp_path / "cache" / "answers.sqlite").exists()


def refuse_chats(server: ChatServer, *words: str) -> None:
    """From now on the server refuses every chat with any of these words in it."""
    original_answer = server._answer

    def answer(body: dict[str, Any]) -> Any:
        is_refused = any(word in body["messages"][-1]["content"] for word in words)
        server.finish = "content_filter" if is_refused else "stop"
        return original_answer(body)

    server._answer = answer  # type: ignore[method-assign]


def a_word_of_one_input() -> str:
    return generate("LaMP-7", "dev", COUNT).labelled[3].example.input[-25:]


def a_word_of_one_training_input() -> str:
    return generate("LaMP-7", "train", COUNT).labelled[0].example.input[-25:]


def test_a_refused_example_is_listed_and_asked_again_on_demand(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original_answer = server._answer
    refuse_chats(server, a_word_of_one_input())

    first = run(server, tmp_path)

    assert first["failed"] == 1 and read_result(tmp_path, first)["unanswered"] == 1
    assert first["unanswered"] == ["lamp-7-dev-3-dev"]
    messages = capsys.readouterr().err
    assert f"1 of {COUNT} examples have no answer (refused by the server's content filter" in messages
    assert "--retry-unanswered asks them again: 'lamp-7-dev-3-dev'" in messages

    requests_before = len(server.bodies)
    assert run(server, tmp_path) == first, "the second run ends like the first"
    assert len(server.bodies) == requests_before, "and asks nothing"

    server._answer = original_answer  # type: ignore[method-assign]
    server.finish = "stop"
    retried = run(server, tmp_path, retry_unanswered=True)

    assert len(server.bodies) == requests_before + 1
    assert retried["failed"] == 0 and retried["unanswered"] == []
    assert retried["metrics"] == run(server, tmp_path / "whole")["metrics"]
    assert [report.faults for report in check_runs(tmp_path / retried["run"])] == [[]]


def test_methods_and_seeds_are_added_to_a_run_with_refusals(server: ChatServer, tmp_path: Path) -> None:
    refuse_chats(server, a_word_of_one_input())
    first = run(server, tmp_path)
    requests_before = len(server.bodies)

    objects = rpobench.run(
        "zero-shot,rag-random", "LaMP-7", limit=COUNT, out=tmp_path, base_url=server.url, base_model="openai:tiny",
        seeds=(0, 1), swap=False,
    )  # fmt: skip

    assert len(objects) == 3 and objects[0]["run"] == first["run"], "zero-shot runs once for both seeds"
    assert [item["unanswered"] for item in objects if item["method"] == "zero-shot"] == [["lamp-7-dev-3-dev"]]
    assert len(server.bodies) - requests_before <= 2 * COUNT, "drafts are there, refused ones too"


def test_a_refusal_in_own_words_is_cleared_by_earlier_answers(server: ChatServer, tmp_path: Path) -> None:
    """Only the refused prompts are left to ask, so that this process never sees an answer."""
    original_answer = server._answer
    word = a_word_of_one_input()

    def refuse_or_break(body: dict[str, Any]) -> Any:
        is_refused = word in body["messages"][-1]["content"]
        server.error = (500, {"message": "out of order"}) if is_refused else None
        return original_answer(body)

    server._answer = refuse_or_break  # type: ignore[method-assign]
    first = run(server, tmp_path)
    assert first["failed"] == 1

    server._answer = original_answer  # type: ignore[method-assign]
    server.error = (400, {"message": "Content Exists Risk"})
    second = run(server, tmp_path)

    assert second["failed"] == 1 and second["metrics"] == first["metrics"]
    assert "Content Exists Risk" in read_predictions(tmp_path, second)[-1]["failure"]


def test_too_many_refusals_stop_a_run_that_can_go_on(server: ChatServer, tmp_path: Path) -> None:
    words = [labelled.example.input[-25:] for labelled in generate("LaMP-7", "dev", COUNT).labelled[:3]]
    refuse_chats(server, *words)

    for _ in range(2):  # the second run ends like the first
        with pytest.raises(RpobenchError, match=r"3 of 12 examples have no answer.*--max-refused 0.2 allows"):
            run(server, tmp_path)
    requests_before = len(server.bodies)
    run_object = run(server, tmp_path, max_refused=0.25)

    assert run_object["failed"] == 3 and len(server.bodies) == requests_before


def test_a_run_without_any_answer_stops(server: ChatServer, tmp_path: Path) -> None:
    server.finish = "content_filter"
    with pytest.raises(RpobenchError, match=r"12 of 12 examples have no answer.*refused by the server's content"):
        run(server, tmp_path)

    server.finish, server.error = "stop", (500, {"message": "out of order"})
    with pytest.raises(RpobenchError, match=r"out of order.*the same command continues"):
        run(server, tmp_path / "down", limit=5)
    assert not list((tmp_path / "down").glob("*/result.json"))


def test_runs_with_refusals_are_packed_and_checked(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_chats(server, a_word_of_one_input())
    run_object = run(server, tmp_path / "runs", swap=False)

    outcomes = list(pack_runs(ResultStore(tmp_path / "runs"), [], ResultStore(tmp_path / "packed")))

    note = "1 of 12 examples have no answer and count as wrong"
    assert [(outcome.name, outcome.reason, outcome.note) for outcome in outcomes] == [(run_object["run"], None, note)]
    (report,) = check_runs(tmp_path / "packed")
    assert report.faults == [] and note in report.notes
    packed = ResultStore(tmp_path / "packed").find(run_object["run"])
    assert [prediction.permanent for prediction in packed.predictions().values()].count(True) == 1

    export([run_object["run"]], tmp_path / "official.zip", runs=tmp_path / "runs")
    assert note in capsys.readouterr().err
    with ZipFile(tmp_path / "official.zip") as archive:
        golds = json.loads(archive.read("LaMP_7.json"))["golds"]
    assert len(golds) == COUNT


def test_a_server_without_temperature_has_runs_of_its_own(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original_answer = server._answer

    def refuse_temperature(body: dict[str, Any]) -> Any:
        refusal = {"message": "'temperature' does not support 0, only the default (1)"}
        server.error = (400, refusal) if body.get("temperature", 1) != 1 else None
        return original_answer(body)

    server._answer = refuse_temperature  # type: ignore[method-assign]
    first = run(server, tmp_path)

    spec = json.loads((tmp_path / first["run"] / "spec.json").read_text())
    assert spec["base_model"].endswith("+without:temperature") and first["failed"] == 0
    assert "the runs begin anew under that name" in capsys.readouterr().err
    answered = [body for body in server.bodies if "temperature" not in body]
    assert len(answered) == COUNT, "what was answered under the old name is not asked again"

    requests_before = len(server.bodies)
    assert run(server, tmp_path) == first and len(server.bodies) == requests_before


def test_a_run_that_a_broken_server_stopped_goes_on(server: ChatServer, tmp_path: Path) -> None:
    original_answer = server._answer

    def break_after_seven(body: dict[str, Any]) -> Any:
        server.error = (500, {"message": "out of order"}) if len(server.bodies) > 7 else None
        return original_answer(body)

    server._answer = break_after_seven  # type: ignore[method-assign]
    with pytest.raises(RpobenchError, match=r"10 requests failed, 7 did not; .*the same command continues"):
        run(server, tmp_path, limit=30, concurrency=1)
    assert not list(tmp_path.glob("*/result.json"))

    server._answer, server.error = original_answer, None  # type: ignore[method-assign]
    requests_before = len(server.bodies)
    run_object = run(server, tmp_path, limit=30)

    assert len(server.bodies) == requests_before + 23
    assert run_object["n"] == 30 and run_object["failed"] == 0


def test_what_rests_on_a_missing_draft_is_unanswered_too(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))
    rpobench.registry._entry_points_by_name.cache_clear()
    refuse_chats(server, a_word_of_one_input(), a_word_of_one_training_input())

    run_object = run(server, tmp_path, method="peek", swap=False)

    (failed,) = [line for line in read_predictions(tmp_path, run_object) if line["unanswered"]]
    assert read_result(tmp_path, run_object)["unanswered"] == 1
    assert failed["failure"].startswith("no draft: refused")

    with pytest.raises(RpobenchError, match=r"1 of 12 training examples have no answer.*--max-left-out 0.05.*train-0"):
        run(server, tmp_path, method="learner", swap=False)
    rpobench.registry._entry_points_by_name.cache_clear()


def test_a_fit_goes_on_without_a_refused_draft(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))
    rpobench.registry._entry_points_by_name.cache_clear()
    refuse_chats(server, a_word_of_one_training_input())

    run_object = run(server, tmp_path, method="learner", swap=False, max_left_out=0.1)

    assert "1 of 12 training examples are left out, the model gives them no answer" in capsys.readouterr().err
    assert read_result(tmp_path, run_object)["fit_left_out"] == {"LaMP-7": 1}
    (cost_file,) = tmp_path.glob("fits/*/fit.json")
    assert json.loads(cost_file.read_text())["left_out"] == {"LaMP-7": ["lamp-7-train-0-train"]}
    assert [report.faults for report in check_runs(tmp_path)] == [[]]
    rpobench.registry._entry_points_by_name.cache_clear()


def test_a_prompt_beyond_the_context_names_its_example(server: ChatServer, tmp_path: Path) -> None:
    word = a_word_of_one_input()
    original_answer = server._answer

    def refuse_long_prompts(body: dict[str, Any]) -> Any:
        is_long = word in body["messages"][-1]["content"]
        server.error = (400, {"message": "x", "code": "context_length_exceeded"}) if is_long else None
        return original_answer(body)

    server._answer = refuse_long_prompts  # type: ignore[method-assign]
    with pytest.raises(RpobenchError, match=r"LaMP-7 example '[^']+': openai:tiny at .*exceeds") as error:
        run(server, tmp_path)

    assert repr(generate("LaMP-7", "dev", COUNT).labelled[3].example.id) in str(error.value)


def test_a_budget_ends_a_run_that_the_next_one_continues(server: ChatServer, tmp_path: Path) -> None:
    options = {"price": "1000,1000", "concurrency": 2}

    with pytest.raises(RpobenchError, match=r"--max-cost 0.1: \$0.\d+ spent; .*the same command continues"):
        run(server, tmp_path, max_cost=0.1, **options)
    request_count = len(server.bodies)
    assert 0 < request_count < COUNT

    run_object = run(server, tmp_path, **options)
    assert len(server.bodies) == COUNT and run_object["failed"] == 0
    usage = read_result(tmp_path, run_object)["usage"]
    assert usage["dollars"] == pytest.approx((usage["prompt_tokens"] + usage["completion_tokens"]) / 1000)
    assert usage["cached"] == request_count

    with pytest.raises(RpobenchError, match="--max-cost 1: the price of openai:tiny is unknown; give --price"):
        run(server, tmp_path, max_cost=1.0)


def run_command(
    server: ChatServer, out: Path, *options: str, before: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; `before` stands before `run`."""
    plan = ["--method", "zero-shot", "--task", "LaMP-7", "--base-model", "openai:tiny", "--limit", str(COUNT)]
    return spawn_rpobench(*before, "run", *plan, "--base-url", server.url, "--out", out, *options, **variables)


def test_the_key_is_in_no_file_and_no_log(server: ChatServer, tmp_path: Path) -> None:
    server.reply = lambda body: f"you are {KEY}"
    server.faults = ["500", "429", "malformed"]

    finished = run_command(server, tmp_path / "runs", "--json", OPENAI_LOG="debug")
    assert finished.returncode == 0 and "openai" in finished.stderr, "the client's own log is part of the search"

    server.error = (401, {"message": f"Incorrect API key provided: {KEY}"})
    refused = run_command(server, tmp_path / "other", "--limit", "13", OPENAI_LOG="debug")
    assert refused.returncode == 1 and "refuses the key" in refused.stderr

    traced = run_command(server, tmp_path / "other", "--limit", "13", before=("--debug",))
    assert traced.returncode == 1 and "Traceback" in traced.stderr and "refuses the key" in traced.stderr

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "answers.sqlite" for path in files) and any(path.name == "spec.json" for path in files)
    texts = [path.read_bytes().decode("latin-1") for path in files]
    for process in (finished, refused, traced):
        texts += [process.stdout, process.stderr]
    assert not any(KEY in text or "Bearer" in text for text in texts)


def test_an_estimate_comes_first_and_alone_with_dry_run(server: ChatServer, tmp_path: Path) -> None:
    dry = run_command(server, tmp_path / "runs", "--dry-run", "--json", "--price", "2,10")

    estimate = json.loads(dry.stdout)
    assert server.bodies == [] and not (tmp_path / "runs").exists() and not (tmp_path / "cache").exists()
    assert estimate["calls"] == COUNT
    assert estimate["new_tokens"] == COUNT * rpobench.get_task("LaMP-7").max_new_tokens
    assert estimate["dollars"] == pytest.approx((estimate["prompt_tokens"] * 2 + estimate["new_tokens"] * 10) / 1e6)

    finished = run_command(server, tmp_path / "runs")

    line = next(line for line in finished.stderr.splitlines() if "estimate: " in line)
    tokens = estimate["prompt_tokens"]
    assert f" estimate: {COUNT} calls of the base model, about {tokens} tokens to read" in line
    assert line.endswith("dollars unknown without --price") and len(server.bodies) == COUNT

    again = run_command(server, tmp_path / "runs", "--dry-run")
    assert again.stdout.startswith("estimate: 0 calls")

    server.error = (404, {"message": "no such model"})
    refused = run_command(server, tmp_path / "other", "--limit", "13")
    assert 0 < refused.stderr.index("estimate: ") + 1 < refused.stderr.index("knows no such model")
