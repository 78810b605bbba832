"""The recipe of the committed evidence is one that the command can follow."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from rpobench.data.builders.sources import SOURCES
from rpobench.data.official.golds import official_name

RECIPE = yaml.safe_load((Path(__file__).parents[3] / "recipes" / "commons-v1.yaml").read_text())
ROOT = Path(__file__).parents[3]


def test_the_recipe_names_sources_and_whole_commits() -> None:
    assert {build["source"] for build in RECIPE["builds"]} == set(SOURCES)
    for build in RECIPE["builds"]:
        assert build.get("licence") or SOURCES[build["source"]].licence
        for repository in build["repositories"]:
            assert re.fullmatch("[0-9a-f]{40}", repository["commit"])
            assert repository["address"] == f"https://github.com/{repository['name']}"


def test_the_recipe_has_the_sum_of_every_file() -> None:
    tasks = [official_name(task) for source in SOURCES.values() for task in source.default_tasks]
    parts = [f"{split}_{part}.json" for split in ("train", "dev", "test") for part in ("questions", "outputs")]

    assert set(RECIPE["sha256"]) == {"manifest.json", *(f"{task}/{part}" for task in tasks for part in parts)}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in RECIPE["sha256"].values())


def test_the_recipe_needs_what_is_pinned() -> None:
    pins = (ROOT / "constraints.txt").read_text().splitlines()

    assert {f"{name}=={version}" for name, version in RECIPE["requires"].items()} <= set(pins)
