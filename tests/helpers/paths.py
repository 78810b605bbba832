"""Where the tests find what lies beside them."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent  # of the checkout
PLUGIN = TESTS / "plugin"  # an installed package with methods of its own
GOLDEN = TESTS / "golden"  # what LaMP's released code returns
STORED = TESTS / "stored"  # runs of older versions
SHARED = ROOT.parent / "shared"  # real data, whose licences keep it out of the repository
LAMP_SAMPLE = SHARED / "lamp_sample"
