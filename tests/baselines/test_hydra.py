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
from rpobench.baselines.hydra.candidates import Candidates, propose_candidates
from rpobench.baselines.hydra.rows import candidate_rows, item_rows
from words import Words

from rpobench import get_method, get_retriever, get_task
from rpobench.data.synth.world import generate
from rpobench.evidence.source import RankedEvidence
from rpobench.method.context import Context, FitContext, PredictContext
from rpobench.method.left_out import LeftOut
from rpobench.method.per_user import ITEM_WORDS, build_past_examples
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.runs.benchmark import estimate, run
from rpobench.runs.drafts import StoredDrafts
from rpobench.runs.plan import make_plan
from rpobench.runs.swapped_profiles import swap_profiles
from rpobench.store.result_store import ResultStore
from rpobench.types import Chat, Completion, Decoding, Evidence, Example, Prediction, ProfileItem, RpobenchError, Usage

TAGS, TWEETS = get_task("LaMP-2"), get_task("LaMP-7")


pytestmark = pytest.mark.usefixtures("hashed_encoder")


class Sampling(ScriptedModel):
    """Another text for every seed; no answer at all to prompts that hold `silent_about`."""

    silent_about = ""
    permanent = False

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        completions = super().generate(chats, decoding)
        suffix = f"{decoding.temperature:g} {decoding.seed}"
        return [replace(completion, text=f"{completion.text} {suffix}") for completion in completions]

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        completions = list(super().choose(chats, options, neutral=neutral))
        for index, chat in enumerate(chats):
            if self.silent_about and self.silent_about in chat[-1].content:
                completions[index] = Completion("", failure="refused", permanent=self.permanent)
        return completions


