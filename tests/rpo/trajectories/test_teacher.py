"""Trajectories by a teacher: its tries, what is accepted, what is kept on disk, and who has one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from training_jobs import TWEET

from rpobench.method.answering import TextPrivacy
from rpobench.method.left_out import LeftOut
from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.protocol import LanguageModel
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.method import RPO
from rpobench.rpo.training_rows import TrainingRow
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.rpo.trajectories.teacher import TeacherWriter
from rpobench.rpo.trajectories.teacher_prompt import FEW_SHOT
from rpobench.rpo.writers import get_writer
from rpobench.task.contract import Task
from rpobench.types import Chat, Completion, Decoding, Example, ProfileItem, RpobenchError

EVIDENCE = (ProfileItem("1", {"text": "ok so the sun is up", "score": "4"}),)
TARGET = "ok so lunch was really great"
ACCEPTED = Trajectory("says ok so", "too formal", TARGET)


def make_row(example_id: str = "1", target: str = TARGET, task: Task = TWEET) -> TrainingRow:
    return TrainingRow(task, Example(example_id, "u", "lunch was good"), target, "The lunch was good", EVIDENCE)


def make_teacher(model: LanguageModel, folder: Path) -> TeacherWriter:
    return TeacherWriter(model, folder, max_new_tokens=8, seed=0)


def analysis(shows: str, lacks: str = "too formal") -> str:
    """What a teacher writes."""
    return Form().render(Trajectory(shows, lacks, "whatever"))


def good_teacher() -> ScriptedModel:
    return ScriptedModel(lambda chat: analysis("says ok so"))


class RecordingModel(ScriptedModel):
    """Keeps the decoding of each request."""

    decodings: list[Decoding]

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        self.decodings.append(decoding)
        return super().generate(chats, decoding)


def test_the_teacher_is_asked_again_and_then_rules_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example_ids = ("first", "second", "never")
    rows = [TrainingRow(TWEET, Example(name, "u", name), TARGET, "d", EVIDENCE) for name in example_ids]
    requests: Counter[str] = Counter()

    def reply(chat: Chat) -> str:
        name = next(name for name in example_ids if f"Input: {name}" in chat[-1].content)
        requests[name] += 1
        is_sound = {"first": True, "second": requests[name] == 2, "never": False}[name]
        return analysis("says ok so") if is_sound else analysis("it is ok so lunch was really great")

    model = RecordingModel(reply)
    model.decodings = []
    trajectories = TeacherWriter(model, tmp_path, max_new_tokens=64, seed=0).write(rows)

    first, *others = model.decodings
    assert first.temperature == 0, "greedy once"
    assert all(decoding.temperature > 0 for decoding in others), "then sampled"
    assert len({decoding.seed for decoding in others}) == len(others) == 2
    assert requests == {"first": 1, "second": 2, "never": 3}
    assert trajectories[0] == trajectories[1] == ACCEPTED
    assert trajectories[2] == RuleWriter().write(rows)[2]
    assert "2 of 3 trajectories accepted (1, 1, 0 by try), 1 by rules" in capsys.readouterr().err


@pytest.mark.parametrize(
    "continuation",
    ["too formal\nand more", "Draft lacks: too formal", "History shows: says ok so\nDraft lacks: too formal"],
)
def test_a_text_without_its_second_line_is_continued(continuation: str, tmp_path: Path) -> None:
    def reply(chat: Chat) -> str:
        return continuation if chat[-1].role == "assistant" else "History shows: says ok so\nFolks"

    model = ScriptedModel(reply)
    trajectories = make_teacher(model, tmp_path).write([make_row()])

    assert trajectories == [ACCEPTED]
    assert model.calls == 2 and model.chats[1][-1].content == "History shows: says ok so\nDraft lacks:"


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [
        (analysis("says ok so") + "\n\nHistory shows: and on it goes", True),
        (analysis("on and " * 30), False),
        (analysis("says ok so", "on and " * 30), False),
        (FEW_SHOT["text"][-1].content, False),
        (analysis("says ok so", FEW_SHOT["text"][-1].content.rsplit("lacks: ", 1)[1]), False),
    ],
)
def test_endless_lines_and_copies_of_the_prompt_are_refused(text: str, is_accepted: bool, tmp_path: Path) -> None:
    trajectories = make_teacher(ScriptedModel(lambda chat: text), tmp_path).write([make_row()])

    assert (trajectories == [ACCEPTED]) is is_accepted
    assert (trajectories == RuleWriter().write([make_row()])) is not is_accepted


def test_the_words_of_a_teacher_are_in_the_specs_that_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def prompts(**knobs: str) -> list[object]:
        return RPO(RPOConfig(**knobs)).prompts([TWEET])  # type: ignore[arg-type]

    of_rules, of_teacher = prompts(), prompts(writer="teacher")
    monkeypatch.setattr("rpobench.rpo.trajectories.teacher_prompt.INSTRUCTION", "Explain.")

    assert prompts() == of_rules and prompts(writer="teacher") != of_teacher


def test_a_teacher_that_does_not_answer_ends_the_fit(tmp_path: Path) -> None:
    class FailingModel(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
            first, *others = super().generate(chats, decoding)
            return [first, *(replace(completion, text="", failure="HTTP 500") for completion in others)]

    teacher = make_teacher(FailingModel(lambda chat: analysis("says ok so")), tmp_path)

    with pytest.raises(RpobenchError, match=r"teacher: 1 of 2 requests have no answer \(HTTP 500\): the same command"):
        teacher.write([make_row("1"), make_row("2", "ok so")])


def test_what_was_written_before_a_kill_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rpobench.models.kept_texts.CHUNK", 2)
    rows = [make_row(str(number), f"ok so {number} it is") for number in range(6)]

    class KilledModel(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().generate(chats, decoding)

    with pytest.raises(KeyboardInterrupt):
        make_teacher(KilledModel(lambda chat: analysis("says ok so")), tmp_path).write(rows)
    assert "teacher-1: 4/6" in capsys.readouterr().err, "a long step shows how far it is"

    model = good_teacher()
    teacher = make_teacher(model, tmp_path)
    teacher.write(rows)
    assert model.calls == 2 and teacher.usage.calls == 6, "what was written before has its cost"


@pytest.mark.parametrize("is_licensed", [True, False])
def test_texts_on_licensed_data_are_not_in_the_shared_cache(tmp_path: Path, is_licensed: bool) -> None:
    cache_file = tmp_path / "answers.sqlite"
    task = type("MaybeLicensed", (type(TWEET),), {"licensed": is_licensed})()

    make_teacher(CachedModel(good_teacher(), AnswerCache(cache_file)), tmp_path).write([make_row(task=task)])

    assert cache_file.exists() is not is_licensed


def test_texts_on_data_with_a_licence_of_its_own_are_in_the_shared_cache(tmp_path: Path) -> None:
    cache_file = tmp_path / "answers.sqlite"
    task = type("Licensed", (type(TWEET),), {"licensed": True})()
    privacy = TextPrivacy(frozenset({task.name}))
    model = CachedModel(good_teacher(), AnswerCache(cache_file))

    TeacherWriter(model, tmp_path, max_new_tokens=8, seed=0, privacy=privacy).write([make_row(task=task)])

    assert cache_file.exists()


def test_the_teacher_sees_the_target(tmp_path: Path) -> None:
    model = ScriptedModel(lambda chat: "")

    make_teacher(model, tmp_path).write([make_row()])

    assert model.chats[0][-1].content.endswith(f"Rewrite: {TARGET}")


def test_the_writer_is_a_switch(tmp_path: Path) -> None:
    with_teacher = RPOConfig(writer="teacher", teacher="scripted:echo")

    assert isinstance(get_writer(with_teacher, tmp_path, seed=0, left_out=LeftOut()), TeacherWriter)
    assert isinstance(get_writer(RPOConfig(), tmp_path, seed=0, left_out=LeftOut()), RuleWriter)
    assert RPO(with_teacher).models()["teacher"] == "scripted:echo"


class RefusingModel(ScriptedModel):
    """Refuses every chat that holds the word."""

    word = "bomb"

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        completions = list(super().generate(chats, decoding))
        for index, chat in enumerate(chats):
            if self.word in chat[-1].content:
                completions[index] = Completion("", failure="refused", permanent=True)
        return completions


def test_a_row_that_the_teacher_refuses_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = [Example(name, "u", f"{name} lunch") for name in ("good", "bomb", "fine")]
    rows = [TrainingRow(TWEET, example, TARGET, "d", EVIDENCE) for example in examples]
    model, left_out = RefusingModel(lambda chat: analysis("says ok so")), LeftOut(most=0.5)

    trajectories = TeacherWriter(model, tmp_path, max_new_tokens=64, seed=0, left_out=left_out).write(rows)

    assert trajectories == [ACCEPTED, None, ACCEPTED]
    assert left_out.list_ids() == {"LaMP-7": ["bomb"]}
    message = capsys.readouterr().err
    assert "1 of 3 training examples are left out" in message and "teacher: 2 of 2 trajectories accepted" in message
    assert model.calls == 3, "a refused row is not asked again"


def test_too_many_refusals_of_the_teacher_stop_the_training(tmp_path: Path) -> None:
    model = RefusingModel(lambda chat: analysis("says ok so"))

    with pytest.raises(RpobenchError, match="1 of 1 training examples have no answer and never will"):
        make_teacher(model, tmp_path).write([TrainingRow(TWEET, Example("bomb", "u", "bomb"), TARGET, "d", EVIDENCE)])
