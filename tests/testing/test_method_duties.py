"""`check-method`: every built-in keeps its duties, and each duty is missed by a method that breaks it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from command_line import run_rpobench
from paths import PLUGIN

from rpobench import registry
from rpobench.api import Method, Prediction, content_free_wording
from rpobench.data.synth.world import generate
from rpobench.registry import list_names
from rpobench.testing import ContractError, check_method, examine_method

# Train a language model, or load an encoder: held to the same duties on tiny weights in tests of their own.
WITH_WEIGHTS = {"rpo", "sft-rag", "sft-rag-analysis", "sft-generic", "per-user-lora", "hydra"}
WITH_WEIGHTS |= {name for name in list_names("methods") if "dense" in name or "hybrid" in name}


@pytest.mark.parametrize("name", sorted(set(list_names("methods")) - WITH_WEIGHTS))
def test_every_built_in_keeps_its_duties(name: str) -> None:
    started = time.monotonic()

    check_method(name)

    assert time.monotonic() - started < 10


class Good(Method):
    """Asks with the official prompt and its latest item."""

    name = "good"

    def retrievers(self) -> tuple[str, ...]:
        return ("recency",)

    def prompts(self, tasks: Any) -> Any:
        return content_free_wording(tasks)

    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        evidence = context.choose_evidence(task, examples, retriever="recency")
        chats = [self.word(task, example, best.items) for example, best in zip(examples, evidence, strict=True)]
        yield from context.predict(task, examples, chats, evidence=evidence)

    def word(self, task: Any, example: Any, items: Any) -> Any:
        return task.prompt(example, items)


class Text(Good):
    """Answers with a text of its own."""

    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        for example in examples:
            text = self.write(example)
            yield Prediction(example.id, text, text)

    def write(self, example: Any) -> str:
        return example.input


class Lots(Text):
    def write(self, example: Any) -> str:
        return str(random.random())


class Counting(Text):
    counts: ClassVar[dict[str, int]] = {}

    def write(self, example: Any) -> str:
        self.counts[example.id] = self.counts.get(example.id, 0) + 1
        return f"{self.counts[example.id] == 1}"


class Neighbours(Text):
    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, f"{examples[0].id}", "")


class NeedsItems(Text):
    def write(self, example: Any) -> str:
        return example.profile[0].id


class NeedsTwoItems(Text):
    def write(self, example: Any) -> str:
        return example.profile[1].id if example.profile else "none"


class FewItems(Text):
    def write(self, example: Any) -> str:
        return dict.fromkeys(range(100), "few")[len(example.profile)]


class Misses(Good):
    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        yield from super().predict(task, examples[1:], context)


class OwnWords(Good):
    def word(self, task: Any, example: Any, items: Any) -> Any:
        (message,) = task.prompt(example, items)
        return (type(message)("system", "Imitate this person faithfully."), message)


class OtherWords(OwnWords):
    def prompts(self, tasks: Any) -> Any:
        return ["Imitate this person.", content_free_wording(tasks)]


class DeclaredWords(OwnWords):
    def prompts(self, tasks: Any) -> Any:
        return ["Imitate this person faithfully.", content_free_wording(tasks)]


class UnnamedRetriever(Good):
    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        context.choose_evidence(task, examples, retriever="bm25")
        yield from super().predict(task, examples, context)


class Cheats(Text):
    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        targets = {labelled.example.id: labelled.target for labelled in generate(task.name, "dev", 4).labelled}
        for example in examples:
            yield Prediction(example.id, targets[example.id], "")


class ForeignEvidence(Text):
    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, "x", "x", evidence=("nowhere",))


class Learns(Text):
    """Learns how many examples there were."""

    trains = True
    count = 0

    def fit(self, train: Any, context: Any) -> None:
        self.count = sum(map(len, train.values()))

    def write(self, example: Any) -> str:
        return str(self.count)

    def save(self, path: Path) -> None:
        (path / "count").write_text(str(self.count))

    @classmethod
    def load(cls, path: Path, config: Any) -> Learns:
        method = cls(config)
        method.count = int((path / "count").read_text())
        return method


class Forgets(Learns):
    @classmethod
    def load(cls, path: Path, config: Any) -> Forgets:
        return cls(config)


class KeepsInWork(Learns):
    def fit(self, train: Any, context: Any) -> None:
        self.work = context.folder

    def save(self, path: Path) -> None:
        (path / "where").write_text(str(self.work))

    @classmethod
    def load(cls, path: Path, config: Any) -> KeepsInWork:
        method = cls(config)
        next(Path((path / "where").read_text()).iterdir())
        return method


class WritesItsSeed(Text):
    def predict(self, task: Any, examples: Any, context: Any) -> Iterator[Prediction]:
        for example in examples:
            yield Prediction(example.id, str(context.seed), "")


class NoTask(Text):
    def applies_to(self, task: Any) -> bool:
        return False


@pytest.mark.parametrize("method_class", [Good, Text, DeclaredWords, Learns])
def test_a_method_that_keeps_its_duties_passes(method_class: type[Method]) -> None:
    check_method(method_class)


BREAKING = [
    (Lots, "same answers in an equal run", "answers 'lamp-"),
    (Counting, "no state between calls", "otherwise the second time; keep nothing between calls of predict"),
    (Neighbours, "no state between calls", "let each example stand alone"),
    (NeedsItems, "answers a user without items", "IndexError: tuple index out of range"),
    (NeedsTwoItems, "answers a user with one item", "IndexError: tuple index out of range"),
    (FewItems, "answers a user with 500 items", "KeyError: 500"),
    (Misses, "answers all examples", "3 predictions for 4 examples, 0 for example"),
    (OwnWords, "prompts() holds its own words", "words of its own (Imitate"),
    (OtherWords, "prompts() holds its own words", "words of its own (faithfully)"),
    (
        UnnamedRetriever,
        "retrievers() names what it asks",
        "takes evidence from bm25, which `retrievers()`",
    ),
    (ForeignEvidence, "answers all examples", "names evidence ['nowhere'] that is not in the profile"),
    (Forgets, "same answers once saved and loaded", "let `save` write all that `fit` learned"),
    (KeepsInWork, "fits, saves and loads", "No such file or directory"),
    (WritesItsSeed, "answers all examples", "set `draws_lots = True`"),
    (NoTask, "applies to a task", "applies to none of LaMP-2, LaMP-3, LaMP-7; name other tasks"),
]


@pytest.mark.parametrize(("method_class", "duty", "message"), BREAKING)
def test_a_broken_duty_is_named(method_class: type[Method], duty: str, message: str) -> None:
    findings = [finding for finding in examine_method(method_class) if finding.fault]

    assert duty in {finding.duty for finding in findings}
    faults = [finding.fault or "" for finding in findings if finding.duty == duty]
    assert all(message in fault and fault.startswith(f"{__file__}:") for fault in faults)
    assert all("\n" not in fault for fault in faults)


def test_a_target_in_an_answer_is_found() -> None:
    faults = [finding for finding in examine_method(Cheats, ["LaMP-7"]) if finding.fault]

    assert any(finding.duty == "no target within reach" for finding in faults)


def test_all_broken_duties_are_lines_of_one_error() -> None:
    with pytest.raises(ContractError) as failure:
        check_method(NeedsItems(NeedsItems.Config()), tasks=["LaMP-3"])

    assert len(str(failure.value).splitlines()) >= 1 and "IndexError" in str(failure.value)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(PLUGIN))
    registry._entry_points_by_name.cache_clear()
    yield
    registry._entry_points_by_name.cache_clear()


@pytest.mark.usefixtures("plugin")
def test_the_command_lists_each_duty() -> None:
    result = run_rpobench("check-method", "learner", "--task", "LaMP-3")

    assert result.returncode == 0, result.stdout
    assert "ok     LaMP-3  same answers once saved and loaded" in result.stdout
    assert result.stdout.endswith("learner keeps its contract\n")
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.usefixtures("plugin")
def test_the_command_ends_with_the_first_fault() -> None:
    result = run_rpobench("check-method", "silent", "--task", "LaMP-3")

    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "fault  LaMP-3  answers all examples" in result.stdout
    assert "toy_methods.py:102: method silent: 0 predictions for 4 examples" in result.stderr.splitlines()[-1]

    findings = json.loads(run_rpobench("check-method", "silent", "--task", "LaMP-3", "--json").stdout)
    assert {"duty": "fits, saves and loads", "task": "LaMP-3", "fault": None} in findings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such",), "unknown method 'no-such'"),
        (("rag-bm25", "--task", "LaMP-33"), "unknown task 'LaMP-33': did you mean LaMP-3"),
        (("rag-bm25", "--set", "kk=1"), "--set kk: no such option of rag-bm25"),
        (("all",), "unknown method 'all'"),
    ],
)
def test_wrong_options_of_the_command_are_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = run_rpobench("check-method", *arguments)

    assert result.returncode == 1 and message in result.stderr and len(result.stderr.splitlines()) == 1
