"""`rpobench cache`: the kept answers of served models."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from rpobench.cli.options import AsJson
from rpobench.types import RpobenchError

app = typer.Typer(
    name="cache",
    help="Look at, check and thin out the kept answers of served models.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("info")
def describe_cache(as_json: AsJson = False) -> None:
    """Where it is, how large, and how many answers of which model it holds."""
    from rpobench.models.answer_cache import open_shared_cache
    from rpobench.terminal import escape_controls

    cache_info = open_shared_cache().info()
    if as_json:
        print(json.dumps(asdict(cache_info)))
        return

    print(f"{cache_info.file}: {cache_info.answers} answers, {cache_info.bytes / 1e6:.1f} MB")
    for model, count in cache_info.models.items():
        print(f"{count}\t{escape_controls(model)}")


@app.command("prune")
def prune_cache(
    older_than: Annotated[float, typer.Option(min=0, help="Days; answers made before go.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Remove old answers and damaged ones."""
    from rpobench.models.answer_cache import open_shared_cache

    count = open_shared_cache().prune(older_than=older_than)
    print(json.dumps({"removed": count}) if as_json else f"{count} answers removed")


@app.command("verify")
def verify_cache(as_json: AsJson = False) -> None:
    """Check every answer against its checksum; exit code 1 where one is damaged."""
    from rpobench.models.answer_cache import open_shared_cache

    cache = open_shared_cache()
    damaged_keys = cache.find_damaged()
    if as_json:
        print(json.dumps({"damaged": damaged_keys}))

    if damaged_keys:
        raise RpobenchError(f"{cache.path}: {len(damaged_keys)} damaged answers; `rpobench cache prune` removes them")
    if not as_json:
        print(f"{cache.path}: every answer is as it was written")
