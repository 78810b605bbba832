"""Packed runs without texts: no word of anybody is in them, and every statistic is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from official_files import write_official_split
from packing import change_json, pack
from pyarrow import parquet
from run_answers import good
from typer.testing import CliRunner

import rpobench
from rpobench import get_method
from rpobench.cli.main import app
from rpobench.data.official.built import BuildManifest
from rpobench.data.synth.world import generate
from rpobench.store.packed_runs import RUNS, PackedRun, PackedRuns, write_packed
from rpobench.store.result_store import ResultStore
from rpobench.submissions.check import check_runs
from rpobench.submissions.official_zip import build_submission, choose_submitted
from rpobench.submissions.reparse import CannotReparse, reparse_run
from rpobench.submissions.scores_only import NOTE
from rpobench.types import RpobenchError

Make = Callable[..., Path]
Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]  # of a result and of lines
TASKS = ("LaMP-2", "LaMP-4")
IDS = ("id", "user_id", "example_id", "example", "evidence", "task")
TINY_KNOBS: dict[str, Any] = {
    "sft_epochs": 1.0, "max_new_tokens": 8, "rl_steps": 1, "rl_group": 2, "rl_prompts": 1, "validation": 0.0,
    "lora_rank": 1, "user_rank": 1, "user_items": 2, "user_epochs": 1.0, "width": 1, "history": 1, "shortlist": 2,
}  # fmt: skip


def write_real_folder(folder: Path, *, tasks: Iterable[str] = TASKS, manifest: dict[str, Any] | None = None) -> Path:
    """Write a folder that nothing marks as synthetic, with a manifest if there is one."""
    for task in tasks:
        write_official_split(folder, task, "train", generate(task, "train", 4).labelled)
        write_official_split(folder, task, "dev", generate(task, "dev", 5).labelled)
    if manifest is not None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def run_on(folder: Path, out: Path, method: str = "zero-shot,nearest-target", **options: Any) -> None:
    values: dict[str, Any] = {"task": ",".join(TASKS), "base_model": "scripted:echo", "swap": False}
    rpobench.run(method, data=folder, out=out, **{**values, **options})


def find_sequences(text: str) -> set[str]:
    """All sequences of three words in a text, without those that random bytes could hold."""
    words = re.findall(r"[^\W_]+", text.lower())
    sequences = {" ".join(words[start : start + 3]) for start in range(len(words) - 2)}
    return {sequence for sequence in sequences if len(sequence) >= 8}


def find_words_of_people(folder: Path, runs: Path) -> set[str]:
    """All sequences of three words in the data, in what models wrote of it, and in what modules learned from."""
    records = [json.loads(file.read_text()) for file in folder.rglob("*.json")]
    for file in (*runs.rglob("predictions.jsonl"), *runs.rglob("drafts/*.jsonl"), *runs.rglob("trajectories.jsonl")):
        records += [json.loads(line) for line in file.read_text().splitlines()]

    sequences = set()
    for text in list_texts(records):
        sequences |= find_sequences(text)
    return sequences


def list_texts(content: Any) -> Iterator[str]:
    """Every text in nested JSON, keys and ids aside."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from list_texts(part)
    elif isinstance(content, dict):
        yield from list_texts([part for name, part in content.items() if name not in IDS])


def find_packed_sequences(packed: Path) -> set[str]:
    """All sequences of three words in the cells of a packed set, and in the bytes of its files."""
    sequences = set()
    for file in packed.glob("*.parquet"):
        for column in parquet.read_table(file).to_pydict().values():
            for cell in column:
                sequences |= find_sequences(json.dumps(cell))
        sequences |= find_sequences(file.read_bytes().decode("latin-1"))
    return sequences


QUICK = "zero-shot,copy-input,majority,nearest-target,rag-bm25,profile-summary,critique-rewrite"


@pytest.mark.parametrize(
    "methods",
    [QUICK, "rpo", pytest.param("all,per-user-lora,hydra", marks=pytest.mark.slow)],  # the last two by name only
)
def test_no_words_of_anybody_are_packed(
    tmp_path: Path, tiny_checkpoint: Path, hashed_encoder: None, folders: tuple[object, ...], methods: str
) -> None:
    folder = write_real_folder(tmp_path / "data")
    run_on(folder, tmp_path / "runs", methods, settings=choose_knobs(methods, tiny_checkpoint))
    words = find_words_of_people(folder, tmp_path / "runs")

    assert pack(*folders, "--scores-only").exit_code == 0
    assert pack("--runs", tmp_path / "runs", "--out", tmp_path / "with texts").exit_code == 0

    assert find_packed_sequences(tmp_path / "packed") & words == set()
    assert len(find_packed_sequences(tmp_path / "with texts") & words) > 20, "the words are found where they are"
    if methods != QUICK:
        assert list((tmp_path / "runs" / "fits").rglob("trajectories.jsonl")), "rpo left what it learned from"


