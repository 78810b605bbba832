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
REVIEW_WORDS = 90

# What the new processes run: each prints its figures as JSON.
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
positions = range(0, len(data.labelled), max(1, len(data.labelled) // 200))
started = time.perf_counter()
items = sum(len(data.labelled[position].example.profile) for position in positions)
each = (time.perf_counter() - started) / len(positions)
print(json.dumps({"n": len(data.labelled), "s": took, "mb": peak, "example": each}))
"""


def write_questions(size: int) -> Iterator[str]:
    """Yield records of an official LaMP-3 file, as JSON, until `size` bytes are reached."""
    rng = random.Random(0)
    bytes_written = number = 0

    def review() -> str:
        return " ".join(rng.choices(WORDS, k=REVIEW_WORDS))

    while bytes_written < size:
        profile = [
            {"id": f"{number}{position:03}", "text": review(), "score": str(rng.randint(1, 5))}
            for position in range(ITEMS)
        ]
        text = json.dumps({"id": str(number), "input": f"review: {review()}", "profile": profile})
        yield text

        bytes_written += len(text) + 2
        number += 1


def write_split(root: Path, size: int) -> Path:
    """Write an official train split of about `size` bytes to `root`, and return its questions file."""
    folder = root / "LaMP_3"
    folder.mkdir()

    count = 0
    with (folder / "train_questions.json").open("w", encoding="utf-8") as file:
        for count, text in enumerate(write_questions(size), start=1):
            file.write(("[" if count == 1 else ", ") + text)
        file.write("]")

    golds = [{"id": str(key), "output": "5"} for key in range(count)]
    (folder / "train_outputs.json").write_text(json.dumps({"task": "LaMP_3", "golds": golds}))
    return folder / "train_questions.json"


def measure(code: str, file: Path, cache: Path) -> dict[str, float]:
    """Return what a new process that runs this code prints."""
    environment = {**os.environ, "RPOBENCH_CACHE": str(cache)}
    process = subprocess.run(
        [sys.executable, "-c", code, str(file)], env=environment, capture_output=True, text=True, check=True
    )

    figures: dict[str, float] = json.loads(process.stdout)
    return figures


def main() -> None:
    """Print the table of docs/performance.md."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--gb", type=float, default=2.0)
    options.add_argument("--folder", default=None)
    arguments = options.parse_args()

    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        file = write_split(folder, int(arguments.gb * 10**9))
        print(f"{file.stat().st_size / 10**9:.2f} GB", flush=True)
        print("| | seconds | peak memory, MB | ms an example |\n|---|---|---|---|", flush=True)

        for label, code in (("`json.load`", JSON_LOAD), ("first load", RPOBENCH), ("later load", RPOBENCH)):
            figures = measure(code, file, folder / "cache")
            milliseconds = f"{1000 * figures['example']:.2f}" if "example" in figures else ""
            print(f"| {label} | {figures['s']:.2f} | {figures['mb']:.0f} | {milliseconds} |", flush=True)


if __name__ == "__main__":
    main()
