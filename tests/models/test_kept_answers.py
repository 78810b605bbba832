"""Answers that are kept in a file: what is asked for, what is written, and files of earlier versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rpobench.models.kept_answers import KeptAnswers, prompt_keys
from rpobench.models.kept_texts import KeptTexts
from rpobench.models.meter import Meter
from rpobench.models.scripted import ScriptedModel
from rpobench.types import Chat, Completion, Decoding, Message, Usage

CHATS: list[Chat] = [(Message("user", f"prompt {number}"),) for number in range(5)]
USAGE = {"calls": 1, "prompt_tokens": 2, "completion_tokens": 3, "seconds": 0.5, "cached": 0, "dollars": None}


class Recorder:
    """Answers each prompt with its own words, refuses some, and remembers in which chunks it was asked."""

    def __init__(self, chats: Sequence[Chat] = CHATS, refused: Sequence[int] = (), killed_after: int = 99) -> None:
        self.chats, self.refused, self.killed_after = chats, refused, killed_after
        self.chunks: list[list[int]] = []
        self.permanent = False

    def ask(self, indices: Sequence[int]) -> list[Completion]:
        if len(self.chunks) == self.killed_after:
            raise KeyboardInterrupt

        self.chunks.append(list(indices))
        completions = []
        for index in indices:
            if index in self.refused:
                completions.append(Completion("", failure="refused", permanent=self.permanent))
            else:
                completions.append(Completion(f"to {self.chats[index][0].content}", Usage(1)))
        return completions


def open_answers(folder: Path, chunk: int = 2, **options: bool) -> KeptAnswers:
    return KeptAnswers(folder / "answers.jsonl", "answers", chunk, **options)


def test_missing_answers_are_asked_in_chunks_and_once(tmp_path: Path) -> None:
    recorder = Recorder()

    answers = open_answers(tmp_path)
    first = answers.completions(CHATS, recorder.ask)
    second = answers.completions(CHATS, recorder.ask)
    reopened = open_answers(tmp_path).completions(CHATS, recorder.ask)

    assert recorder.chunks == [[0, 1], [2, 3], [4]]
    assert first == second == reopened
    assert [completion.text for completion in first] == [f"to prompt {number}" for number in range(5)]


def test_equal_prompts_are_asked_once(tmp_path: Path) -> None:
    chats = [CHATS[0], CHATS[1], CHATS[0]]
    recorder = Recorder(chats)

    completions = open_answers(tmp_path).completions(chats, recorder.ask)

    assert recorder.chunks == [[0, 1]]
    assert completions[0] == completions[2]


def test_a_kill_costs_one_chunk(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        open_answers(tmp_path).completions(CHATS, Recorder(killed_after=2).ask)

    recorder = Recorder()
    open_answers(tmp_path).completions(CHATS, recorder.ask)

    assert recorder.chunks == [[4]]


def test_what_another_process_made_meanwhile_is_found(tmp_path: Path) -> None:
    answers, other_process = open_answers(tmp_path), open_answers(tmp_path)
    assert answers.missing(CHATS) == [0, 1, 2, 3, 4]

    other_process.completions(CHATS[:4], Recorder().ask)
    recorder = Recorder()
    answers.completions(CHATS, recorder.ask)

    assert recorder.chunks == [[4]]


def test_failures_are_returned_but_not_kept(tmp_path: Path) -> None:
    answers = open_answers(tmp_path)

    completions = answers.completions(CHATS, Recorder(refused=[1, 2]).ask)
    failed = [answers.find_failed(chat) for chat in CHATS]
    retry = Recorder()
    retried = answers.completions(CHATS, retry.ask)

    assert [completion.failure for completion in completions] == [None, "refused", "refused", None, None]
    assert [record.failure if record else None for record in failed] == [None, "refused", "refused", None, None]
    assert retry.chunks == [[1, 2]]
    assert [completion.failure for completion in retried] == [None] * 5
    assert [answers.find_failed(chat) for chat in CHATS] == [None] * 5


def test_what_stays_unanswered_is_kept_until_it_is_asked_again(tmp_path: Path) -> None:
    first, second, asking = Recorder(refused=[1]), Recorder(), Recorder(refused=[1])
    first.permanent = asking.permanent = True

    open_answers(tmp_path).completions(CHATS, first.ask)
    kept = open_answers(tmp_path).completions(CHATS, second.ask)
    again = open_answers(tmp_path, asks_refused=True)
    again.completions(CHATS, asking.ask)
    again.completions(CHATS, asking.ask)

    assert [completion.failure for completion in kept] == [None, "refused", None, None, None]
    assert kept[1].permanent and second.chunks == []
    assert asking.chunks == [[1]], "once in a run, not for each method"


def test_seconds_of_making_and_worth_agree(tmp_path: Path) -> None:
    meter = Meter()
    model = ScriptedModel(lambda chat: "text", delay=0.02)

    texts = KeptTexts(tmp_path, "summary", model, Decoding(8), meter=meter)
    texts.generate(CHATS)
    later = KeptTexts(tmp_path, "summary", model, Decoding(8), meter=meter)
    later.generate(CHATS)

    assert model.calls == 5
    assert meter.making_seconds == pytest.approx(texts.seconds(CHATS), abs=0.02)
    assert meter.worth_seconds == pytest.approx(2 * texts.seconds(CHATS), abs=1e-3)
    assert texts.seconds(CHATS) >= 0.1
    assert later.seconds(CHATS) == pytest.approx(texts.seconds(CHATS), abs=1e-4)


# Keys of `CHATS[0]` in the files of earlier versions: drafts and texts, and HYDRA's choices.
EARLIER_KEYS = ("fbfe8db5dc017310a2fbd94d", "205e78bcbded1e79290fda92")


@pytest.mark.parametrize("key", EARLIER_KEYS)
def test_files_of_earlier_versions_are_read(tmp_path: Path, key: str) -> None:
    line = {
        "example_id": key, "text": "kept", "raw": "kept", "draft": None, "evidence": [], "usage": USAGE,
        "cut": 0, "failure": None, "trajectory": None, "unanswered": False, "seconds": 1.5,
    }  # fmt: skip
    (tmp_path / "answers.jsonl").write_text(json.dumps(line) + "\n")
    recorder = Recorder()

    answers = open_answers(tmp_path)
    completions = answers.completions(CHATS[:1], recorder.ask)

    assert completions == [Completion("kept", Usage(1, 2, 3, 0.5))]
    assert recorder.chunks == []
    assert answers.seconds(CHATS[:1]) == 1.5
    assert key in prompt_keys(CHATS[0])
