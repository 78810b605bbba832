"""Tests on data that is not in the repository: skipped where it is absent, unless it has to be there."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared_data import NEEDS_SHARED, require_shared


def test_shared_data_is_returned_where_it_is_present(tmp_path: Path) -> None:
    assert require_shared(tmp_path) == tmp_path


def test_absent_shared_data_skips_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NEEDS_SHARED, raising=False)

    with pytest.raises(pytest.skip.Exception, match="the shared data is absent"):
        require_shared(tmp_path / "absent")


def test_absent_shared_data_fails_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEEDS_SHARED, "1")

    with pytest.raises(pytest.fail.Exception, match="RPOBENCH_NEEDS_SHARED=1"):
        require_shared(tmp_path / "absent")
