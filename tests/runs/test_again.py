"""`--again`: what stands is made anew, and stays until the new stands, whatever is killed in between."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import run_rpobench
from edited_plugin import EditedPlugin
from stored_runs import list_run_names

from rpobench.models.scripted import ScriptedModel
from rpobench.runs import again
from rpobench.runs.benchmark import estimate, run
from rpobench.runs.plan import Plan, make_plan
from rpobench.store.files import read_json, write_json
from rpobench.store.result_store import ResultStore
from rpobench.types import RpobenchError


def plan(out: Path, method: str = "edited-learner", **options: Any) -> Plan:
    return make_plan(**{"method": method, "task": "LaMP-3", "out": out / "runs", "limit": 4, **options})


def read_answers(out: Path, name: str | None = None) -> set[str]:
    """What the runs in the folder say, or one of them."""
    runs = [stored for stored in ResultStore(out / "runs").find_runs() if name in (None, stored.name)]
    return {prediction.text for stored in runs for prediction in stored.predictions().values()}


def read_files(out: Path) -> dict[Path, bytes]:
    files = (path for path in (out / "runs").rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if not {".locks", again.AGAIN} & set(path.parts)}


def learn(plugin: EditedPlugin, old: str, new: str) -> None:
    """From now on the method learns another rating."""
    plugin.edit("learner.py", f'self.rating = "{old}"', f'self.rating = "{new}"')


def test_run_and_fit_are_redone_under_their_names(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    (first,) = run(plan(tmp_path))
    learn(edited_plugin, "1", "5")

    (second,) = run(plan(tmp_path, again=True))

    assert second.run == first.run
    assert read_answers(tmp_path) == {"5"}
    assert run(plan(tmp_path)) == [second]
    assert not (tmp_path / "runs" / again.AGAIN).exists()
    (fit,) = (tmp_path / "runs" / "fits").glob("*/checkpoint/rating.json")
    assert fit.read_text() == '"5"'


def test_only_the_methods_that_are_named_are_redone(
    edited_plugin: EditedPlugin, tmp_path: Path, model: ScriptedModel
) -> None:
    (peek,) = run(plan(tmp_path, "peek"))
    run(plan(tmp_path))
    before = (tmp_path / "runs" / peek.run / "predictions.jsonl").stat().st_mtime_ns
    learn(edited_plugin, "1", "5")

    run(plan(tmp_path, again=True))

    assert (tmp_path / "runs" / peek.run / "predictions.jsonl").stat().st_mtime_ns == before


def test_drafts_are_not_made_again(edited_plugin: EditedPlugin, tmp_path: Path, model: ScriptedModel) -> None:
    (first,) = run(plan(tmp_path, "peek"))
    calls = model.calls
    names = list_run_names(tmp_path / "runs")

    assert run(plan(tmp_path, "peek", again=True))[0].metrics == first.metrics

    assert model.calls == calls
    assert list_run_names(tmp_path / "runs") == names, "the control too"


def test_a_kill_leaves_the_old_result(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    run(plan(tmp_path))
    before = read_files(tmp_path)
    learn(edited_plugin, "1", "5")
    edited_plugin.edit("learner.py", "        for example", "        raise KeyboardInterrupt\n        for example")

    with pytest.raises(KeyboardInterrupt):
        run(plan(tmp_path, again=True))

    assert read_files(tmp_path) == before and read_answers(tmp_path) == {"1"}
    with pytest.raises(RpobenchError, match="code of edited-learner changed since this run"):
        run(plan(tmp_path))


def test_the_same_command_goes_on_after_a_kill(
    edited_plugin: EditedPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(plan(tmp_path))
    learn(edited_plugin, "1", "5")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(again.Redo, "commit", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        run(plan(tmp_path, again=True))
    assert read_answers(tmp_path) == {"1"}
    capsys.readouterr()

    run(plan(tmp_path, again=True))

    assert f"finished before, taken from {tmp_path / 'runs' / again.AGAIN}" in capsys.readouterr().err
    assert read_answers(tmp_path) == {"5"}


def test_work_of_a_code_that_changed_once_more_is_dropped(
    edited_plugin: EditedPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(plan(tmp_path))
    learn(edited_plugin, "1", "5")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(again.Redo, "commit", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        run(plan(tmp_path, again=True))
    learn(edited_plugin, "5", "3")

    run(plan(tmp_path, again=True))

    assert read_answers(tmp_path) == {"3"}


@pytest.mark.parametrize("renames", range(5))
def test_a_kill_while_results_are_replaced_loses_none(
    edited_plugin: EditedPlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    (first,) = run(plan(tmp_path))
    learn(edited_plugin, "1", "5")
    original_replace, original_rename, count = again._replace, Path.rename, 0

    def be_killed_while_renaming(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count > renames:
            raise KeyboardInterrupt
        return original_rename(self, target)

    def replace(*folders: Path) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", be_killed_while_renaming)
            original_replace(*folders)

    with monkeypatch.context() as patch:
        patch.setattr(again, "_replace", replace)
        try:
            run(plan(tmp_path, again=True))
            assert renames == 4
        except KeyboardInterrupt:
            pass

    assert run(plan(tmp_path))[0].run == first.run
    assert read_answers(tmp_path) == {"5"}
    assert not (tmp_path / "runs" / again.AGAIN).exists()


def test_runs_on_a_replaced_fit_are_named(
    edited_plugin: EditedPlugin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(plan(tmp_path))
    (other,) = run(plan(tmp_path, split="test"))
    learn(edited_plugin, "1", "5")

    run(plan(tmp_path, again=True))

    assert f"1 other runs stand on a fit that was made anew, such as {other.run}: redo" in capsys.readouterr().err
    with pytest.raises(RpobenchError, match="changed since this run"):
        run(plan(tmp_path, split="test"))


def test_an_adapter_is_applied_again_and_not_trained(
    edited_plugin: EditedPlugin, tmp_path: Path, model: ScriptedModel
) -> None:
    (home,) = run(plan(tmp_path))
    (fit,) = (tmp_path / "runs" / "fits").glob("*/checkpoint")
    trained = fit.stat().st_mtime_ns
    options = {"adapter": home.run, "data": "synth:1"}
    (applied,) = run(plan(tmp_path, **options))

    assert run(plan(tmp_path, again=True, **options))[0].metrics == applied.metrics

    assert fit.stat().st_mtime_ns == trained
    assert not (tmp_path / "runs" / again.AGAIN).exists()


def test_label_and_hidden_texts_stay_with_the_run(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    run(plan(tmp_path, label="mine", texts=False))
    learn(edited_plugin, "1", "5")

    run(plan(tmp_path, again=True))

    (stored,) = ResultStore(tmp_path / "runs").find_runs()
    assert (stored.environment.label, stored.result.texts) == ("mine", False)

    run(plan(tmp_path, again=True, label=""))
    (stored,) = ResultStore(tmp_path / "runs").find_runs()
    assert not stored.environment.label


def test_with_nothing_there_it_is_an_ordinary_run(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    (anew,) = run(plan(tmp_path / "a", again=True))

    (plain,) = run(plan(tmp_path / "b"))

    assert anew.run == plain.run and anew.metrics == plain.metrics
    assert list_run_names(tmp_path / "a" / "runs") == list_run_names(tmp_path / "b" / "runs")


def test_an_estimate_counts_what_is_made_anew(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    run(plan(tmp_path, "ponder"))

    assert estimate(plan(tmp_path, "ponder")).calls == 0
    assert estimate(plan(tmp_path, "ponder", again=True)).calls == 4
    assert not (tmp_path / "runs" / again.AGAIN).exists()


def test_the_command_line_has_the_option(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    arguments = ("run", "--method", "edited", "--task", "LaMP-3", "--limit", "2", "--out", tmp_path / "runs")
    assert run_rpobench(*arguments).returncode == 0
    edited_plugin.edit("digits.py", '"1"', '"5"')

    refused, anew = run_rpobench(*arguments), run_rpobench(*arguments, "--again")

    assert refused.returncode == 1 and "code of edited changed since this run" in refused.stderr
    assert refused.stderr.count("\n") == 1, refused.stderr
    assert anew.returncode == 0 and read_answers(tmp_path) == {"5"}


def test_a_run_of_an_older_name_is_replaced(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    (first,) = run(plan(tmp_path, "zero-shot"))
    folder = tmp_path / "runs" / first.run
    spec = ResultStore(tmp_path / "runs").find(first.run).spec.as_recorded()
    write_json(folder / "spec.json", spec.content())
    older = ResultStore(tmp_path / "runs").run_folder(spec)
    shutil.move(folder, older)

    (anew,) = run(plan(tmp_path, "zero-shot", again=True))

    assert anew.run == first.run != older.name
    assert list_run_names(tmp_path / "runs") == {first.run}
    assert read_json(folder / "spec.json")["knobs"] == {}
