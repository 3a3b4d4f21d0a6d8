"""A full disk: the oldest of the lowest class goes, everything is counted, and it ends by itself."""

import os

import pytest

from edge_agent.buffer.database import Database
from tests.faults.diskfull import Limits, explore, mountable

COMMITS = 120


@pytest.fixture(autouse=True)
def small_disks() -> None:
    if not mountable():
        if os.environ.get("CI") == "true":
            pytest.fail("needs the right to mount a small tmpfs, and nothing may be left out with CI=true")
        pytest.skip("needs the right to mount a small tmpfs")


def test_full_disk_keeps_the_newest() -> None:
    findings = explore(COMMITS)
    assert findings.good(COMMITS), findings


def test_without_ballast_the_newest_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: no ballast and no room kept for the log, and a full disk takes what arrives."""

    def nothing(_database: Database) -> int:
        return 0

    monkeypatch.setattr(Database, "reserve", nothing)
    findings = explore(COMMITS, Limits(ballast_mb=0))
    assert not findings.good(COMMITS)
    assert findings.kept_while_full < 0.9 * COMMITS
    assert findings.unbalanced == 0  # even then every reading is counted
