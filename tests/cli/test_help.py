"""What the command line says of itself: groups and choices of options, completion, and whose option it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command_line import run_rpobench, spawn_rpobench


@pytest.fixture(autouse=True, scope="module")
def wide_window() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        yield


def test_options_stand_in_groups_with_their_choices() -> None:
    text = run_rpobench("run", "--help").stdout

    for group in ("Examples", "Base model and its server", "Cost and examples without answer", "Output"):
        assert f"─ {group} ─" in text
    for choices in ("[train|dev|test]", "[own|swapped]", "[quick|full|paper-lamp|paper-hydra]"):
        assert choices in text
    assert "[md|csv|latex|html]" in run_rpobench("report", "--help").stdout


@pytest.mark.parametrize("command", ["run", "report", "compare", "list", "show", "transfer", "rm"])
def test_help_fits_80_columns_without_shortening(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run_rpobench(command, "--help").stdout

    assert "…" not in text and max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "owners"),
    [
        (("report", "--base-url", "x"), ("rpobench run",)),
        (("show", "run", "--against", "rpo"), ("rpobench report",)),
        (("--limit", "3", "run"), ("rpobench run", "rpobench show")),
        (("data", "check", "folder", "--price", "1,2"), ("rpobench run",)),
        (("run", "--n", "3"), ("rpobench data synth",)),
    ],
)
def test_an_option_of_another_command_names_that_command(arguments: tuple[str, ...], owners: tuple[str, ...]) -> None:
    result = run_rpobench(*arguments)

    assert result.returncode == 2 and result.stdout == "" and "Traceback" not in result.stderr
    for owner in owners:
        assert owner in result.stderr


def test_an_option_of_no_command_is_answered_as_before() -> None:
    result = run_rpobench("run", "--nonsense")

    assert result.returncode == 2 and "No such option: --nonsense" in result.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rpobench rep", {"report"}),
        ("rpobench run --method zero-shot,rag-r", {"zero-shot,rag-random", "zero-shot,rag-recency"}),
        ("rpobench run --split d", {"dev"}),
        ("rpobench run --task LaMP-3,LaMP-7", {"LaMP-3,LaMP-7"}),
        ("rpobench run --retry", {"--retry-unanswered"}),
        ("rpobench list ru", {"runs"}),
    ],
)
def test_the_shell_completes_commands_options_and_names(line: str, expected: set[str]) -> None:
    position = str(len(line.split()) - 1)
    result = spawn_rpobench(_RPOBENCH_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=position)

    assert expected <= set(result.stdout.split()), result.stderr


def test_a_checkpoint_without_prefix_is_suggested() -> None:
    options = ("--method", "zero-shot", "--task", "LaMP-3", "--base-model", "Qwen/Qwen2.5-7B-Instruct")
    result = run_rpobench("run", *options)

    assert result.returncode == 1 and "did you mean hf:Qwen/Qwen2.5-7B-Instruct?" in result.stderr
