"""HYDRA on a scripted model: what it asks, what it keeps, and what it chooses from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rpobench.baselines.hydra.candidates import Candidates, propose
from rpobench.baselines.hydra.rows import candidate_rows, item_rows
from words import Hashes, Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import Context, FitContext, PredictContext
from rpobench.method.per_user import ITEM_WORDS, build_past_examples
from rpobench.models import encoder
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.runs.benchmark import estimate, run
from rpobench.runs.drafts import StoredDrafts
from rpobench.runs.plan import make_plan
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.result_store import ResultStore
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Prediction, ProfileItem, RpobenchError, Usage

TAGS, TWEETS = get_task("LaMP-2"), get_task("LaMP-7")


@pytest.fixture(autouse=True)
def no_weights(other_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder.Encoder, "_model", Hashes())


class Sampling(ScriptedModel):
    """Another text for every seed; no answer at all to prompts that hold `silent_about`."""

    silent_about = ""

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        made = super().generate(chats, decoding)
        return [replace(one, text=f"{one.text} {decoding.temperature:g} {decoding.seed}") for one in made]

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        made = super().choose(chats, options, neutral=neutral)
        mute = [bool(self.silent_about) and self.silent_about in chat[-1].content for chat in chats]
        return [Completion("", failure="refused") if no else one for no, one in zip(mute, made, strict=True)]


class Bench:
    """The method in a folder of its own."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder, self.model = folder, Sampling(echo)
        method_class: Any = get_method("hydra")
        self.method = method_class(method_class.Config(**{"history": 2, "n": 3, "steps": 20, **config}))

    def fit_context(self) -> FitContext:
        evidence = RankedEvidence(get_retriever, Words, seed=0)
        drafts = StoredDrafts(ResultStore(self.folder), self.model)
        return FitContext(self.model, drafts, evidence, 0, self.folder / "work")

    def predict_context(self) -> PredictContext:
        evidence = RankedEvidence(get_retriever, Words, seed=0)
        drafts = StoredDrafts(ResultStore(self.folder), self.model)
        return PredictContext(self.model, drafts, evidence, 0, self.folder / "users")

    def fit(self, task: Any, count: int = 5) -> None:
        self.method.fit({task: list(generate(task.name, "train", count).labelled)}, self.fit_context())

    def predict(self, task: Any, examples: Sequence[Example]) -> list[Prediction]:
        return list(self.method.predict(task, examples, self.predict_context()))


def dev(task: Any, count: int = 4) -> list[Example]:
    return [one.example for one in generate(task.name, "dev", count).labelled]


def test_what_a_fit_and_a_prediction_ask_of_the_base_model(tmp_path: Path) -> None:
    labels, texts = Bench(tmp_path / "labels"), Bench(tmp_path / "texts")
    labels.fit(TAGS)
    assert labels.method.fit_usage.calls == labels.model.calls == 5 * (1 + 2)
    texts.fit(TWEETS)
    assert texts.method.fit_usage.calls == 5 * (3 + 2) >= texts.model.calls, "equal prompts are written to once"
    made = labels.predict(TAGS, dev(TAGS)) + texts.predict(TWEETS, dev(TWEETS))
    assert [one.usage.calls for one in made] == [1 + 2] * 4 + [3 + 2] * 4


def test_a_users_heads_are_learned_once_and_charged_always(tmp_path: Path) -> None:
    bench, asked = Bench(tmp_path), dev(TAGS)
    bench.fit(TAGS)
    first, before = bench.predict(TAGS, asked), bench.model.calls
    again = bench.predict(TAGS, asked)
    bench.predict(TAGS, swap_profiles(asked, seed=0))
    assert bench.model.calls == before + 4 + 4, "only the answers themselves"
    assert [(one.text, one.usage.calls) for one in again] == [(one.text, one.usage.calls) for one in first]
    assert {path.suffix for path in (tmp_path / "users").rglob("*.*") if ".locks" not in path.parts} == {
        ".safetensors", ".json"
    }  # fmt: skip
    bench.fit(TAGS, count=6)
    before = bench.model.calls
    bench.predict(TAGS, asked)
    assert bench.model.calls == before + 4 * 3, "other judges make other heads"


