"""Code that changed since a run or a fit: nothing old is taken for it, and what is taken is announced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from edited_plugin import EditedPlugin

from rpobench.models.scripted import ScriptedModel
from rpobench.registry import get_method
from rpobench.runs.benchmark import estimate, run
from rpobench.runs.plan import Plan, make_plan
from rpobench.runs.summary import RunSummary
from rpobench.store.files import read_json
from rpobench.store.result_store import ResultStore
from rpobench.submissions.pack import pack_runs
from rpobench.types import RpobenchError


def plan(out: Path, method: str = "edited", task: str = "LaMP-3", **options: Any) -> Plan:
    return make_plan(**{"method": method, "task": task, "out": out / "runs", "limit": 4, **options})


def run_one(out: Path, method: str = "edited", **options: Any) -> RunSummary:
    (summary,) = run(plan(out, method, **options))
    return summary


def read_answers(out: Path) -> set[str]:
    """What all runs in the folder say."""
    runs = ResultStore(out / "runs").find_runs()
    return {prediction.text for stored in runs for prediction in stored.predictions().values()}


def test_a_run_and_its_fit_note_their_code(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    summary = run_one(tmp_path, "edited-learner")

    fit = read_json(tmp_path / "runs" / summary.run / "spec.json")["fit"]
    for folder in (summary.run, f"fits/{fit}"):
        code = read_json(tmp_path / "runs" / folder / "environment.json")["code"]
        assert (code["distribution"], code["version"]) == ("edited-methods", "0.3")
        assert list(code["modules"]) == ["edited_methods.learner"]
        assert str(tmp_path) not in json.dumps(code)


@pytest.mark.parametrize("file", ["method.py", "digits.py"])
def test_a_finished_run_of_other_code_stops(edited_plugin: EditedPlugin, tmp_path: Path, file: str) -> None:
    run_one(tmp_path)
    edited_plugin.edit(file, "choose_rating()" if file == "method.py" else '"1"', '"5"')

    for make in (run, estimate):
        with pytest.raises(RpobenchError) as error:
            make(plan(tmp_path))

    assert f"code of edited changed since this run ({edited_plugin.package / file}): raise `version`, or `--again`" in (
        str(error.value)
    )
    assert read_answers(tmp_path) == {"1"}


def test_a_raised_version_is_another_run(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    first = run_one(tmp_path)
    edited_plugin.edit("method.py", 'name = "edited"', 'name = "edited"\n    version = "2"')

    assert run_one(tmp_path).run != first.run


def test_comments_and_docstrings_change_nothing(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    first = run_one(tmp_path)
    edited_plugin.edit("method.py", "Says it to everybody.", "Says it.")

    assert run_one(tmp_path) == first


def test_an_unfinished_run_of_other_code_stops(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    summary = run_one(tmp_path)
    (tmp_path / "runs" / summary.run / "result.json").unlink()
    edited_plugin.edit("digits.py", '"1"', '"5"')

    with pytest.raises(RpobenchError, match="code of edited changed since this run"):
        run(plan(tmp_path))


def test_a_stale_fit_does_not_answer(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    summary = run_one(tmp_path, "edited-learner")
    shutil.rmtree(tmp_path / "runs" / summary.run)
    edited_plugin.edit("learner.py", 'self.rating = "1"', 'self.rating = "5"')

    with pytest.raises(RpobenchError, match=r"code of edited-learner changed since this fit \(.*learner.py\)"):
        run(plan(tmp_path, "edited-learner"))

    assert list((tmp_path / "runs").glob("*/spec.json")) == []


def test_a_killed_fit_of_other_code_is_not_continued(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    edited_plugin.edit("learner.py", 'self.rating = "1"', "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        run(plan(tmp_path, "edited-learner"))
    edited_plugin.edit("learner.py", "raise KeyboardInterrupt", 'self.rating = "5"')

    with pytest.raises(RpobenchError, match="code of edited-learner changed since this fit"):
        run(plan(tmp_path, "edited-learner"))


def test_a_packed_run_of_other_code_stops(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    run_one(tmp_path)
    list(pack_runs(ResultStore(tmp_path / "runs"), [], ResultStore(tmp_path / "packed" / "runs")))
    edited_plugin.edit("digits.py", '"1"', '"5"')

    with pytest.raises(RpobenchError, match="code of edited changed since this run"):
        run(plan(tmp_path / "packed"))


def test_an_adapter_of_other_code_is_refused(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    summary = run_one(tmp_path, "edited-learner")
    edited_plugin.edit("learner.py", 'self.rating = "1"', 'self.rating = "5"')

    with pytest.raises(RpobenchError, match="was trained with other code of edited-learner: train it again"):
        run(plan(tmp_path, "edited-learner", adapter=summary.run, data="synth:1"))


def test_a_changed_method_stops_before_another_one_works(
    edited_plugin: EditedPlugin, tmp_path: Path, model: ScriptedModel
) -> None:
    run_one(tmp_path)
    edited_plugin.edit("digits.py", '"1"', '"5"')

    with pytest.raises(RpobenchError, match="code of edited changed"):
        run(plan(tmp_path, "zero-shot,edited"))

    assert model.calls == 0


def test_what_noted_no_code_is_taken_as_it_is(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    first = run_one(tmp_path, "edited-learner")
    for file in (tmp_path / "runs").rglob("environment.json"):
        content = read_json(file)
        del content["code"]
        file.write_text(json.dumps(content))
    edited_plugin.edit("learner.py", 'self.rating = "1"', 'self.rating = "5"')

    assert run_one(tmp_path, "edited-learner") == first
    shutil.rmtree(tmp_path / "runs" / first.run)
    assert run_one(tmp_path, "edited-learner").metrics == first.metrics


def test_a_fit_without_environment_is_taken_as_it_is(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    first = run_one(tmp_path, "edited-learner")
    (environment,) = (tmp_path / "runs" / "fits").glob("*/environment.json")
    environment.unlink()
    shutil.rmtree(tmp_path / "runs" / first.run)
    edited_plugin.edit("learner.py", 'self.rating = "1"', 'self.rating = "5"')

    assert run_one(tmp_path, "edited-learner").metrics == first.metrics
    assert not environment.exists(), "nobody says that today's code made it"


def test_what_stands_is_announced_in_one_line(
    edited_plugin: EditedPlugin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (summary,) = run(plan(tmp_path, "peek"))
    assert "finished before" not in capsys.readouterr().err

    run(plan(tmp_path, "peek"))
    assert f"LaMP-3 peek: finished before, taken from {tmp_path / 'runs' / summary.run}\n" in capsys.readouterr().err

    run(plan(tmp_path, "rag-random", "LaMP-3,LaMP-7", seeds=(0, 1)))
    capsys.readouterr()
    run(plan(tmp_path, "rag-random", "LaMP-3,LaMP-7", seeds=(0, 1)))
    lines = [line for line in capsys.readouterr().err.splitlines() if "finished before" in line]
    assert lines == [
        f"LaMP-3, LaMP-7 rag-random seed {seed}: finished before, taken from {tmp_path / 'runs'}" for seed in (0, 1)
    ]


def test_a_fit_that_is_used_again_is_announced(
    edited_plugin: EditedPlugin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_one(tmp_path, "edited-learner")
    assert "fit taken" not in capsys.readouterr().err

    run_one(tmp_path, "edited-learner", split="test")

    (fit,) = (tmp_path / "runs" / "fits").glob("*/checkpoint")
    assert f"LaMP-3 edited-learner: fit taken from {fit.parent}\n" in capsys.readouterr().err


def test_what_was_learned_of_users_is_of_one_code(edited_plugin: EditedPlugin, tmp_path: Path) -> None:
    keeping = (
        '            part = keep_part(context.users, name_part(["x"], ""), '
        'lambda folder: (folder / "rating").write_text(choose_rating()))\n'
        '            yield Prediction(example.id, (part / "rating").read_text(), "")'
    )
    edited_plugin.edit("method.py", '            yield Prediction(example.id, choose_rating(), "")', keeping)
    edited_plugin.edit("method.py", "import Method, Prediction", "import Method, Prediction, keep_part, name_part")
    summary = run_one(tmp_path)
    shutil.rmtree(tmp_path / "runs" / summary.run)
    edited_plugin.edit("digits.py", '"1"', '"5"')

    run_one(tmp_path)

    assert read_answers(tmp_path) == {"5"}
    assert get_method("edited").name == "edited"
