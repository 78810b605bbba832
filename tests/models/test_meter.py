"""The meter of shared texts: what a piece of work is charged for."""

from __future__ import annotations

import time

import pytest

from rpobench.models.meter import Meter


def test_making_is_no_part_of_the_own_seconds() -> None:
    meter = Meter()
    start = meter.read()

    time.sleep(0.05)
    meter.making_seconds += 0.04
    charge = meter.charge_since(start)

    assert 0.01 <= charge.own_seconds < 0.05 + 1.0
    assert charge.worth_seconds == 0.0 and charge.seconds == charge.own_seconds


def test_texts_are_charged_at_their_worth_whoever_made_them() -> None:
    meter = Meter(making_seconds=7.0, worth_seconds=5.0)
    start = meter.read()

    meter.worth_seconds += 3.0
    charge = meter.charge_since(start)

    assert charge.worth_seconds == 3.0
    assert charge.seconds == pytest.approx(3.0, abs=1.0)
    assert charge.seconds == charge.own_seconds + 3.0