def test_a_killed_fit_asks_only_for_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    monkeypatch.setattr("rpobench.baselines.hydra.candidates.CHUNK", 4)
    answer, asked = Context.answer, []

    def dies(self: Context, task: Any, chats: Sequence[Chat], **more: Any) -> Sequence[Completion]:
        asked.extend(chats)
        if len(asked) > 8:
            raise KeyboardInterrupt
        return answer(self, task, chats, **more)

    monkeypatch.setattr(Context, "answer", dies)
    with pytest.raises(KeyboardInterrupt):
        bench.fit(TAGS)
    monkeypatch.setattr(Context, "answer", answer)
    assert bench.model.calls == 8
    bench.fit(TAGS)
    assert bench.model.calls == 15
    assert bench.method.fit_usage.calls == 15


def test_of_several_processes_one_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    bench.fit(TAGS)
    assert bench.model.calls == 0
    monkeypatch.setenv("RANK", "0")
    bench.fit(TAGS)
    assert bench.model.calls == 15


def test_a_fit_does_not_learn_from_a_missing_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.model.silent_about = generate("LaMP-2", "train", 5).labelled[0].example.input
    with pytest.raises(RpobenchError, match="LaMP-2: the base model gave no answer to 1 of 15 training prompts"):
        bench.fit(TAGS)


def test_a_user_whose_history_stays_unanswered_is_asked_again(tmp_path: Path) -> None:
    bench, (one, other) = Bench(tmp_path), dev(TAGS, 2)
    bench.fit(TAGS)
    past = build_past_examples(TAGS, one, limit=2, seed=0)[0].example
    bench.model.silent_about = f"description: {TAGS.content(past)}"
    failed, whole = bench.predict(TAGS, [one, other])
    assert failed.unanswered and "history" in (failed.failure or "") and not whole.unanswered
    assert len(list((tmp_path / "users").glob("*/heads.safetensors"))) == 1
    bench.model.silent_about = ""
    assert not bench.predict(TAGS, [one, other])[0].unanswered


def test_an_estimate_counts_the_fit_and_every_users_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel(echo)
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: model)
    monkeypatch.setattr("rpobench.runs.runner._reference_tokenizer", Words)
    options: dict[str, Any] = {"method": "hydra", "task": "LaMP-2", "limit": 6, "out": tmp_path / "runs"}
    plan = make_plan(**options, settings={"history": 2, "steps": 5})
    found = estimate(plan)
    assert model.calls == 0 and not (tmp_path / "runs").exists()
    run(plan)
    assert found.calls == (6 + 2 * 6) * (1 + 2), "the fit once; own and swapped profiles as if they shared no user"
    assert model.calls == (6 + 6) * (1 + 2) + 6
    assert estimate(plan).calls == 0, "all of it is there"
    more = make_plan(**{**options, "split": "test"}, settings={"history": 2, "steps": 5})
    assert estimate(more).calls == 2 * 6 * (1 + 2), "the fit is there"


def proposals(task: Any, model: ScriptedModel, folder: Path, counts: Sequence[int]) -> list[Candidates]:
    asked = dev(task, len(counts))
    drafts: Any = StoredDrafts(ResultStore(folder), model)
    nothing: Any = None
    return propose(
        task,
        asked,
        [Evidence()] * len(counts),
        PredictContext(model, drafts, nothing, 0, folder / "users"),
        counts=counts,
    )


def test_a_texts_candidates_are_the_greedy_answer_and_other_samples_and_a_label_tasks_all_labels(
    tmp_path: Path,
) -> None:
    one, three = proposals(TWEETS, Sampling(lambda chat: "so tired"), tmp_path, (1, 3))
    assert one.texts == ("so tired 0 None",) and one.usage.calls == 1
    assert three.texts == ("so tired 0 None", "so tired 0.8 1", "so tired 0.8 2") and three.usage.calls == 3
    (found,) = proposals(TAGS, ScriptedModel(str, scorer=lambda chat, text: float(text == "action")), tmp_path, (1,))
    assert found.greedy == "action" and sorted(found.texts) == sorted(TAGS.labels) and found.usage.calls == 1


