"""Trajectories by rules, by a teacher, and out of a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from rpobench import get_task
from rpobench.models.answer_cache import AnswerCache, CachedModel
from rpobench.models.scripted import ScriptedModel
from rpobench.rpo.config import RPOConfig
from rpobench.rpo.form import Form, Trajectory
from rpobench.rpo.method import RPO
from rpobench.rpo.training_rows import Demonstration, TrainingRow
from rpobench.rpo.trajectories.file import read_trajectories, store_trajectories
from rpobench.rpo.trajectories.leaks import reveals_target
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.rpo.trajectories.teacher import TeacherWriter
from rpobench.rpo.trajectories.teacher_prompt import FEW_SHOT
from rpobench.rpo.trajectories.writers import get_writer
from rpobench.types import Chat, Completion, Decoding, Example, ProfileItem, RpobenchError

TWEET, RATING = get_task("LaMP-7"), get_task("LaMP-3")
EVIDENCE = (ProfileItem("1", {"text": "ok so the sun is up", "score": "4"}),)


def row(name: str = "1", target: str = "ok so lunch was really great", task=TWEET) -> TrainingRow:  # type: ignore[no-untyped-def]
    return TrainingRow(task, Example(name, "u", "lunch was good"), target, "The lunch was good", EVIDENCE)


def written(shows: str, lacks: str = "too formal") -> str:
    return Form().render(Trajectory(shows, lacks, "whatever"))


@pytest.mark.parametrize(
    ("shows", "away"),
    [
        ("starts with ok so", False),
        ("should say lunch was really great", True),
        ("says really and great", False),
        ("the lunch was good indeed", False),
    ],
)
def test_a_run_of_words_that_only_the_target_has_gives_it_away(shows: str, away: bool) -> None:
    assert reveals_target(row(), Trajectory(shows, "formal", "x")) is away


def test_a_label_is_given_away_where_only_the_target_names_it() -> None:
    for target, away in (("5", True), ("4", False)):
        one = TrainingRow(RATING, Example("1", "u", "a review"), target, "3", EVIDENCE)
        assert reveals_target(one, Trajectory(f"rates {target}", "too low", "x")) is away


def test_a_label_that_everybody_names_is_given_away_where_it_is_called_the_answer() -> None:
    which = Example("1", "u", 'Which? [1]: "A" [2]: "B"')
    one = TrainingRow(get_task("LaMP-1"), which, "[2]", "[1]", (ProfileItem("1", {"title": "A", "abstract": ""}),))
    assert reveals_target(one, Trajectory("titles on A", "The correct answer is [2]", "x"))
    assert not reveals_target(one, Trajectory("titles on A", "[2] is on A too, [1] alone", "x"))


def test_the_teacher_is_asked_again_and_then_the_rules_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row("first"), row("second"), row("never")]
    rows = [TrainingRow(TWEET, Example(one.example.id, "u", one.example.id), one.target, "d", EVIDENCE) for one in rows]
    asked: dict[str, int] = {}

    def reply(chat: Chat) -> str:
        name = next(one.example.id for one in rows if f"Input: {one.example.id}" in chat[-1].content)
        asked[name] = asked.get(name, 0) + 1
        sound = {"first": True, "second": asked[name] == 2, "never": False}[name]
        return written("says ok so") if sound else written("it is ok so lunch was really great")

    class Watched(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
            decodings.append(decoding)
            return super().generate(chats, decoding)

    decodings: list[Decoding] = []
    made = TeacherWriter(Watched(reply), tmp_path, max_new_tokens=64, seed=0).write(rows)
    first, *others = decodings
    assert first.temperature == 0 and all(one.temperature > 0 for one in others), "greedy once, then sampled"
    assert len({one.seed for one in others}) == len(others) == 2
    assert asked == {"first": 1, "second": 2, "never": 3}
    assert made[0] == made[1] == Trajectory("says ok so", "too formal", rows[0].target)
    assert made[2] == RuleWriter().write(rows)[2]
    assert "2 of 3 trajectories accepted (1, 1, 0 by try), 1 by rules" in capsys.readouterr().err


@pytest.mark.parametrize(
    "rest", ["too formal\nand more", "Draft lacks: too formal", "History shows: says ok so\nDraft lacks: too formal"]
)
def test_a_text_without_its_second_line_is_taken_up_with_the_label_given(rest: str, tmp_path: Path) -> None:
    def reply(chat: Chat) -> str:
        return rest if chat[-1].role == "assistant" else "History shows: says ok so\nFolks"

    model = ScriptedModel(reply)
    made = TeacherWriter(model, tmp_path, max_new_tokens=8, seed=0).write([row()])
    assert made == [Trajectory("says ok so", "too formal", row().target)]
    assert model.calls == 2 and model.chats[1][-1].content == "History shows: says ok so\nDraft lacks:"


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (written("says ok so") + "\n\nHistory shows: and on it goes", True),
        (written("on and " * 30), False),
        (written("says ok so", "on and " * 30), False),
        (FEW_SHOT["text"][-1].content, False),
        (written("says ok so", FEW_SHOT["text"][-1].content.rsplit("lacks: ", 1)[1]), False),
    ],
)
def test_lines_that_do_not_end_or_copy_the_demonstration_are_refused(text: str, taken: bool, tmp_path: Path) -> None:
    made = TeacherWriter(ScriptedModel(lambda chat: text), tmp_path, max_new_tokens=8, seed=0).write([row()])
    assert (made == [Trajectory("says ok so", "too formal", row().target)]) is taken
    assert (made == RuleWriter().write([row()])) is not taken


def test_the_words_of_the_teacher_are_in_the_spec_of_those_who_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(**config: str) -> list[object]:
        return RPO(RPOConfig(**config)).prompts([TWEET])  # type: ignore[arg-type]

    rules, teacher = words(), words(writer="teacher")
    monkeypatch.setattr("rpobench.rpo.trajectories.teacher_prompt.INSTRUCTION", "Explain.")
    assert words() == rules and words(writer="teacher") != teacher


def test_a_teacher_that_does_not_answer_ends_the_fit(tmp_path: Path) -> None:
    class Failing(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
            good, *rest = super().generate(chats, decoding)
            return [good, *(replace(one, text="", failure="HTTP 500") for one in rest)]

    model = Failing(lambda chat: written("says ok so"))
    with pytest.raises(RpobenchError, match=r"teacher: 1 of 2 requests have no answer \(HTTP 500\): the same command"):
        TeacherWriter(model, tmp_path, max_new_tokens=8, seed=0).write([row("1"), row("2", "ok so")])


def test_what_the_teacher_wrote_before_a_kill_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rpobench.models.kept_texts.CHUNK", 2)
    rows = [row(str(number), f"ok so {number} it is") for number in range(6)]

    class Killed(ScriptedModel):
        def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().generate(chats, decoding)

    with pytest.raises(KeyboardInterrupt):
        TeacherWriter(Killed(lambda chat: written("says ok so")), tmp_path, max_new_tokens=8, seed=0).write(rows)
    assert "teacher-1: 4/6" in capsys.readouterr().err, "a long step shows how far it is"
    model = ScriptedModel(lambda chat: written("says ok so"))
    teacher = TeacherWriter(model, tmp_path, max_new_tokens=8, seed=0)
    teacher.write(rows)
    assert model.calls == 2 and teacher.usage.calls == 6, "what was written before has its cost"


def test_what_a_teacher_writes_to_licensed_texts_is_not_in_the_shared_cache(tmp_path: Path) -> None:
    file, private = tmp_path / "answers.sqlite", type("Private", (type(TWEET),), {"licensed": True})()
    for task, kept in ((private, False), (TWEET, True)):
        model = CachedModel(ScriptedModel(lambda chat: written("says ok so")), AnswerCache(file))
        TeacherWriter(model, tmp_path / str(kept), max_new_tokens=8, seed=0).write([row(task=task)])
        assert file.exists() is kept


def test_the_teacher_sees_the_target_and_the_writer_is_a_switch(tmp_path: Path) -> None:
    teacher = ScriptedModel(lambda chat: "")
    TeacherWriter(teacher, tmp_path, max_new_tokens=8, seed=0).write([row()])
    assert teacher.chats[0][-1].content.endswith("Rewrite: ok so lunch was really great")
    assert isinstance(get_writer(RPOConfig(writer="teacher", teacher="scripted:echo"), tmp_path, seed=0), TeacherWriter)
    assert isinstance(get_writer(RPOConfig(), tmp_path, seed=0), RuleWriter)
    assert RPO(RPOConfig(writer="teacher", teacher="scripted:echo")).models()["teacher"] == "scripted:echo"


def test_a_stored_file_gives_the_same_trajectories_and_takes_edits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, rows = tmp_path / "t.jsonl", [row("1"), row("2")]
    store_trajectories(file, [Demonstration(*pair) for pair in zip(rows, RuleWriter().write(rows), strict=True)])
    writer = get_writer(RPOConfig(trajectories=str(file)), tmp_path, seed=0)
    assert writer.write(rows) == RuleWriter().write(rows)
    before = RPOConfig(trajectories=str(file)).model_dump(mode="json")["trajectories"]
    edited = json.loads(file.read_text().splitlines()[0]) | {"shows": "by hand"}
    file.write_text(json.dumps(edited) + "\n")
    made = writer.write(rows)
    assert (made[0].shows, made[1]) == ("by hand", RuleWriter().write(rows)[1])
    assert "1 of 2 training examples are not in it" in capsys.readouterr().err
    after = RPOConfig(trajectories=str(file)).model_dump(mode="json")["trajectories"]
    assert before.startswith("sha256:") and before != after, "a spec must name the content"


LINE = {"task": "a", "example": "b", "shows": "", "lacks": "", "rewrite": ""}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"task": "LaMP-7"}',
        json.dumps({**LINE, "shows": 1}),
        json.dumps({**LINE, "draft": 5}),
    ],
)
def test_a_line_that_is_no_trajectory_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(f"\n{line}\n")
    with pytest.raises(RpobenchError, match=r"t\.jsonl:2: must be a JSON object"):
        read_trajectories(file)
    with pytest.raises(RpobenchError, match=r"t\.jsonl:2"):
        RPOConfig(trajectories=str(file))  # at once, not after an hour of drafts


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(RpobenchError, match=r"t\.jsonl: is no text in UTF-8"):
        read_trajectories(tmp_path / "t.jsonl")


def test_a_trajectory_of_the_same_id_in_another_world_is_not_taken(tmp_path: Path) -> None:
    file, one = tmp_path / "t.jsonl", row("1")
    store_trajectories(file, [Demonstration(one, Trajectory("a", "b", "c"))])
    elsewhere = TrainingRow(TWEET, Example("1", "u", "another tweet"), one.target, one.draft, one.evidence)
    with pytest.raises(RpobenchError, match="other data"):
        get_writer(RPOConfig(trajectories=str(file)), tmp_path, seed=0).write([elsewhere])
    lines = [{k: v for k, v in json.loads(line).items() if k != "input"} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))  # by hand, or of an earlier version
    assert get_writer(RPOConfig(trajectories=str(file)), tmp_path, seed=0).write([one]) == [Trajectory("a", "b", "c")]


def test_a_file_of_other_data_or_no_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    store_trajectories(file, [Demonstration(row("other"), Trajectory("a", "b", "c"))])
    with pytest.raises(RpobenchError, match="other data"):
        get_writer(RPOConfig(trajectories=str(file)), tmp_path, seed=0).write([row("1")])
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(RpobenchError, match=r"empty\.jsonl: holds no trajectory"):
        RPOConfig(trajectories=str(tmp_path / "empty.jsonl"))
    with pytest.raises(ValidationError, match="no such file"):
        RPOConfig(trajectories=str(tmp_path / "none"))
    known = RPOConfig(trajectories=str(file)).model_dump(mode="json")
    assert RPOConfig(**known).model_dump(mode="json") == known, "a spec must read back where the file is not"
    with pytest.raises(RpobenchError, match="by its path"):  # before anything is drafted for it
        get_writer(RPOConfig(**known), tmp_path, seed=0)


def test_rows_of_one_user_are_one_history() -> None:
    items = (ProfileItem("1", {"text": "great", "score": "5"}), ProfileItem("2", {"text": "dull", "score": "1"}))

    def analysis(users: Sequence[str]) -> str:
        asked = [Example(str(place), user, "review: great food") for place, user in enumerate(users)]
        return RuleWriter().write([TrainingRow(RATING, one, "5", "3", items) for one in asked])[0].shows

    assert "praise great" in analysis([f"u{place}" for place in range(40)])
    assert "praise nothing" in analysis(["u"] * 40), "one text that forty rows show is no proof of a word"
