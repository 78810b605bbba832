"""`rpobench data build git-log` on a whole history, beside the plain `git log` into a pipe, in seconds and megabytes.

    python benchmarks/data_build_speed.py CLONE     # a clone of git itself: 82,000 commits
    python benchmarks/data_build_speed.py           # a made-up history of the same size

Both read every message from the same clone, one after the other. Memory is that of the largest process so far.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMITS, PEOPLE = 82_000, 400
LIMITS = (60.0, 500.0)  # seconds and megabytes that the build may take
CONSONANTS, VOWELS = "bdfgklmnprst", "aeiou"


def write_word(number: int) -> str:
    """A word of letters for each number."""
    syllables = []
    while number or not syllables:
        number, syllable = divmod(number, len(CONSONANTS) * len(VOWELS))
        syllables.append(CONSONANTS[syllable % len(CONSONANTS)] + VOWELS[syllable // len(CONSONANTS)])
    return "".join(syllables)


def make_history(folder: Path) -> None:
    """Make a repository of many people with bodies of 60 words, by `git fast-import`."""
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)

    parts = []
    for number in range(COMMITS):
        person = write_word(number % PEOPLE + 1000)
        body = " ".join(write_word((number * 7919 + place * 104_729) % 90_000) for place in range(60))
        message = f"{write_word(number)}: change {write_word(number % 997)}\n\n{body}\n\nSigned-off-by: {person}\n"
        author = f"{person} {person} <{person}@x.org> {1_500_000_000 + number * 600} +0000"
        parts.append(f"commit refs/heads/master\nauthor {author}\ncommitter {author}\ndata {len(message)}\n{message}\n")
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input="".join(parts).encode(), check=True)
    subprocess.run(["git", "-C", str(folder), "symbolic-ref", "HEAD", "refs/heads/master"], check=True)


def measure(name: str, command: list[str]) -> tuple[float, float]:
    """Run a command, and say how long it took and how much memory the largest process so far held."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start

    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{name}: {seconds:.1f} s, {megabytes:.0f} MB")
    return seconds, megabytes


def main() -> None:
    """Measure the plain read, then the build, and fail where the build passes its limits."""
    with tempfile.TemporaryDirectory() as work:
        clone = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(work) / "history.git"
        if len(sys.argv) == 1:
            make_history(clone)

        measure("git log into a pipe", ["bash", "-c", f"git -C '{clone}' log --format=%H%an%ae%B | cat"])
        build = [sys.executable, "-m", "rpobench", "data", "build", "git-log", "--repo", str(clone)]
        figures = measure("rpobench data build", [*build, "--out", str(Path(work) / "data")])

    if any(figure > limit for figure, limit in zip(figures, LIMITS, strict=True)):
        sys.exit(f"over the limits of {LIMITS[0]:.0f} s or {LIMITS[1]:.0f} MB")


if __name__ == "__main__":
    main()
