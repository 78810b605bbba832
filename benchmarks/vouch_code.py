"""Notes that the built-in methods of this checkout predict what they did before, although their code changed.

    python benchmarks/vouch_code.py

It adds the hash of each method's code to `rpobench/method/vouched_code.json`. Runs that the earlier code made are then
taken for runs of today's. Where a prediction may differ, raise the method's version first.
"""

from __future__ import annotations

import json
from pathlib import Path

from rpobench.method.code import VOUCHED_FILE, identify_code
from rpobench.registry import get_method, list_names

FILE = Path(__file__).parents[1] / "rpobench" / "method" / VOUCHED_FILE


def main() -> None:
    vouched = json.loads(FILE.read_text(encoding="utf-8"))

    for name in list_names("methods"):
        code = identify_code(get_method(name))
        if code.distribution != "rpobench":
            continue
        hashes = vouched.setdefault(name, {}).setdefault(code.method_version, [])
        if code.sha256 not in hashes:
            hashes.append(code.sha256)
            print(f"{name} {code.method_version}: {code.sha256}")

    FILE.write_text(json.dumps(vouched, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
