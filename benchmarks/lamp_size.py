"""A run on data of LaMP-3's size: `rag-bm25` with a scripted model, the first time and again, beside the plain loop.

    python benchmarks/lamp_size.py [--train 20000] [--dev 2500] [--folder DIR]

The folder is made up: questions with profiles of 200 reviews, without user ids, so that users are inferred. It takes
about 4 GB in a temporary folder (in DIR) and is deleted afterwards. Each row is a process of its own, with a cache of
its own in the same folder. `peak` is the largest sum of the memory of the process and of those that it started (each
shared page counted once, PSS); imports are in all times.

The plain loop is what a script for the same questions would be: load the file, rank each profile, cut the best items
to the official budget, ask, score. It ranks the users' own profiles alone; rpobench makes the control with swapped
profiles too, except in the row that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import psutil

ITEMS = 200  # in a profile; LaMP-3's have 185 on average
PHRASES = 20_000  # that reviews are put together from
PHRASE_WORDS = 30
PHRASES_A_REVIEW = 3
INSTRUCTION = (
    "What is the score of the following review on a scale of 1 to 5? just answer with 1, 2, 3, 4, or 5 without further "
    "explanation. review: "
)
MODEL = "scripted:echo"
MEGA = 2**20
PAUSE = 0.2  # seconds between two looks at the memory

# What the plain process runs: it prints the answers' error and the evidence of the last question.
PLAIN_LOOP = """
import json, sys
from pathlib import Path
from rank_bm25 import BM25Okapi
from rpobench import get_task
from rpobench.evidence.budget import fit_evidence
from rpobench.evidence.reference_tokenizer import reference_tokenizer
from rpobench.types import Example, ProfileItem

folder, task, tokenizer = Path(sys.argv[1]), get_task("LaMP-3"), reference_tokenizer()
questions = json.loads((folder / "dev_questions.json").read_text(encoding="utf-8"))
golds = {gold["id"]: gold["output"] for gold in json.loads((folder / "dev_outputs.json").read_text())["golds"]}

answers, evidence = {}, {}
for question in questions:
    profile = [ProfileItem(item["id"], {"text": item["text"], "score": item["score"]}) for item in question["profile"]]
    example = Example(question["id"], "", question["input"], tuple(profile))
    texts = [task.retrieval_text(item) for item in profile]
    scores = BM25Okapi([text.split() for text in texts]).get_scores(task.retrieval_query(example).split())
    best = sorted(range(len(texts)), key=lambda index: (-scores[index], index))[:4]
    shown = fit_evidence(task, example, [profile[index] for index in best], 512, tokenizer)
    prompt = task.prompt(example, shown.items)
    answers[example.id], evidence[example.id] = "5", list(shown.ids)

metrics = task.aggregate([answers[key] for key in golds], list(golds.values()))
print(json.dumps({"n": len(answers), "evidence": evidence, "metrics": metrics}))
"""


@dataclass(frozen=True)
class Measurement:
    """What a process took.

    Attributes:
        seconds: From its start to its end.
        megabytes: The peak of its memory, and of the processes that it started.
        output: What it printed.
    """

    seconds: float
    megabytes: float
    output: str


def write_questions(count: int, prefix: str) -> Iterator[str]:
    """Yield the records of an official LaMP-3 file as JSON: unlike reviews, whose words are drawn as words are."""
    rng = random.Random(prefix)
    words = [f"word{number}" for number in range(3000)]
    shares = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    phrases = [" ".join(rng.choices(words, cum_weights=shares, k=PHRASE_WORDS)) for _ in range(PHRASES)]

    def write_review() -> str:
        return " ".join(rng.choices(phrases, k=PHRASES_A_REVIEW))

    for number in range(count):
        profile = []
        for position in range(ITEMS):
            item_id = f"{prefix}{number}-{position}"
            profile.append({"id": item_id, "text": write_review(), "score": str(rng.randint(1, 5))})
        question = {"id": f"{prefix}{number}", "input": f"{INSTRUCTION}{write_review()}", "profile": profile}
        yield json.dumps(question)


def write_split(root: Path, split: str, count: int) -> None:
    """Write an official split with so many questions to `root`."""
    folder = root / "LaMP_3"
    folder.mkdir(exist_ok=True)

    with (folder / f"{split}_questions.json").open("w", encoding="utf-8") as file:
        for number, text in enumerate(write_questions(count, split)):
            file.write(("[" if number == 0 else ", ") + text)
        file.write("]")

    golds = [{"id": f"{split}{number}", "output": str(number % 5 + 1)} for number in range(count)]
    (folder / f"{split}_outputs.json").write_text(json.dumps({"task": "LaMP_3", "golds": golds}))


def measure(command: Sequence[str], cache: Path) -> Measurement:
    """Run a command as a process of its own, with this cache, and look at its memory while it runs."""
    started = time.perf_counter()
    environment = {**os.environ, "RPOBENCH_CACHE": str(cache)}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output)
        peak = 0
        while process.poll() is None:
            peak = max(peak, count_memory(process.pid))
            time.sleep(PAUSE)

        seconds = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"{' '.join(command[:4])} ended with {process.returncode}")
        output.seek(0)
        return Measurement(seconds, peak / MEGA, output.read().decode())


def count_memory(pid: int) -> int:
    """Count the bytes that a process and all that it started hold together; what they share counts once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += member.memory_full_info().pss
    return total


def run_command(root: Path, out: Path) -> list[str]:
    """The command of rpobench that is measured."""
    what = ["run", "--method", "rag-bm25", "--task", "LaMP-3", "--preset", "full", "--json"]
    where = ["--data", str(root), "--base-model", MODEL, "--out", str(out)]
    return [sys.executable, "-m", "rpobench", *what, *where]


def main() -> None:
    """Print the table of docs/performance.md."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--train", type=int, default=20_000)
    options.add_argument("--dev", type=int, default=2_500)
    options.add_argument("--folder", default=None)
    arguments = options.parse_args()

    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        data = folder / "made-up"
        data.mkdir()
        for split, count in (("train", arguments.train), ("dev", arguments.dev)):
            write_split(data, split, count)
        size = sum(file.stat().st_size for file in data.rglob("*.json"))
        print(f"{arguments.train} training and {arguments.dev} dev questions, {size / 10**9:.2f} GB", flush=True)

        rows = {
            "plain loop": [sys.executable, "-c", PLAIN_LOOP, str(data / "LaMP_3")],
            "first run, own and swapped profiles": run_command(data, folder / "runs"),
            "the same command again": run_command(data, folder / "runs"),
            "another folder of runs": run_command(data, folder / "other"),
        }
        print("| | seconds | peak memory, MB |\n|---|---:|---:|", flush=True)
        for label, command in rows.items():
            taken = measure(command, folder / "cache")
            print(f"| {label} | {taken.seconds:.1f} | {taken.megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()
