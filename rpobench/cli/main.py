"""The command line. Commands load what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from rpobench import __version__
from rpobench.cli.options import choice
from rpobench.cli.run import run
from rpobench.store.processes import is_first
from rpobench.types import RpobenchError


class Commands(TyperGroup):
    """Our commands and the declared ones of the entry-point group `rpobench.commands`, imported when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name; nothing is imported."""
        from rpobench.registry import names

        own = super().list_commands(ctx)
        return [*own, *(name for name in names("commands") if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command of this name, or None; a declared one is a function with typer's annotations or a typer.Typer."""
        from rpobench.registry import load, names

        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in names("commands"):
            return own
        declared = load("commands", cmd_name)
        if not isinstance(declared, typer.Typer):
            function, declared = declared, typer.Typer(add_completion=False)
            declared.command(cmd_name)(function)
        return get_command(declared)


app = typer.Typer(
    name="rpobench",
    cls=Commands,
    help="Train and compare personalization methods for black-box language models on the LaMP tasks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Runs = Annotated[Path, typer.Option("--runs", help="Folder of runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
app.command("run")(run)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options of every command; `main` reads --debug itself, since it must hold even when a command fails early."""


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="tasks, methods, models, retrievers or runs.")],
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Name what there is."""
    from rpobench.registry import names
    from rpobench.store.result_store import ResultStore

    groups = ("tasks", "methods", "models", "retrievers")
    if choice("list", what, (*groups, "runs")) == "runs":
        if not runs.is_dir():
            raise RpobenchError(f"--runs {runs}: no such folder: give the --out of `rpobench run`")
        found = [Path(result["folder"]).name for result in ResultStore(runs).results()]
    else:
        found = names(what)
    print(json.dumps(found) if as_json else "\n".join(found))


@app.command()
def score(
    task: Annotated[str, typer.Option(help="A task, such as LaMP-3; or all, for two zips of official files.")],
    golds: Annotated[Path, typer.Option(help="Official outputs file, or a zip that holds it.")],
    preds: Annotated[Path, typer.Option(help="Predictions in the same form.")],
    extra: Annotated[
        bool, typer.Option("--extra", help="ROUGE-2, BLEU, METEOR of texts; F1 by label and confusion of labels.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score official files as LaMP's scorer does; the texts are taken as they are."""
    from rpobench.scoring.official import score as score_files
    from rpobench.scoring.official import score_all, score_extra
    from rpobench.task.extra_metrics import lines

    if task == "all":
        by_task = score_all(golds, preds, extra=extra)
        told = [f"{name}\t{line}" for name, found in by_task.items() for line in lines(found)]
        print(json.dumps(by_task) if as_json else "\n".join(told))
        return
    found = score_files(task, golds, preds) | (score_extra(task, golds, preds) if extra else {})
    print(json.dumps(found) if as_json else "\n".join(lines(found)))


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run's name, digest or folder.")],
    example: Annotated[str | None, typer.Option("--example", help="Only this example.")] = None,
    trajectories: Annotated[bool, typer.Option("--trajectories", help="What the reflection model wrote.")] = False,
    training: Annotated[bool, typer.Option("--training", help="The trajectories it learned from instead.")] = False,
    data: Annotated[str | None, typer.Option(help="The official folder, where the run was not on synth.")] = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Input, evidence, draft, rewrite and target of a run's examples, side by side."""
    from rpobench.cli.show import print_examples, print_training
    from rpobench.runs.examples import examples_of, trained_on

    if training:
        if trajectories or data:
            raise RpobenchError("--training shows what a module learned from: leave --trajectories and --data out")
        file, stored_trajectories = trained_on(runs, run, example=example)
        if as_json:
            print(json.dumps([stored.as_record() for stored in stored_trajectories]))
        else:
            print_training(file, stored_trajectories)
        return
    found = examples_of(runs, run, example=example, data=data)
    if as_json:
        print(json.dumps(found))
    else:
        print_examples(found, trajectories=trajectories)


def main() -> Any:
    """Entry point: every fault of input or environment is one line on stderr and exit code 1."""
    debug = "--debug" in sys.argv[1:]
    if not is_first():
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # the first process of a launch tells for all
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a sign that stdout cannot encode becomes its escape
    try:
        try:
            return app()
        finally:
            _flush_stdout()
    except (RpobenchError, OSError) as error:
        if debug:
            raise
        if not isinstance(error, BrokenPipeError):  # who closed the pipe has read enough
            print(f"rpobench: {_one_line(error)}", file=sys.stderr if is_first() else sys.__stderr__)
        sys.exit(1)


def _one_line(error: Exception) -> str:
    """A fault in one line. Every file is written through the store, which names it: without a name it is stdout."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO) and not error.filename:
        return f"stdout: {error.strerror}: make room there and run again"
    return " ".join(str(error).split())


def _flush_stdout() -> None:
    """Write out what is buffered, and after a fault nothing more: the interpreter would try once again at its end."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