def test_an_item_is_as_useful_as_its_answer_and_a_users_own_text_is_the_best_candidate() -> None:
    items = [
        ProfileItem(str(place), {"description": "d", "tag": tag}) for place, tag in enumerate(("action", "comedy"))
    ]
    asked = Example("e", "u", f"{TAGS.instruction}a car chase")
    assert [(row.query, row.hints, row.target) for row in item_rows(TAGS, asked, items, "comedy")] == [
        ("a car chase", (1.0,), 0.0), ("a car chase", (0.5,), 1.0)
    ]  # fmt: skip
    labels = Candidates(("action", "comedy"), ("action", "comedy"), Usage())
    rows = candidate_rows(TAGS, asked, labels, Evidence((items[1],)), "comedy")
    assert [(row.text, row.hints, row.target) for row in rows] == [
        ("action", (1.0, 0.0), 0.0), ("comedy", (0.0, 1.0), 1.0)
    ]  # fmt: skip
    texts = Candidates(("so tired",), ("so tired",), Usage())
    rows = candidate_rows(TWEETS, asked, texts, Evidence(), "v tired")
    assert [(row.text, row.hints) for row in rows] == [("so tired", (0.0, 0.0)), ("v tired", (0.0, 0.0))]
    assert rows[0].target < rows[1].target == 1.0
    assert [row.text for row in candidate_rows(TWEETS, asked, texts, Evidence())] == ["so tired"]


def test_past_examples_are_the_same_for_equal_profiles_and_never_hold_their_own_item() -> None:
    one = dev(TAGS, 1)[0]
    twin = replace(one, id="twin", user_id="somebody")
    found = build_past_examples(TAGS, one, limit=3, seed=0)
    assert len(found) == 3
    assert [past.target for past in build_past_examples(TAGS, twin, limit=3, seed=0)] == [past.target for past in found]
    assert [past.target for past in build_past_examples(TAGS, one, limit=3, seed=1)] != [past.target for past in found]
    for past in found:
        assert past.example.id not in {item.id for item in past.example.profile}
        assert len(past.example.profile) == len(one.profile) - 1
    assert len(build_past_examples(TAGS, one, limit=999, seed=0)) == len(one.profile)
    assert build_past_examples(TAGS, replace(one, profile=()), limit=3, seed=0) == []


def test_items_without_an_answer_are_no_examples_and_long_ones_are_cut() -> None:
    items = (ProfileItem("1", {"text": "word"}), ProfileItem("2", {"text": "word " * 2 * ITEM_WORDS}))
    (found,) = build_past_examples(TWEETS, Example("e", "u", "x", items), limit=9, seed=0)
    assert found.example.id == "2"
    start = found.example.input.removeprefix("Continue this tweet: ")
    assert len(start.split()) + len(found.target.split()) == ITEM_WORDS


def test_it_does_not_apply_where_items_hold_no_answer() -> None:
    method_class: Any = get_method("hydra")
    method = method_class(method_class.Config())
    assert not method.applies_to(get_task("LaMP-1")) and method.applies_to(TWEETS)
    assert set(method.models()) == {"encoder"}


@pytest.mark.slow
def test_the_command_runs_to_its_end_with_the_real_model(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-c", "from rpobench.cli.main import main; main()", "run", "--method", "hydra"),
        *("--task", "LaMP-2,LaMP-7", "--limit", "4", "--out", str(tmp_path), "--json"),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "RPOBENCH_CACHE"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    assert [(one["task"], one["n"]) for one in json.loads(done.stdout)] == [("LaMP-2", 4), ("LaMP-7", 4)]
    assert len(list((tmp_path / "users").glob("*/heads.safetensors"))) == 8
