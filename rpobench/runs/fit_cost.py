"""What a fit cost: `fit.json` beside its spec, with the seconds of every attempt and tokens where they are counted.

`usage` is what its models were asked for, `tokens` what was trained on, by stage.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rpobench.method.contract import Method
from rpobench.runs.drafts import StoredDrafts
from rpobench.store.files import read_json, write_json

FIT_COST = "fit.json"


@contextmanager
def attempt(file: Path, work: Path, method: Method, drafts: StoredDrafts) -> Iterator[None]:
    """Add to `file` what is spent inside, also where it ends by a fault.

    A killed attempt could not say when it ended: it counts up to its last write under `work`. Drafts are charged when
    the fit is finished, at what they took when they were made, whoever made them; so the time in which this attempt
    makes some is no part of it, and `started` is put off by as much.
    """
    told = fit_cost(file)
    seconds = told["seconds"]
    if told["started"] is not None:
        seconds += max(0.0, _last_write(work, told["started"]) - told["started"])
    under_way = {"seconds": round(seconds, 3), "started": time.time(), "usage": None, "tokens": None}

    def put_off(making: float) -> None:
        under_way["started"] += making
        write_json(file, under_way)

    put_off(0.0)
    began, making, worth, finished = time.monotonic(), drafts.making, drafts.worth, False
    drafts.on_making = put_off
    try:
        yield
        finished = True
    finally:
        drafts.on_making = None
        seconds += time.monotonic() - began - (drafts.making - making)
        seconds += drafts.worth - worth if finished else 0
        usage = asdict(method.fit_usage) if finished and method.fit_usage else None
        tokens = method.fit_tokens if finished else None
        write_json(file, {"seconds": round(seconds, 3), "started": None, "usage": usage, "tokens": tokens})


def fit_cost(file: Path) -> dict[str, Any]:
    """`seconds` over all attempts, `started` (seconds since 1970) of one under way or killed, `usage` and `tokens`.

    What is not known is None. `tokens` came later than the others: a file may lack it.
    """
    nothing = {"seconds": 0.0, "started": None, "usage": None}
    return {"tokens": None, **(read_json(file, *nothing) if file.exists() else nothing)}


def _last_write(work: Path, started: float) -> float:
    return max((path.stat().st_mtime for path in work.rglob("*")), default=started)
