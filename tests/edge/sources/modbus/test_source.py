"""The source against real servers: libmodbus, pymodbus, and a line that misbehaves, each a process."""

import asyncio
import math
import os
import signal

import numpy as np
import pytest

from edge_agent.image import NEVER, Frame
from edge_agent.sources.modbus import Modbus, NoAnswer, identify, link_to
from edge_agent.sources.modbus.address import parse
from edge_agent.sources.modbus.decode import EXCEPTION
from protos.clock import NS, SystemClock
from tests.edge.sources.modbus.rig import device, point, running
from tests.simulators.modbus import c_server, faulty_line, pymodbus_line

KINDS = ("tcp", "rtu+tcp", "rtu")


def row(frame: Frame) -> list[float]:
    return [float(value) for value in frame.values]


@pytest.mark.system("libmodbus", "gcc")
async def test_libmodbus_is_read_in_coalesced_blocks() -> None:
    points = [point(f"r{k}", address) for k, address in enumerate((0, 1, 5, 300, 65000))]
    points += [point("c", 3, "bit", function=1), point("d", 4, "bit", function=2), point("i", 9, function=4)]
    with c_server() as (port,):
        async with running(f"tcp://127.0.0.1:{port}", device(*points)) as rig:
            frame = await rig.next(2)
            assert row(frame) == [0, 1, 5, 300, 65000, 1, 0, 9]
            assert frame.codes is None
            assert rig.source.gauges()["polls"] == 2 * 6


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_line_is_read(kind: str) -> None:
    with faulty_line(kind, units="1,7") as (line,):
        devices = [device(point("a", 10), point("b", 20, "u32"), name=f"d{unit}", unit=unit) for unit in (1, 7)]
        async with running(line.connection, *devices) as rig:
            frames = await rig.until(lambda frames: len(frames) >= 4)
            assert {frame.layout.device for frame in frames} == {"d1", "d7"}
            assert all(row(frame) == [10, (20 << 16) + 21] for frame in frames)


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "rtu+tcp://127.0.0.1:0", "rtu"])
async def test_pymodbus_is_read(listen: str) -> None:
    with pymodbus_line(listen, "eastron-sdm630@3") as (line,):
        async with running(line.connection, device(point("a", 10, function=4), unit=3)) as rig:
            assert row(await rig.next()) == [10]


async def test_periods_have_layouts_of_their_own_and_strings_come_when_they_change() -> None:
    fast = device(point("a", 1), point("s", 0x4142, "str", length=2), name="fast", period_ms=50)
    slow = device(point("b", 2), name="slow", period_ms=400)
    with faulty_line("tcp") as (line,):
        async with running(line.connection, fast, slow) as rig:
            assert rig.source.wants() == [("fast", ("a",)), ("slow", ("b",))]
            frames = await rig.until(lambda frames: sum(f.layout.device == "slow" for f in frames) >= 3)
    counted = [frame for frame in frames if frame.layout.device == "fast"]
    assert 12 <= len(counted) <= 26
    assert [text for frame in counted for text in frame.texts] == [("s", "ABAC")]


async def test_a_scale_factor_of_another_period_is_read_with_what_it_scales() -> None:
    points = (point("W", 100, scale_from="W_SF"), point("W_SF", 3, period_ms=5000))
    one = device(*points, period_ms=0)
    with faulty_line("tcp") as (line,):
        async with running(line.connection, one) as rig:
            assert sorted(rig.source.wants()) == [("d", ("W",)), ("d", ("W_SF",))]
            frames = await rig.until(lambda frames: any(f.layout.points == ("W",) for f in frames))
    assert next(row(f) for f in frames if f.layout.points == ("W",)) == [100_000]


async def test_a_refused_block_is_split_once_and_remembered() -> None:
    points = [point(f"r{address}", address) for address in (10, 11, 13, 14, 15)]
    with faulty_line("tcp", holes="12,14") as (line,):
        async with running(line.connection, device(*points, period_ms=50)) as rig:
            frame = await rig.next()
            assert np.array_equal(row(frame), [10, 11, 13, math.nan, 15], equal_nan=True)
            assert frame.codes is not None
            assert frame.codes.tolist() == [0, 0, 0, EXCEPTION, 0]
            refused = rig.source.gauges()["exceptions"]
            asked = rig.source.gauges()["polls"]
            await rig.next(4)
            assert rig.source.gauges()["exceptions"] == refused, "asked once, never again"
            assert rig.source.gauges()["polls"] - asked <= 5 * 3


async def test_a_block_that_is_too_long_for_the_device_is_halved() -> None:
    points = [point(f"r{address}", address) for address in range(100)]
    with faulty_line("tcp", max_count=30) as (line,):
        async with running(line.connection, device(*points, period_ms=50)) as rig:
            frame = await rig.next()
            assert row(frame) == list(range(100))
            assert frame.codes is None


