"""The command line. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from rpobench import __version__
from rpobench.cli.list_ import print_names
from rpobench.cli.run import run_methods
from rpobench.cli.score import score_files
from rpobench.cli.show import show_run
from rpobench.store.processes import is_first
from rpobench.types import RpobenchError

UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # of the click that typer uses, its own or the package


class Commands(TyperGroup):
    """The commands of this module, and those that the entry-point group `rpobench.commands` declares.

    A declared command is imported when it is called, or when its help is printed.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Name every command; nothing is imported."""
        from rpobench.registry import list_names

        built_in = super().list_commands(ctx)
        return [*built_in, *(name for name in list_names("commands") if name not in built_in)]

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options that stand before the command."""
        with self._tell_owners():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is called."""
        with self._tell_owners():
            return super().invoke(ctx)

    @contextmanager
    def _tell_owners(self) -> Iterator[None]:
        """Answer an option that a command does not have with the commands that have it."""
        try:
            yield
        except UsageError as error:
            # Only the error of an unknown option names it and what else there is.
            option = getattr(error, "option_name", None)
            owners = _list_owners(self, option, "rpobench") if option and hasattr(error, "possibilities") else []
            if owners:
                message = f"{option} is an option of {', '.join(owners)}; this command has none such"
                error.message = message  # type: ignore[attr-defined]
                error.possibilities = []  # type: ignore[attr-defined]
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a command; None where there is none of this name.

        What a package declares is a function with typer's annotations, or a `typer.Typer`.
        """
        from rpobench.registry import list_names, load_declared

        built_in = super().get_command(ctx, cmd_name)
        if built_in is not None or cmd_name not in list_names("commands"):
            return built_in

        try:
            declared = load_declared("commands", cmd_name)
        except RpobenchError as error:
            return _make_broken_command(cmd_name, error)
        if isinstance(declared, typer.Typer):
            return get_command(declared)

        command_app = typer.Typer(add_completion=False)
        command_app.command(cmd_name)(declared)
        return get_command(command_app)


def _make_broken_command(name: str, error: RpobenchError) -> Any:
    """A command that cannot be imported: the help names its fault, and only who calls it is stopped by it."""

    def fail() -> None:
        raise error

    command_app = typer.Typer(add_completion=False)
    command_app.command(name, help=f"Broken: {error}", short_help="Broken: call it to see why.")(fail)
    return get_command(command_app)


def _list_owners(group: Any, option: str, path: str) -> list[str]:
    """The commands that have an option, as they are typed; those of commands that have commands too."""
    owners = []
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if any(option in parameter.opts for parameter in command.params):
            owners.append(f"{path} {name}")
        if hasattr(command, "list_commands"):
            owners += _list_owners(command, option, f"{path} {name}")
    return owners


app = typer.Typer(
    name="rpobench",
    cls=Commands,
    help="Train and compare personalization methods for black-box language models on the LaMP tasks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run_methods)
app.command("list")(print_names)
app.command("score")(score_files)
app.command("show")(show_run)


def _print_version(requested: bool) -> None:
    if requested:
        print(__version__)
        raise typer.Exit


@app.callback()
def declare_options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Options of every command. `main` reads --debug itself, since it must hold even when a command fails early."""


def main() -> Any:
    """Run the command line: a fault of input or environment is one line on stderr and exit code 1."""
    debug = "--debug" in sys.argv[1:]
    _prepare_streams()

    try:
        try:
            return app(prog_name="rpobench")
        finally:
            _flush_stdout()
    except (RpobenchError, OSError) as error:
        if debug:
            raise
        if not isinstance(error, BrokenPipeError):  # who closed the pipe has read enough
            stderr = sys.stderr if is_first() else sys.__stderr__
            print(f"rpobench: {_format_in_one_line(error)}", file=stderr)
        sys.exit(1)


def _prepare_streams() -> None:
    """Silence all processes of a launch but the first, and let stdout escape the signs that it cannot encode."""
    if not is_first():
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # open for as long as the process lives

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _format_in_one_line(error: Exception) -> str:
    """Write a fault in one line. The store names every file that it writes: without a name the file is stdout."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO) and not error.filename:
        return f"stdout: {error.strerror}: make room there and run again"
    return " ".join(str(error).split())


def _flush_stdout() -> None:
    """Write out what is buffered. After a fault write nothing more: the interpreter would try once again at its end."""
    if sys.stdout is None:
        return

    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
