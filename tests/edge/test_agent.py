"""What the agent makes of its file before it runs; a running one is in tests/scenarios/test_agent.py."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from edge_agent.agent import CONTROL_LATE_S, METERED_COMMIT_MS, Agent, pace_of
from edge_agent.config import load
from edge_agent.field import build
from edge_agent.fitter import Fitter
from edge_agent.helm import Helm
from edge_agent.intake import Intake, Pace
from protos.clock import NS, Anchor, SteppedClock
from tests.edge.acting import site


@pytest.mark.parametrize(
    ("metered", "commit_ms", "used_ms"),
    [("false", 1000, 1000), ("true", 1000, METERED_COMMIT_MS), ("true", 30_000, 30_000)],
)
def test_a_metered_line_pays_for_few_batches(tmp_path: Path, metered: str, commit_ms: int, used_ms: int) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[gateway]\nid = "north-1"\ndistrict = "north"\n[buffer]\ncommit_ms = {commit_ms}\n'
        f"commit_readings = 500\n[sync]\nmetered = {metered}\n"
        '[[device]]\nname = "a"\nprofile = "eastron-sdm120"\nconnection = "tcp://127.0.0.1:502"\n'
    )
    pace = pace_of(load(file))
    assert (pace.commit_ms, pace.commit_readings) == (used_ms, 500)


async def test_rule_08_the_watchdog_is_fed_from_completed_cycles_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that runs and completes nothing is as dead as one that ended; it is fed again when it goes on."""
    clock = SteppedClock(10**12)
    agent = Agent(load(site(tmp_path)), clock)
    agent.field = build(agent.config, clock)
    agent.fitter = Fitter(agent.config, clock, agent.rebuild.set)
    agent.helm = Helm(
        agent.config, clock, lambda: Anchor(bytes(16), 0, 0, "none"), agent._audit, agent.fitter, agent._keep
    )
    clean = agent.field.cleaning.apply
    agent.intake = Intake(clean, agent.field.image, agent._commit, clock, Pace(), agent.helm.mirror)
    agent.health.watch("intake", 30.0)
    agent.health.watch("control", CONTROL_LATE_S)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        beating = asyncio.create_task(agent._beat())

        async def fed(seconds: int, *, cycles: int) -> int:
            """How often the watchdog was fed in 10 s steps, with so many cycles completed in each."""
            heard = 0
            for _ in range(seconds // 10):
                agent.helm.counts.ticks += cycles
                await clock.advance(10 * NS)
                with contextlib.suppress(BlockingIOError):
                    while manager.recv(100) == b"WATCHDOG=1":
                        heard += 1
            return heard

        assert await fed(60, cycles=1) >= 6
        await fed(30, cycles=0)
        assert await fed(60, cycles=0) == 0
        await fed(10, cycles=1)
        assert await fed(30, cycles=1) == 3
        beating.cancel()
    agent.fitter.models.close()
