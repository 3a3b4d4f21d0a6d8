"""A full disk: the oldest of the lowest class goes, everything is counted, and it ends by itself."""

import os

import pytest

from edge_agent.buffer.database import Database
from tests.edge.buffer.gateway import Gateway
from tests.faults.diskfull import Greedy, Limits, explore, mountable, small_disk

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


async def test_it_starts_on_a_full_disk() -> None:
    with small_disk() as disk:
        gateway = Gateway(disk / "state")
        await gateway.open()
        for serial in range(1, 60):
            await gateway.append(serial, rows=50)
        await gateway.buffer.close()
        Greedy(disk).take()
        buffer = await gateway.open()
        assert [await gateway.append(serial, rows=50) for serial in range(60, 80)] == list(range(60, 80))
        assert (await gateway.waiting())[-1] == 79
        assert not buffer.gauges()["ballast_held"]
        await buffer.close()


async def test_a_new_gateway_on_a_full_disk_says_so() -> None:
    with small_disk(1) as disk:
        Greedy(disk).take()
        with pytest.raises(OSError, match="0 bytes free"):
            await Gateway(disk / "state").open()


def test_without_ballast_the_newest_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: no ballast and no room kept for the log, and a full disk takes what arrives."""

    def nothing(_database: Database) -> int:
        return 0

    monkeypatch.setattr(Database, "reserve", nothing)
    findings = explore(COMMITS, Limits(ballast_mb=0))
    assert not findings.good(COMMITS)
    assert findings.kept_while_full < 0.9 * COMMITS
    assert findings.unbalanced == 0  # even then every reading is counted
