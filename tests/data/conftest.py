"""A server of LaMP's files for the tests of downloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lamp_server import LampServer, run_lamp_server
from tenacity import wait_none

from rpobench.data.download import http


@pytest.fixture
def lamp_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LampServer]:
    """A running server; downloads try again without a pause."""
    monkeypatch.setattr(http, "BACKOFF", wait_none())
    with run_lamp_server() as server:
        yield server