class Bench:
    """The method in a folder of its own."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder, self.model = folder, Sampling(echo)
        method_class: Any = get_method("hydra")
        self.method = method_class(method_class.Config(**{"history": 2, "n": 3, "steps": 20, **config}))

    def fit_context(self, most_left_out: float = 0.05) -> FitContext:
        evidence = RankedEvidence(get_retriever, Words, seed=0)
        drafts = StoredDrafts(ResultStore(self.folder), self.model)
        left_out = LeftOut(most_left_out)
        return FitContext(self.model, drafts, evidence, 0, self.folder / "work", left_out)

    def predict_context(self) -> PredictContext:
        evidence = RankedEvidence(get_retriever, Words, seed=0)
        drafts = StoredDrafts(ResultStore(self.folder), self.model)
        return PredictContext(self.model, drafts, evidence, 0, self.folder / "users")

    def fit(self, task: Any, count: int = 5, **limits: float) -> None:
        self.method.fit({task: list(generate(task.name, "train", count).labelled)}, self.fit_context(**limits))

    def predict(self, task: Any, examples: Sequence[Example]) -> list[Prediction]:
        return list(self.method.predict(task, examples, self.predict_context()))


def dev_examples(task: Any, count: int = 4) -> list[Example]:
    return [labelled.example for labelled in generate(task.name, "dev", count).labelled]


def test_how_often_fit_and_predict_ask_the_base_model(tmp_path: Path) -> None:
    labels, texts = Bench(tmp_path / "labels"), Bench(tmp_path / "texts")

    labels.fit(TAGS)
    assert labels.method.fit_usage.calls == labels.model.calls == 5 * (1 + 2)

    texts.fit(TWEETS)
    assert texts.method.fit_usage.calls == 5 * (3 + 2) >= texts.model.calls, "equal prompts are written to once"

    predictions = labels.predict(TAGS, dev_examples(TAGS)) + texts.predict(TWEETS, dev_examples(TWEETS))
    assert [prediction.usage.calls for prediction in predictions] == [1 + 2] * 4 + [3 + 2] * 4


def test_a_users_heads_are_learned_once_and_charged_always(tmp_path: Path) -> None:
    bench, examples = Bench(tmp_path), dev_examples(TAGS)
    bench.fit(TAGS)
    first_predictions, calls_before = bench.predict(TAGS, examples), bench.model.calls

    predictions = bench.predict(TAGS, examples)
    bench.predict(TAGS, swap_profiles(examples, seed=0))
    assert bench.model.calls == calls_before + 4 + 4, "only the answers themselves"
    assert [(p.text, p.usage.calls) for p in predictions] == [(p.text, p.usage.calls) for p in first_predictions]
    assert {path.suffix for path in (tmp_path / "users").rglob("*.*") if ".locks" not in path.parts} == {
        ".safetensors", ".json"
    }  # fmt: skip

    bench.fit(TAGS, count=6)
    calls_before = bench.model.calls
    bench.predict(TAGS, examples)
    assert bench.model.calls == calls_before + 4 * 3, "other judges make other heads"


def test_a_killed_fit_asks_only_for_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    monkeypatch.setattr("rpobench.baselines.hydra.candidates.CHUNK", 4)
    answer, all_chats = Context.answer, []

    def answer_until_killed(self: Context, task: Any, chats: Sequence[Chat], **options: Any) -> Sequence[Completion]:
        all_chats.extend(chats)
        if len(all_chats) > 8:
            raise KeyboardInterrupt
        return answer(self, task, chats, **options)

    monkeypatch.setattr(Context, "answer", answer_until_killed)
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

    with pytest.raises(RpobenchError, match=r"LaMP-2: 1 of 15 training prompts have no answer .*asks them again"):
        bench.fit(TAGS)


def test_a_fit_goes_on_without_what_is_refused_for_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, bench = Bench(tmp_path / "whole"), Bench(tmp_path / "refused")
    bench.model.silent_about = generate("LaMP-2", "train", 5).labelled[0].example.input
    bench.model.permanent = True

    whole.fit(TAGS)
    with pytest.raises(RpobenchError, match=r"1 of 15 training examples .*--max-left-out 0.05"):
        bench.fit(TAGS)
    bench.fit(TAGS, most_left_out=0.1)

    assert "1 of 15 training examples are left out" in capsys.readouterr().err
    assert bench.method.fit_usage.calls == whole.method.fit_usage.calls - 1


def test_a_user_is_learned_without_a_question_that_is_refused(tmp_path: Path) -> None:
    bench, (example, _) = Bench(tmp_path), dev_examples(TAGS, 2)
    bench.fit(TAGS)
    past_example = build_past_examples(TAGS, example, limit=2, seed=0)[0].example
    bench.model.silent_about, bench.model.permanent = f"description: {TAGS.content(past_example)}", True

    (prediction,) = bench.predict(TAGS, [example])

    assert not prediction.unanswered
    assert len(list((tmp_path / "users").glob("*/heads.safetensors"))) == 1


def test_a_user_whose_history_had_no_answer_is_asked_again(tmp_path: Path) -> None:
    bench, (example, other_example) = Bench(tmp_path), dev_examples(TAGS, 2)
    bench.fit(TAGS)
    past_example = build_past_examples(TAGS, example, limit=2, seed=0)[0].example
    bench.model.silent_about = f"description: {TAGS.content(past_example)}"

    failed, answered = bench.predict(TAGS, [example, other_example])
    assert failed.unanswered and "history" in (failed.failure or "") and not answered.unanswered
    assert len(list((tmp_path / "users").glob("*/heads.safetensors"))) == 1

    bench.model.silent_about = ""
    assert not bench.predict(TAGS, [example, other_example])[0].unanswered


def test_an_estimate_counts_the_fit_and_every_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ScriptedModel(echo)
    monkeypatch.setattr("rpobench.runs.prepare.get_model", lambda spec: model)
    monkeypatch.setattr("rpobench.runs.runner._load_reference_tokenizer", Words)
    options: dict[str, Any] = {"method": "hydra", "task": "LaMP-2", "limit": 6, "out": tmp_path / "runs"}
    plan = make_plan(**options, settings={"history": 2, "steps": 5})

    calls = estimate(plan).calls
    assert model.calls == 0 and not (tmp_path / "runs").exists()

    run(plan)
    assert calls == (6 + 2 * 6) * (1 + 2), "the fit once; own and swapped profiles as if they shared no user"
    assert model.calls == (6 + 6) * (1 + 2) + 6
    assert estimate(plan).calls == 0, "all of it is there"

    test_plan = make_plan(**{**options, "split": "test"}, settings={"history": 2, "steps": 5})
    assert estimate(test_plan).calls == 2 * 6 * (1 + 2), "the fit is there"


def propose_without_evidence(task: Any, model: ScriptedModel, folder: Path, counts: Sequence[int]) -> list[Candidates]:
    drafts: Any = StoredDrafts(ResultStore(folder), model)
    no_source: Any = None
    context = PredictContext(model, drafts, no_source, 0, folder / "users")

    examples = dev_examples(task, len(counts))
    return propose_candidates(task, examples, [Evidence()] * len(counts), context, counts=counts)


def test_a_texts_candidates_are_the_greedy_answer_and_samples(tmp_path: Path) -> None:
    model = Sampling(lambda chat: "so tired")

    single, several = propose_without_evidence(TWEETS, model, tmp_path, (1, 3))

    assert single.texts == ("so tired 0 None",) and single.usage.calls == 1
    assert several.texts == ("so tired 0 None", "so tired 0.8 1", "so tired 0.8 2") and several.usage.calls == 3


def test_a_label_tasks_candidates_are_all_its_labels(tmp_path: Path) -> None:
    model = ScriptedModel(str, scorer=lambda chat, text: float(text == "action"))

    (candidates,) = propose_without_evidence(TAGS, model, tmp_path, (1,))

    assert candidates.greedy == "action" and sorted(candidates.texts) == sorted(TAGS.labels)
    assert candidates.usage.calls == 1


FILMS = [
    ProfileItem("0", {"description": "d", "tag": "action"}),
    ProfileItem("1", {"description": "d", "tag": "comedy"}),
]
FILM = Example("e", "u", f"{TAGS.instruction}a car chase")


def test_an_item_is_as_useful_as_its_answer() -> None:
    rows = item_rows(TAGS, FILM, FILMS, "comedy")

    assert [(row.query, row.hints, row.target) for row in rows] == [
        ("a car chase", (1.0,), 0.0), ("a car chase", (0.5,), 1.0)
    ]  # fmt: skip


def test_hints_of_a_label_are_the_models_choice_and_agreement() -> None:
    labels = Candidates(("action", "comedy"), ("action", "comedy"), Usage())

    rows = candidate_rows(TAGS, FILM, labels, Evidence((FILMS[1],)), "comedy")

    assert [(row.text, row.hints, row.target) for row in rows] == [
        ("action", (1.0, 0.0), 0.0), ("comedy", (0.0, 1.0), 1.0)
    ]  # fmt: skip


def test_a_users_own_text_is_the_best_candidate() -> None:
    texts = Candidates(("so tired",), ("so tired",), Usage())

    rows = candidate_rows(TWEETS, FILM, texts, Evidence(), "v tired")

    assert [(row.text, row.hints) for row in rows] == [("so tired", (0.0, 0.0)), ("v tired", (0.0, 0.0))]
    assert rows[0].target < rows[1].target == 1.0
    assert [row.text for row in candidate_rows(TWEETS, FILM, texts, Evidence())] == ["so tired"]


def past_targets(example: Example, limit: int, seed: int) -> list[str]:
    return [past.target for past in build_past_examples(TAGS, example, limit=limit, seed=seed)]


def test_equal_profiles_have_equal_past_examples() -> None:
    (example,) = dev_examples(TAGS, 1)
    twin = replace(example, id="twin", user_id="somebody")

    targets = past_targets(example, limit=3, seed=0)

    assert len(targets) == 3
    assert past_targets(twin, limit=3, seed=0) == targets
    assert past_targets(example, limit=3, seed=1) != targets


def test_a_past_example_does_not_hold_its_own_item() -> None:
    (example,) = dev_examples(TAGS, 1)

    for past in build_past_examples(TAGS, example, limit=3, seed=0):
        assert past.example.id not in {item.id for item in past.example.profile}
        assert len(past.example.profile) == len(example.profile) - 1

    assert len(build_past_examples(TAGS, example, limit=999, seed=0)) == len(example.profile)
    assert build_past_examples(TAGS, replace(example, profile=()), limit=3, seed=0) == []


def test_items_without_an_answer_are_left_out_and_long_ones_cut() -> None:
    items = (ProfileItem("1", {"text": "word"}), ProfileItem("2", {"text": "word " * 2 * ITEM_WORDS}))

    (past,) = build_past_examples(TWEETS, Example("e", "u", "x", items), limit=9, seed=0)

    beginning = past.example.input.removeprefix("Continue this tweet: ")
    assert past.example.id == "2"
    assert len(beginning.split()) + len(past.target.split()) == ITEM_WORDS


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

    process = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)

    runs = json.loads(process.stdout)
    assert [(summary["task"], summary["n"]) for summary in runs] == [("LaMP-2", 4), ("LaMP-7", 4)]
    assert len(list((tmp_path / "users").rglob("heads.safetensors"))) == 8
