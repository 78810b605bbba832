"""`rpobench data download` and `rpobench data build-lamp6`: official folders from the server and from Avocado."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

# In the order in which they are fetched; the licensed task comes last, since only its ids are public.
ALL_TASKS = [f"LaMP-{number}" for number in (1, 2, 3, 4, 5, 7, 6)]


def download(
    data: Annotated[str, typer.Option(help="lamp-user or lamp-time: LaMP split by users or by time.")] = "lamp-user",
    task: Annotated[str, typer.Option(help="Names, comma-separated, or all (LaMP-1 to LaMP-7).")] = "all",
    split: Annotated[str, typer.Option(help="train, dev, test; several comma-separated.")] = "train,dev,test",
    out: Annotated[Path | None, typer.Option(help="The folder to fill; named as the data by default.")] = None,
    mirror: Annotated[str | None, typer.Option(help="A base address instead of the official one.")] = None,
) -> None:
    """Fetch LaMP's official files; continues what was cut, and checks what is there against manifest.json."""
    from rpobench.data.download.files import IDS, LICENSED, OFFICIAL
    from rpobench.data.download.files import download as fetch_all
    from rpobench.registry import get_task

    names = ALL_TASKS if task == "all" else task.split(",")
    tasks = [get_task(name.strip()) for name in names]
    splits = [name.strip() for name in split.split(",")]
    folder = out or Path(data)

    if any(lamp_task.name == LICENSED for lamp_task in tasks):
        print(
            f"{LICENSED}: its mails are licensed, only their ids are public: `rpobench data build-lamp6 --avocado DIR "
            f"--ids {folder / IDS} --out {folder}` makes the data from your copy of Avocado",
            file=sys.stderr,
        )

    fetch_all(tasks, splits, data, folder, mirror=mirror or OFFICIAL)
    print(folder)


def build_lamp6(
    avocado: Annotated[Path, typer.Option(help="Your Avocado's folder data/text: zips of mails.")],
    ids: Annotated[Path, typer.Option(help="LaMP's id files of LaMP-6, as `data download` fetches them.")],
    out: Annotated[Path | None, typer.Option(help="The folder to fill; by default the one around --ids.")] = None,
) -> None:
    """Make LaMP-6 from your licensed copy of Avocado and LaMP's id files."""
    from rpobench.data.download.avocado import build_lamp6 as build
    from rpobench.data.download.files import LICENSED
    from rpobench.registry import get_task

    folder = out or ids.resolve().parent
    build(get_task(LICENSED), avocado, ids, folder)
    print(folder)