def choose_knobs(methods: str, checkpoint: Path) -> dict[str, Any]:
    """What makes the training of these methods short; nothing where none trains."""
    if methods == QUICK:
        return {}

    fields: set[str] = set()
    for name in ("rpo", *methods.split(",")[1:]):
        fields |= get_method(name).Config.model_fields.keys()
    knobs = {**TINY_KNOBS, "reflection_model": f"hf:{checkpoint}"}
    return {name: value for name, value in knobs.items() if name in fields}


def answer_poorly(position: int, target: str, rng: Random) -> str | None:
    return None if position == 3 else "4 words of nobody"


@pytest.fixture
def packed_pair(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> tuple[Path, Path]:
    """A folder of two methods' runs on two tasks with drafts, failures and evidence, and the same as scores alone."""
    for task in ("LaMP-3", "LaMP-7"):
        make_run("good", good, task=task)
        make_run("good", good, task=task, profiles="swapped")
        make_run("poor", answer_poorly, task=task, config={"k": 2})
    for run in (tmp_path / "runs").iterdir():
        lines = (run / "predictions.jsonl").read_text()
        settled = lines.replace('"unanswered": true', '"unanswered": true, "permanent": true')
        (run / "predictions.jsonl").write_text(settled)

    done = pack(*folders, "--scores-only")
    assert done.exit_code == 0, done.stderr
    assert all("texts withheld" in line for line in done.stdout.splitlines())
    return tmp_path / "runs", tmp_path / "packed"


@pytest.mark.parametrize(
    "command",
    [
        ("report", "--format", "md"),
        ("report", "--format", "csv", "--against", "good"),
        ("report", "--format", "csv", "--by", "user"),
        ("report", "--format", "csv", "--by", "label"),
        ("report", "--format", "csv", "--by", "profile"),
        ("report", "--format", "latex"),
        ("compare", "good", "poor", "--json"),
        ("list", "runs"),
    ],
)
def test_no_statistic_is_lost(packed_pair: tuple[Path, Path], command: tuple[str, ...]) -> None:
    printed = [CliRunner().invoke(app, [*command, "--runs", str(runs)]) for runs in packed_pair]

    assert printed[0].exit_code == printed[1].exit_code == 0, printed[1].exception
    assert printed[0].stdout == printed[1].stdout
    assert printed[0].stderr == printed[1].stderr


def test_a_check_says_that_texts_are_withheld(packed_pair: tuple[Path, Path]) -> None:
    reports = check_runs(packed_pair[1])

    assert [report.faults for report in reports] == [[]] * 6
    assert all(NOTE in report.notes for report in reports)


def edit_packed(packed: Path, change: Change, task: str) -> list[str]:
    """Change result and lines of the good run on a task, and return the faults that a check finds."""
    store = PackedRuns(packed)
    name = next(name for name in store.runs if name.startswith(f"{task}-good-") and "swapped" not in name)
    result, lines = dict(store.runs[name].result), [dict(line) for line in store.lines(name)]
    change(result, lines)

    edited = PackedRun(name, store.runs[name].spec, store.runs[name].environment, result, lines)
    write_packed(packed, [edited], list(store.fits.values()))
    (report,) = check_runs(packed)
    return report.faults


@pytest.mark.parametrize(
    ("task", "change", "fault"),
    [
        ("LaMP-7", lambda result, lines: lines[0].update(text="words"), "its prediction holds a text"),
        ("LaMP-7", lambda result, lines: lines[0].update(trajectory="words"), "its prediction holds a text"),
        ("LaMP-7", lambda result, lines: lines[0].update(failure="refused: words"), "its prediction holds a text"),
        ("LaMP-7", lambda result, lines: result["metrics"].update({"rouge-1": 0.9}), "metrics.rouge-1 is 0.900000"),
        ("LaMP-7", lambda result, lines: first(result)["measures"].__setitem__(0, 0.0), "from the measures it is"),
        ("LaMP-7", lambda result, lines: first(result).update(user="another"), ".user is 'another'"),
        ("LaMP-7", lambda result, lines: first(result)["references"].update(oracle=0.5), "references.oracle is 0.5"),
        ("LaMP-7", lambda result, lines: result["references"]["oracle"].update({"rouge-L": 0.5}), "oracle.rouge-L"),
        ("LaMP-3", lambda result, lines: first(result).update(measures=[0.0, 9.0]), "measures are not of its target"),
        ("LaMP-7", lambda result, lines: lines[0].update(evidence=["mine"]), "evidence 'mine' is not in the profile"),
        ("LaMP-7", lambda result, lines: result.update(failed=7), "failed is 7"),
    ],
)
def test_what_was_changed_is_found_without_texts(
    packed_pair: tuple[Path, Path],
    task: str,
    change: Change,
    fault: str,
) -> None:
    faults = edit_packed(packed_pair[1], change, task)

    assert any(fault in line for line in faults), faults


def first(result: dict[str, Any]) -> dict[str, Any]:
    example: dict[str, Any] = next(iter(result["examples"].values()))
    return example


def test_show_says_that_texts_are_withheld(tmp_path: Path, folders: tuple[object, ...]) -> None:
    folder = write_real_folder(tmp_path / "data")
    run_on(folder, tmp_path / "runs", "zero-shot", task="LaMP-4")
    pack(*folders, "--scores-only")

    (bare, at_hand) = (
        CliRunner().invoke(app, ["show", "zero-shot", "--json", "--runs", str(tmp_path / "packed"), *options])
        for options in ((), ("--data", str(folder)))
    )

    assert "texts withheld" in bare.stderr and "texts withheld" in at_hand.stderr
    for entry in (*json.loads(bare.stdout), *json.loads(at_hand.stdout)):
        assert entry["prediction"] is entry["draft"] is entry["trajectory"] is entry["length"] is None
        assert 0 <= entry["score"] <= 1
    assert json.loads(bare.stdout)[0]["target"] is None
    assert json.loads(at_hand.stdout)[0]["target"], "the data is at hand, and its texts with it"


def test_show_prints_scores_where_there_is_nothing_else(packed_pair: tuple[Path, Path]) -> None:
    name = next(run.name for run in ResultStore(packed_pair[1]).find_runs() if run.spec.method == "good")

    shown = CliRunner().invoke(app, ["show", name, "--limit", "2", "--runs", str(packed_pair[1])])

    lines = shown.stdout.split("\n")
    assert lines[2:] == [""] and all(re.fullmatch(r"lamp-3-dev-\d-dev   score [01]\.\d{3}", line) for line in lines[:2])


def test_a_page_says_that_texts_are_withheld(packed_pair: tuple[Path, Path]) -> None:
    page = CliRunner().invoke(app, ["report", "--format", "html", "--runs", str(packed_pair[1])])

    assert page.exit_code == 0
    assert "Texts are withheld." in page.stdout and "words of nobody" not in page.stdout


@pytest.mark.parametrize("manifest", [{"texts": "withheld"}, {"texts": "free"}, {"name": "an app"}, ["texts"], None])
def test_a_manifest_withholds_the_texts_of_its_data(tmp_path: Path, folders: tuple[object, ...], manifest: Any) -> None:
    folder = write_real_folder(tmp_path / "data", manifest=manifest)
    run_on(folder, tmp_path / "runs", "zero-shot", task="LaMP-4")

    done = pack(*folders)

    (run,) = ResultStore(tmp_path / "packed").find_runs()
    is_withheld = manifest == {"texts": "withheld"}
    assert ("texts withheld" in done.stdout) is run.result.scores_only is run.result.withhold_texts is is_withheld
    assert any(prediction.text for prediction in run.predictions().values()) is not is_withheld
    (report,) = check_runs(tmp_path / "packed", str(folder))
    assert report.faults == []
    (shown,) = ResultStore(tmp_path / "runs").find_runs()
    assert shown.result.texts, "in the folder of runs they may be read"


def test_texts_of_a_built_folder_are_withheld(tmp_path: Path, folders: tuple[object, ...]) -> None:
    folder = write_real_folder(tmp_path / "data", tasks=["LaMP-4"])
    BuildManifest().save(folder)
    run_on(folder, tmp_path / "runs", "zero-shot", task="LaMP-4")

    assert pack(*folders).exit_code == 0

    (run,) = ResultStore(tmp_path / "packed").find_runs()
    assert run.result.scores_only


def test_imports_on_such_data_are_packed_without_texts(tmp_path: Path, folders: tuple[object, ...]) -> None:
    folder = write_real_folder(tmp_path / "data", manifest={"texts": "withheld"})
    golds = json.loads((folder / "LaMP_4" / "dev_outputs.json").read_text())["golds"]
    preds = tmp_path / "preds.json"
    preds.write_text(json.dumps({gold["id"]: gold["output"] for gold in golds}))
    options = ["--task", "LaMP-4", "--data", str(folder), "--out", str(tmp_path / "runs")]
    imported = CliRunner().invoke(app, ["import", "--preds", str(preds), "--name", "theirs", *options])
    assert imported.exit_code == 0, imported.exception

    assert pack(*folders).exit_code == 0

    assert not find_packed_sequences(tmp_path / "packed") & find_words_of_people(folder, tmp_path / "runs")


def test_private_runs_can_be_packed_as_scores(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    mails = make_run("mails", good, task="LaMP-6", source="LaMP_6", texts=False)
    change_json(mails / "result.json", synthetic=False)
    hidden = make_run("hidden", good, texts=False)

    assert pack(*folders).stdout == ""
    done = pack(*folders, "--scores-only")

    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == {mails.name, hidden.name}
    assert [report.faults for report in check_runs(tmp_path / "packed")] == [[], []]


def test_texts_that_were_packed_before_go(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    make_run("good", good, task="LaMP-7")
    assert pack(*folders).exit_code == 0
    (with_texts,) = ResultStore(tmp_path / "packed").find_runs()
    assert any(prediction.text for prediction in with_texts.predictions().values())

    for options in (("--scores-only",), ()):  # and do not come back
        assert pack(*folders, *options).exit_code == 0
        (run,) = ResultStore(tmp_path / "packed").find_runs()
        assert run.result.scores_only and not any(prediction.text for prediction in run.predictions().values())


def test_a_set_without_texts_can_be_packed_again(packed_pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = pack("--runs", packed_pair[1], "--out", tmp_path / "again")

    assert done.exit_code == 0 and done.stdout.count("texts withheld") == 6
    for file in packed_pair[1].glob("*.parquet"):
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_other_numbers_of_a_packed_run_are_refused(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run = make_run("good", good)
    assert pack(*folders, "--scores-only").exit_code == 0
    lines = (run / "predictions.jsonl").read_text()
    (run / "predictions.jsonl").write_text(lines.replace('"seconds": 0.0625', '"seconds": 0.125'))
    change_json(run / "result.json", seconds=3.0)

    done = pack(*folders, "--scores-only")

    assert done.exit_code == 1 and "another result of this spec is packed" in done.stderr


def test_a_field_that_is_not_known_is_not_packed(make_run: Make, tmp_path: Path, folders: tuple[object, ...]) -> None:
    run = make_run("good", good)
    change_json(run / "result.json", worst_answer="words of somebody")

    assert pack(*folders, "--scores-only").exit_code == 0

    assert "worst_answer" not in PackedRuns(tmp_path / "packed").runs[run.name].result


def test_a_command_goes_on_from_scores(tmp_path: Path, folders: tuple[object, ...]) -> None:
    folder = write_real_folder(tmp_path / "data")
    run_on(folder, tmp_path / "runs")
    pack(*folders, "--scores-only")
    before = (tmp_path / "packed" / RUNS).read_bytes()

    run_on(folder, tmp_path / "packed")

    assert (tmp_path / "packed" / RUNS).read_bytes() == before
    assert not list((tmp_path / "packed").glob("LaMP-*"))


def test_what_needs_texts_says_that_there_are_none(packed_pair: tuple[Path, Path], tmp_path: Path) -> None:
    packed = packed_pair[1]
    name = next(name for name in PackedRuns(packed).runs if name.startswith("LaMP-3-good-") and "swapped" not in name)

    with pytest.raises(RpobenchError, match="its texts are withheld: export the run that it was packed from"):
        build_submission(choose_submitted(packed, [name]))
    with pytest.raises(CannotReparse, match="its texts are withheld: read the runs again"):
        reparse_run(PackedRuns(packed).runs[name], is_finished=True, data=None)


def test_a_lost_text_of_another_set_is_no_withheld_one(
    make_run: Make, tmp_path: Path, folders: tuple[object, ...]
) -> None:
    make_run("good", good)
    pack(*folders)
    store = PackedRuns(tmp_path / "packed")
    ((name, run),) = store.runs.items()
    lines = [{**line, "text": None} for line in store.lines(name)]
    write_packed(tmp_path / "packed", [PackedRun(name, run.spec, run.environment, run.result, lines)], [])

    (report,) = check_runs(tmp_path / "packed")

    assert "text None is no text" in report.faults[0]
