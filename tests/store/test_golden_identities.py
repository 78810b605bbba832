"""Identities of every kind, as literals: a change of one would run again what stands on somebody's disk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from rpobench import get_method, get_task
from rpobench.method.contract import Method, prompts_digest
from rpobench.method.per_user import name_part
from rpobench.models.answer_cache import answer_key
from rpobench.models.kept_answers import prompt_keys
from rpobench.models.kept_texts import KeptTexts
from rpobench.models.scripted import ScriptedModel, echo
from rpobench.registry import list_names
from rpobench.store.identity import canonical_json, digest
from rpobench.store.recorded import recorded_profile, recorded_prompts
from rpobench.store.spec import DataSpec, FitSpec, RunSpec, digest_of
from rpobench.types import Decoding, Message, ProfileItem

DEFAULTS = Path(__file__).parent / "method_defaults.json"

DATA = DataSpec(source="synth-v2", split="dev", sha256="ab" * 32)
MADE_BY = {
    "method": "rpo",
    "version": "8",
    "config": {"k": 4, "n": 1},
    "knobs": {"k": 4},
    "base_model": "scripted:echo",
    "models": {"reflection": "m@1"},
    "prompts": "0123456789ab",
    "recorded_prompts": "ba9876543210",
    "seed": 0,
}
CHAT = (Message("system", "Be brief."), Message("user", "Which tag? café"))
PROFILE = (ProfileItem("1", {"text": "a", "tag": "b"}, date(2020, 1, 31)), ProfileItem("2", {"text": "c"}))


def fit_spec(**changes: Any) -> FitSpec:
    return FitSpec(**{**MADE_BY, "train_tasks": ("LaMP-7@1",), "data": (DATA,), **changes})


def run_spec(**changes: Any) -> RunSpec:
    return RunSpec(**{**MADE_BY, "task": "LaMP-7@1", "data": DATA, "fit": "0f" * 6, **changes})


def test_digests_of_specs() -> None:
    assert fit_spec().digest() == "5a46d454d825"
    assert run_spec().digest() == "b4e333cd106d"
    assert run_spec(profiles="swapped").digest() == "40dd50aa6eda"


def test_digests_of_specs_of_version_0_1() -> None:
    assert fit_spec().as_recorded().digest() == "af13c59abc44"
    assert run_spec().as_recorded(fit="f0" * 6).digest() == "0de6c6501a76"


def test_keys_of_prompts() -> None:
    assert prompt_keys(CHAT) == ("79fbafe91fed6a4dd9cf6b51", "1b10ae57a5338d32f62b1bfd", "b80bf3fd4156d885328c69dc")


def test_keys_of_cached_answers() -> None:
    """These are the keys that version 0.1 gave: answers that were paid for are found."""
    generation = {"decoding": Decoding(max_new_tokens=8), "sample": 0}
    choice = {"options": ["a", "b"], "neutral": (Message("user", "Which tag?"),)}

    assert answer_key("m@1", CHAT, generation) == "06fb4d25b62c9e1ca561ba5820fa43be4db34e97d8e840206881e00afd3a5484"
    assert answer_key("m@1", CHAT, choice) == "3d7477a53eae0aac970c0a2c2d8fdc413943e9b50fb8ffa7a627ab897d2201df"


def test_names_of_files_of_kept_texts(tmp_path: Path) -> None:
    model = ScriptedModel(echo, identity="m@1")
    decoding = Decoding(max_new_tokens=8, temperature=0.5, seed=3)

    KeptTexts(tmp_path, "texts", model, decoding).generate([CHAT])
    assert [file.name for file in tmp_path.glob("*.jsonl")] == ["texts-1e4b029dc690.jsonl"]

    (tmp_path / "texts-1e4b029dc690.jsonl").rename(tmp_path / "texts-d1ae1a0f80d9.jsonl")
    KeptTexts(tmp_path, "texts", model, decoding).generate([CHAT, CHAT[1:]])
    assert [file.name for file in tmp_path.glob("*.jsonl")] == ["texts-d1ae1a0f80d9.jsonl"], "as version 0.1 named it"


def test_keys_of_parts_of_users() -> None:
    key = name_part([1, "m@1", PROFILE], recorded_profile(PROFILE))

    assert (key.name, key.recorded) == ("2e0ecdde3f096c5706819e5b", "906947bc53c1d3313073d68d")


def test_hashes_of_prompts() -> None:
    method = get_method("profile-summary")(get_method("profile-summary").Config())
    tasks = [get_task("LaMP-2")]

    assert prompts_digest(method, tasks) == "fff74543ae98"
    assert recorded_prompts(method.prompts(tasks)) == "de1987ca79c7"


def test_the_form_is_declared_name_by_name() -> None:
    assert canonical_json(CHAT[:1]) == '[{"content":"Be brief.","role":"system"}]'
    assert canonical_json(Decoding(max_new_tokens=8, seed=1)) == (
        '{"max_new_tokens":8,"seed":1,"temperature":0.0,"top_p":1.0}'
    )
    assert canonical_json(PROFILE[0]) == '{"date":"2020-01-31","fields":{"tag":"b","text":"a"},"id":"1"}'


def test_names_of_classes_change_nothing() -> None:
    class Turn(Message):
        pass

    class PastItem(ProfileItem):
        pass

    chat = tuple(Turn(message.role, message.content) for message in CHAT)
    profile = tuple(PastItem(item.id, item.fields, item.date) for item in PROFILE)

    assert prompt_keys(chat) == prompt_keys(CHAT)
    assert digest(profile) == digest(PROFILE)
    assert recorded_profile(profile) == recorded_profile(PROFILE)


def test_what_is_not_declared_is_refused() -> None:
    @dataclass
    class Undeclared:
        text: str

    with pytest.raises(TypeError, match="Undeclared has no canonical form: declare its fields"):
        digest([Undeclared("a")])


def test_lone_surrogates_have_a_digest() -> None:
    assert digest("a\ud800") != digest("a")


def test_only_differing_knobs_are_hashed() -> None:
    spec = run_spec()

    assert run_spec(config={**spec.config, "later": 1}).digest() == spec.digest()
    assert run_spec(knobs={"k": 4, "later": 2}).digest() != spec.digest()
    assert digest_of(json.loads(json.dumps(spec.content()))) == spec.digest()


def test_a_new_knob_with_a_default_changes_no_digest() -> None:
    class Before(Method):
        name = "before"

        def predict(self, task: Any, examples: Any, ctx: Any) -> Any:
            yield from ()

    class After(Before):
        class Config(Before.Config):
            later: int = 3

    assert Before(Before.Config()).changed_knobs() == After(After.Config()).changed_knobs() == {}
    assert After(After.Config(later=4)).changed_knobs() == {"later": 4}


def test_defaults_change_only_with_the_version() -> None:
    """A default is part of what a version means. Pin a new version, or a new knob, in method_defaults.json."""
    pinned = json.loads(DEFAULTS.read_text())

    today = {}
    for name in list_names("methods"):
        method_class = get_method(name)
        defaults = json.loads(method_class.Config().model_dump_json())
        today[name] = {"version": method_class.version, "defaults": defaults}

    for name, method in today.items():
        assert name in pinned, f"{name} is new: add it to {DEFAULTS.name}"
        if method["version"] == pinned[name]["version"]:
            assert method["defaults"] == pinned[name]["defaults"], f"{name}: raise its version, then pin it"
        else:
            pytest.fail(f"{name} has another version: pin its defaults in {DEFAULTS.name}")
