"""What comes home out of a damaged buffer while the link is up goes out in that same session."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.buffer import Buffer
from edge_agent.buffer.recovery import DATABASE, Recovery
from edge_agent.sync import Settings, Sync
from edge_agent.sync.session import Session
from protos import sync_pb2 as pb
from protos.batch import Priority
from protos.clock import SystemClock
from tests.edge.buffer.gateway import Limits, frames_of
from tests.edge.sync.gateway import CATALOGUE, NAME, Gateway, enrol, gateway
from tests.simulators.sync_peer import Home, SyncPeer, serve

BATCHES = 40


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    (tmp_path / "aggregator").mkdir()
    async with serve(tmp_path / "aggregator", SyncPeer(heartbeat_ms=200)) as one:
        yield one


@pytest.fixture
async def edge(home: Home, tmp_path: Path) -> Gateway:
    one = gateway(tmp_path / "edge")
    one.state.mkdir()
    await enrol(one, home)
    return one


async def late(home: Home, edge: Gateway, monkeypatch: pytest.MonkeyPatch, seconds: float) -> dict[str, float]:
    """A damaged backlog that is still being read when the session has sent all that it saw; the buffer's gauges."""
    peer, buffer = home.peer, await damaged(edge)
    sync = Sync(Settings(), edge.identity, buffer, edge.clock, edge.time, CATALOGUE, pb.Status)
    with monkeypatch.context() as slow:
        slow.setattr(Recovery, "pending", False)
        link = asyncio.create_task(sync.run())
        for sequence in (1, 2):
            await buffer.append(frames_of(0), Priority.TELEMETRY, edge.time.anchor())
            await peer.until(lambda key=(2, sequence): key in peer.stored)  # type: ignore[misc]
    try:
        assert await buffer.salvaged() == BATCHES
        await peer.until(lambda: len(peer.stored) == BATCHES + 2, seconds)
    finally:
        link.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await link
        await buffer.close()
    return buffer.gauges()


async def damaged(edge: Gateway) -> Buffer:
    before = await Buffer.open(edge.state, NAME, SystemClock(), Limits())
    for serial in range(BATCHES):
        await before.append(frames_of(serial), Priority.TELEMETRY, edge.time.anchor())
    await before.close()
    with (edge.state / DATABASE).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8)  # the head of the first tree
    return await Buffer.open(edge.state, NAME, SystemClock(), Limits())


async def test_salvaged_batches_leave_in_the_running_session(
    home: Home, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges = await late(home, edge, monkeypatch, 10.0)
    assert sorted(one.key for one in home.peer.arrived) == [(1, n + 1) for n in range(BATCHES)] + [(2, 1), (2, 2)]
    assert gauges["damaged_total"] == 1
    assert home.peer.streams == 1


async def test_without_another_walk_they_stay(home: Home, edge: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(Session, "walk_again", lambda *_: False)
    with pytest.raises(TimeoutError):
        await late(home, edge, monkeypatch, 1.0)
