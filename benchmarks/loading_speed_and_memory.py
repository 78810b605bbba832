"""Loading a questions file of LaMP-3's size: `json.load` beside rpobench's first and later load, each in a new process.

    python benchmarks/loading_speed_and_memory.py [--gb 2] [--folder DIR]

The file is made in a temporary folder (in DIR) and deleted afterwards, cache entry included: three times its size must
be free. Times are from opening the file to having the questions (and for rpobench the targets); `peak` is the process's
own until then (ru_maxrss), imports included. `ms an example` is over 200 examples spread through the file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

WORDS = [f"word{number}" for number in range(3000)]
ITEMS = 200  # in a profile; LaMP-3's have 185 on average
REVIEW = 90  # words

JSON_LOAD = """
import json, resource, sys, time
file = open(sys.argv[1], encoding="utf-8")
started = time.perf_counter()
questions = json.load(file)
took = time.perf_counter() - started
print(json.dumps({"n": len(questions), "s": took, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

RPOBENCH = """
import json, resource, sys, time
from pathlib import Path
from rpobench import get_task
from rpobench.data.official.folder import load_official
task, file = get_task("LaMP-3"), Path(sys.argv[1])
started = time.perf_counter()
data = load_official(task, file.parent.parent, "train")
took = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
places = range(0, len(data.labelled), max(1, len(data.labelled) // 200))
started = time.perf_counter()
items = sum(len(data.labelled[place].example.profile) for place in places)
each = (time.perf_counter() - started) / len(places)
print(json.dumps({"n": len(data.labelled), "s": took, "mb": peak, "example": each}))
"""


def questions(size: int) -> Iterator[str]:
    """Records of an official LaMP-3 file until that many bytes are reached."""
    rng, made, key = random.Random(0), 0, 0
    while made < size:
        profile = [
            {"id": f"{key}{place:03}", "text": " ".join(rng.choices(WORDS, k=REVIEW)), "score": str(rng.randint(1, 5))}
            for place in range(ITEMS)
        ]
        text = json.dumps(
            {"id": str(key), "input": f"review: {' '.join(rng.choices(WORDS, k=REVIEW))}", "profile": profile}
        )
        yield text
        made, key = made + len(text) + 2, key + 1


def make(folder: Path, size: int) -> Path:
    """An official train split of about that many bytes."""
    place = folder / "LaMP_3"
    place.mkdir()
    count = 0
    with (place / "train_questions.json").open("w", encoding="utf-8") as file:
        for count, text in enumerate(questions(size), start=1):
            file.write(("[" if count == 1 else ", ") + text)
        file.write("]")
    golds = [{"id": str(key), "output": "5"} for key in range(count)]
    (place / "train_outputs.json").write_text(json.dumps({"task": "LaMP_3", "golds": golds}))
    return place / "train_questions.json"


def measured(code: str, file: Path, cache: Path) -> dict[str, float]:
    """What a new process that runs this code prints."""
    surroundings = {**os.environ, "RPOBENCH_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], env=surroundings, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the table of docs/performance.md."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gb", type=float, default=2.0)
    options.add_argument("--folder", default=None)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        file = make(folder, int(given.gb * 10**9))
        print(f"{file.stat().st_size / 10**9:.2f} GB", flush=True)
        print("| | seconds | peak memory, MB | ms an example |\n|---|---|---|---|", flush=True)
        for what, code in (("`json.load`", JSON_LOAD), ("first load", RPOBENCH), ("later load", RPOBENCH)):
            found = measured(code, file, folder / "cache")
            each = f"{1000 * found['example']:.2f}" if "example" in found else ""
            print(f"| {what} | {found['s']:.2f} | {found['mb']:.0f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
