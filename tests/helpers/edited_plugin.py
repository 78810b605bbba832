"""A package of somebody else's whose source a test edits, as an author does between two commands."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

from rpobench import registry

METADATA = "Metadata-Version: 2.1\nName: edited-methods\nVersion: 0.3\n"
ENTRY_POINTS = """[rpobench.methods]
edited = edited_methods.method:Edited
edited-learner = edited_methods.learner:EditedLearner
"""
METHOD = '''"""Says a rating."""

from edited_methods.words import choose_rating
from rpobench.api import Method, Prediction


class Edited(Method):
    """Says it to everybody."""

    name = "edited"
    reads_profile = False

    def predict(self, task, examples, context):
        for example in examples:
            yield Prediction(example.id, choose_rating(), "")
'''
LEARNER = """import json
import os
import signal

from rpobench.api import Method, Prediction


class EditedLearner(Method):
    name = "edited-learner"
    trains = True
    reads_profile = False

    def fit(self, train, context):
        self.rating = "1"

    def predict(self, task, examples, context):
        for example in examples:
            yield Prediction(example.id, self.rating, "")

    def save(self, path):
        (path / "rating.json").write_text(json.dumps(self.rating))

    @classmethod
    def load(cls, path, config):
        method = cls(config)
        method.rating = json.loads((path / "rating.json").read_text())
        return method
"""
WORDS = """from . import digits


def choose_rating():
    return digits.ONE
"""


@dataclass(frozen=True)
class EditedPlugin:
    """The package.

    Attributes:
        root: The folder that is searched for packages.
    """

    root: Path

    @property
    def package(self) -> Path:
        """The folder of its modules."""
        return self.root / "edited_methods"

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in one of its files; the next command runs the new code."""
        path = self.package / file
        source = path.read_text()
        assert old in source
        path.write_text(source.replace(old, new))
        self.forget()

    def forget(self) -> None:
        """Let everything be imported anew, as in another process."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "edited_methods"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        registry._entry_points_by_name.cache_clear()


def write_plugin(root: Path) -> EditedPlugin:
    """Write the package with its declaration under a folder."""
    plugin = EditedPlugin(root)
    info = root / "edited_methods-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)

    plugin.package.mkdir()
    sources = {"__init__": "", "method": METHOD, "learner": LEARNER, "words": WORDS, "digits": 'ONE = "1"\n'}
    for name, source in sources.items():
        (plugin.package / f"{name}.py").write_text(source)
    (plugin.package / "unrelated.py").write_text("X = 1\n")

    plugin.forget()
    return plugin
