"""What is on disk survives a kill, a full disk and a changed spec."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from stored_runs import make_predictions

from rpobench.store.files import read_json, write_json, write_text
from rpobench.store.predictions import append_predictions, read_predictions, read_seconds
from rpobench.store.result_store import ResultStore, claim
from rpobench.store.spec import DataSpec, RunSpec
from rpobench.types import Prediction, RpobenchError, Usage

RESULT = {
    "metrics": {"MAE": 1.0}, "strict": {"MAE": 1.0}, "scores": {"1": 0.5}, "references": {}, "n": 1, "failed": 0,
    "seconds": 0, "usage": {}, "users": "given", "main_metric": "MAE", "directions": {"MAE": "min"}, "texts": True,
    "synthetic": True, "schema": 2,
}  # fmt: skip
FULL = Prediction("1", "4", "four", "3", ("a", "b"), Usage(2, 30, 4, 0.5), 7, "a reason", "thought")


def spec(**changes) -> RunSpec:  # type: ignore[no-untyped-def]
    data = DataSpec(source="synth-v1", split="dev", sha256="ab")
    values = {"task": "LaMP-3@1", "data": data, "method": "rpo", "version": "1", "config": {"k": 4}, "base_model": "m"}
    return RunSpec(**{**values, "seed": 0, **changes})


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "predictions.jsonl"
    odd = Prediction("2", "Grüße \ud800\u2028\n", "")
    append_predictions(file, [FULL], seconds=3.0)
    append_predictions(file, [odd])

    assert read_predictions(file) == {"1": FULL, "2": odd}
    assert read_seconds(file) == {"1": 3.0, "2": 0.0}


def test_there_is_one_line_a_prediction(tmp_path: Path) -> None:
    append_predictions(tmp_path / "p.jsonl", make_predictions("1", "2"))

    assert [json.loads(line)["example_id"] for line in (tmp_path / "p.jsonl").open()] == ["1", "2"]


@pytest.mark.parametrize("torn", ['{"example_id": "3", "te', "{", '{"example_id": "3"}'])
def test_a_torn_last_line_is_not_read_and_is_cut_off(tmp_path: Path, torn: str) -> None:
    file = tmp_path / "p.jsonl"
    append_predictions(file, make_predictions("1", "2"))
    with file.open("a") as sink:
        sink.write(torn)

    assert set(read_predictions(file)) == {"1", "2"}
    assert file.read_text().endswith(torn), "reading changes nothing: another process may be writing"

    append_predictions(file, make_predictions("3"))
    assert list(read_predictions(file)) == ["1", "2", "3"]


def test_a_broken_line_inside_is_named(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    append_predictions(file, make_predictions("1"))
    with file.open("a") as sink:
        sink.write("nonsense\n")
    append_predictions(file, make_predictions("2"))

    with pytest.raises(RpobenchError, match=r"p\.jsonl: line 2 is no prediction"):
        read_predictions(file)


def test_a_full_disk_loses_no_finished_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, write = tmp_path / "p.jsonl", os.write  # the system's own
    append_predictions(file, make_predictions("1", "2"))

    def write_third_then_fail(handle: int, content: bytes) -> int:
        write(handle, content[: len(content) // 3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_third_then_fail)
    with pytest.raises(RpobenchError, match=r"p\.jsonl: No space left on device: finished predictions are kept"):
        append_predictions(file, make_predictions("3"))
    with pytest.raises(RpobenchError, match="No space left"):
        write_json(tmp_path / "result.json", {"n": 1})

    monkeypatch.setattr(os, "write", write)
    assert not (tmp_path / "result.json").exists()
    assert not list(tmp_path.glob("*.part"))
    append_predictions(file, make_predictions("3"))
    assert list(read_predictions(file)) == ["1", "2", "3"]


def test_writes_that_the_system_takes_in_pieces_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:7]))

    append_predictions(tmp_path / "p.jsonl", [FULL])

    assert read_predictions(tmp_path / "p.jsonl") == {"1": FULL}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "f", "old")

    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RpobenchError):
        write_text(tmp_path / "f", "new")

    assert (tmp_path / "f").read_text() == "old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RpobenchError, match=r"runs.*name a place that can be written and run again"):
        claim(tmp_path / "runs" / "x", spec())


def test_a_changed_spec_is_refused_and_the_field_named(tmp_path: Path) -> None:
    claim(tmp_path, spec())
    claim(tmp_path, spec())
    with pytest.raises(RpobenchError, match="differs from this run in base_model, config: move the folder away"):
        claim(tmp_path, spec(config={"k": 5}, base_model="other"))


def test_a_spec_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RpobenchError, match=r"^method 'a.udcff' holds bytes that are no UTF-8"):
        claim(tmp_path / "run", spec(method="a\udcff"))
    assert not list(tmp_path.iterdir())


def test_everything_in_a_spec_changes_its_folder(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    other = DataSpec(source="synth-v1", split="dev", sha256="cd")
    changed: list[dict[str, object]] = [
        {"models": {"reflection": "x"}},
        {"prompts": "ab"},
        {"config": {"k": 5}},
        {"base_model": "x"},
        {"seed": 1},
        {"fit": "f"},
        {"profiles": "swapped"},
    ]
    specs = [spec(**change) for change in [{}, *changed, {"data": other}, {"version": "2"}, {"task": "LaMP-3@2"}]]

    assert len({store.run_folder(run) for run in specs}) == len(specs)
    assert store.run_folder(spec()) == store.run_folder(spec())


def write_finished_run(store: ResultStore, run: RunSpec) -> Path:
    folder = store.run_folder(run)
    claim(folder, run)
    write_json(folder / "environment.json", {"data_sha256": "ab", "prompt_sha256": "cd"})
    write_json(folder / "result.json", RESULT)
    return folder


def test_results_are_the_finished_runs_that_match(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    write_finished_run(store, spec())
    write_finished_run(store, spec(method="zero-shot"))
    claim(store.run_folder(spec(seed=1)), spec(seed=1))

    assert [run.spec.method for run in store.find_runs()] == ["rpo", "zero-shot"]
    assert [run.spec.method for run in store.find_runs(method="rpo")] == ["rpo"]
    assert ResultStore(tmp_path / "nowhere").find_runs() == []


def test_a_run_is_found_by_name_digest_or_folder(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    folder = write_finished_run(store, spec())
    write_finished_run(store, spec(seed=1))

    for name in (folder.name, spec().digest(), str(folder), f"{folder}/"):
        assert store.find(name).folder == folder
    for name, fault in (("rpo", "2 runs named"), ("", "no run named"), ("**a", "no run named"), ("../x", "no run")):
        with pytest.raises(RpobenchError, match=fault):
            store.find(name)


def test_an_unreadable_file_of_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"a":')
    with pytest.raises(RpobenchError, match=r"spec\.json: not readable as JSON"):
        read_json(tmp_path / "spec.json")


@pytest.mark.parametrize("name", ["spec.json", "result.json", "environment.json"])
@pytest.mark.parametrize("change", ["list", "null", "lacking", "wrong"])
def test_a_file_of_another_shape_is_named(tmp_path: Path, name: str, change: str) -> None:
    store = ResultStore(tmp_path)
    file = write_finished_run(store, spec()) / name
    content = json.loads(file.read_text())
    field = {"spec.json": "config", "result.json": "references", "environment.json": "prompt_sha256"}[name]
    lacking = {key: value for key, value in content.items() if key != field}
    contents = {"list": [content], "null": None, "lacking": lacking, "wrong": {**content, field: ["x"]}}
    file.write_text(json.dumps(contents[change]))

    with pytest.raises(RpobenchError) as raised:
        store.find_runs()

    error_message = str(raised.value)
    assert error_message.startswith(f"{file}: ")
    assert "\n" not in error_message
    if change in ("lacking", "wrong"):
        assert f"'{field}'" in error_message


def test_a_file_written_aside_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that write the same file at a time must not write into each other's part of it."""
    parts: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda self, target: parts.append(self.name))

    write_text(tmp_path / "f", "one")
    write_text(tmp_path / "f", "two")
    assert len(set(parts)) == 2
