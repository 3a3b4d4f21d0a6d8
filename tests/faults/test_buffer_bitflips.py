"""Damage in any file of the buffer: it starts, serves nothing wrong, and says so. The figure tries thousands."""

import pytest

from edge_agent.buffer import rows
from edge_agent.buffer.stored import Row
from tests.faults.bitflips import explore


def test_damage_is_survived_and_reported() -> None:
    found = explore(60, appends=50, seed=3)
    assert found.tried == 60
    assert found.good(), found


def test_without_checks_wrong_values_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the checks of rows and blobs switched off, damage gets through."""

    def trusting(_gateway: str, _row: Row, _blob: bytes) -> str:
        return ""

    monkeypatch.setattr(rows, "fault", trusting)
    assert explore(60, appends=50, seed=3).wrong > 0