async def test_one_value_per_request() -> None:
    points = [point("a", 10), point("b", 11, "u32"), point("c", 13)]
    with faulty_line("tcp", max_count=2) as (line,):
        async with running(line.connection, device(*points, one_value_per_request=True)) as rig:
            assert row(await rig.next()) == [10, (11 << 16) + 12, 13]
            assert rig.source.gauges()["exceptions"] == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_dead_unit_is_told_once_and_delays_nobody(kind: str) -> None:
    devices = [device(point("a", 10), name=f"d{unit}", unit=unit) for unit in (1, 2, 3)]
    with faulty_line(kind, units="1-3", dead="2") as (line,):
        async with running(line.connection, *devices) as rig:
            frames = await rig.until(lambda frames: sum(f.layout.device == "d1" for f in frames) >= 15)
            assert rig.source.gauges()["open_breakers"] == 1
    dead = [frame for frame in frames if frame.layout.device == "d2"]
    assert len(dead) == 1
    assert math.isnan(dead[0].values[0])
    assert dead[0].codes is not None
    assert dead[0].codes.tolist() == [NEVER]
    assert sum(frame.layout.device == "d3" for frame in frames) >= 13


async def test_a_unit_that_falls_silent_comes_back() -> None:
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(point("a", 10))) as rig:
            await rig.next()
            os.kill(line.process.pid, signal.SIGUSR1)
            await rig.until(lambda frames: frames[-1].codes is not None)
            os.kill(line.process.pid, signal.SIGUSR2)
            frames = await rig.until(lambda frames: frames[-1].codes is None)
            assert sum(frame.codes is not None for frame in frames) <= 2, "once, and at a probe; no flood"


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    with faulty_line("tcp") as (line,):
        connection = line.connection
    async with running(connection, device(point("a", 10))) as rig:
        frame = await rig.next()
        assert frame.codes is not None
        assert frame.codes.tolist() == [NEVER]


@pytest.mark.parametrize("kind", KINDS)
async def test_rule_26_late_answers_are_never_taken_for_another_register(kind: str) -> None:
    points = [point(f"r{k}", 100 * (k // 4) + k % 4) for k in range(20)]  # five blocks of the same shape
    expected = np.array([100.0 * (k // 4) + k % 4 for k in range(20)])
    faults = {"late": 0.02, "duplicated": 0.03, "garbled": 0.02, "late_ms": (30, 120)}
    with faulty_line(kind, **faults) as (line,):
        async with running(line.connection, device(*points, period_ms=5, timeout_ms=20)) as rig:
            frames = await rig.until(lambda frames: len(frames) >= 25)
    assert sum(frame.codes is None for frame in frames) >= 5
    for frame in frames:
        good = np.isfinite(frame.values)
        assert np.array_equal(frame.values[good], expected[good])


@pytest.mark.parametrize("kind", KINDS)
async def test_without_the_guard_they_are(kind: str) -> None:
    """Negative control of the test above."""
    points = [point(f"r{k}", 100 * k) for k in range(5)]
    with faulty_line(kind, late=0.3, late_ms=(21, 60)) as (line,):
        async with running(line.connection, device(*points, period_ms=5, timeout_ms=20), guard=False) as rig:

            def wrong(frames: list[Frame]) -> bool:
                values = frames[-1].values
                good = np.isfinite(values)
                return not np.array_equal(values[good], np.arange(5)[good] * 100.0)

            await rig.until(lambda frames: bool(frames) and wrong(frames))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_unit_says_who_it_is(kind: str) -> None:
    with faulty_line(kind, units="1") as (line,):
        link = link_to(parse(line.connection, {}), {}, SystemClock())
        found = await identify(link, 1)
        assert found == {"vendor": "citytwin", "product": "line", "revision": "1.0", "name": "a line that misbehaves"}
        with pytest.raises(NoAnswer):
            await identify(link, 2, NS // 10)
        link.drop()


async def test_requests_of_several_tasks_take_turns() -> None:
    with faulty_line("rtu", latency_ms=2) as (line,):
        async with running(line.connection, device(point("a", 10), period_ms=20)) as rig:
            await asyncio.gather(*(rig.source.write("d", "a", 1.0) for _ in range(3)))
            assert row(await rig.next(5)) == [10]


def test_a_connection_that_cannot_be_understood() -> None:
    with pytest.raises(ValueError, match="begins with none of"):
        Modbus("udp://x", [], SystemClock())
    with pytest.raises(ValueError, match="names no host"):
        Modbus("tcp://:502", [], SystemClock())
