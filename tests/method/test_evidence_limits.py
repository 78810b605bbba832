"""Every method has the evidence budget of its rivals, unless it says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixed_sources import FixedDrafts

from rpobench.api import EvidenceConfig, Method, MethodConfig, PredictContext, RpobenchError
from rpobench.method.config import QUICK_EVIDENCE
from rpobench.method.presets import choose_preset_evidence
from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_method, get_task
from rpobench.runs import plan as plans
from rpobench.runs.plan import configure_methods, make_plan
from rpobench.types import Evidence


class Plain(Method):
    """Names a retriever, and has no knobs."""

    name = "plain"

    def retrievers(self):  # type: ignore[no-untyped-def]
        return ("recency",)

    def predict(self, task, examples, context):  # type: ignore[no-untyped-def]
        context.choose_evidence(task, examples, retriever="recency")
        yield from ()


class OwnCount(Plain):
    """Has a default of its own for one limit."""

    name = "own-count"

    class Config(EvidenceConfig):
        k: int = 2


class NoLimits(Plain):
    """Has knobs, and no limits among them."""

    name = "no-limits"

    class Config(MethodConfig):
        warmth: float = 0.5


class RecordingSource:
    """Notes the limits that it is asked with."""

    def __init__(self) -> None:
        self.limits: list[EvidenceConfig] = []

    def choose_evidence(self, task, examples, *, retriever, limits):  # type: ignore[no-untyped-def]
        self.limits.append(limits)
        return [Evidence()] * len(examples)


def configure(method_class: type[Method], monkeypatch: pytest.MonkeyPatch, **options: object) -> Method:
    monkeypatch.setattr(plans, "get_method", lambda name: method_class)
    (method,) = configure_methods(make_plan(method=method_class.name, task="LaMP-7", **options))
    return method


def ask(method: Method) -> EvidenceConfig:
    source = RecordingSource()
    context = PredictContext(
        ScriptedModel(str), FixedDrafts(), source, 0, Path("unused"), evidence_limits=method.evidence_limits  # type: ignore[arg-type]
    )  # fmt: skip
    list(method.predict(get_task("LaMP-7"), [], context))
    return source.limits[0]


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_a_method_without_knobs_has_its_rivals_limits(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = configure(Plain, monkeypatch, preset=preset)

    rival = configure(get_method("rag-bm25"), monkeypatch, preset=preset)
    assert ask(method) == EvidenceConfig(**rival.config.model_dump())
    assert method.changed_knobs() == rival.changed_knobs() == (QUICK_EVIDENCE if preset == "quick" else {})


def test_set_moves_the_default_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    method = configure(Plain, monkeypatch, settings={"k": "3"})

    assert ask(method).k == 3 and ask(method).max_prompt_tokens == 256


def test_a_limit_with_its_own_default_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(configure(OwnCount, monkeypatch)).model_dump() == {**QUICK_EVIDENCE, "k": 2}
    assert choose_preset_evidence(OwnCount.Config, "full") == {}


def test_missing_limits_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RpobenchError, match=r"no evidence limits: write `class Config\(EvidenceConfig\)`"):
        ask(configure(NoLimits, monkeypatch))


def test_a_run_hands_its_method_the_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rpobench.runs.benchmark import run

    monkeypatch.setattr(plans, "get_method", lambda name: Echo)
    monkeypatch.setattr("rpobench.registry.get_method", lambda name: Echo)
    plan = make_plan(
        method="echo", task="LaMP-7", base_model="scripted:echo", limit=2, out=tmp_path, swap=False, preset="quick"
    )

    run(plan)

    assert Echo.seen and set(Echo.seen) == {EvidenceConfig(**QUICK_EVIDENCE)}


class Echo(Plain):
    """Notes the limits of its context in fit and predict."""

    name = "echo"
    trains = True
    seen: list[EvidenceConfig | None] = []  # noqa: RUF012

    def fit(self, train, context):  # type: ignore[no-untyped-def]
        self.seen.append(context.evidence_limits)

    def save(self, path: Path) -> None: ...

    @classmethod
    def load(cls, path: Path, config):  # type: ignore[no-untyped-def]
        return cls(config)

    def predict(self, task, examples, context):  # type: ignore[no-untyped-def]
        self.seen.append(context.evidence_limits)
        yield from context.predict(task, examples, [task.prompt(example) for example in examples])
