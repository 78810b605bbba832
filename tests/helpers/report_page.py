"""The report's page as a file, and names that would break out of it were they not escaped."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from rpobench.cli.main import app

HOSTILE = [
    "<script>window.hit=1</script>",
    "\"><img src=x onerror='window.hit=1'>",
    "</script><script>window.hit=1</script><!--",
    "' onmouseover=window.hit=1 x='",
    "{{ 7*7 }} {% raw %} ${window.hit=1}",
    "50% & \\textbf{x} $x$ #1 _a_ ~",
    "\u202eright to left\u2066 \ud800 \x00 \x1b[2J",
    "javascript:window.hit=1",
    "y" * 20_000,
]


def write_page(runs: Path, *options: str) -> str:
    """Write the page of a folder of runs to `page.html` beside the folder, and return it."""
    out = runs.parent / "page.html"
    done = CliRunner().invoke(app, ["report", "--runs", str(runs), "--format", "html", "--out", str(out), *options])
    assert done.exit_code == 0, done.exception

    return out.read_text(encoding="utf-8")
