"""Writing: allowed, in range, echoed, read back, judged; leases rewritten; the budget kept."""

import asyncio
import math
from typing import Any

import pytest

from edge_agent.profile import PointSpec
from edge_agent.sources import Outcome
from edge_agent.sources.modbus.budget import BURST
from tests.edge.sources.modbus.rig import device, point, running
from tests.simulators.modbus import faulty_line


def written(name: str, address: int, kind: str = "u16", access: str = "rw", **more: Any) -> PointSpec:
    return point(name, address, kind, access=access, **{"write_function": 6} | more)


@pytest.mark.parametrize("function", [6, 16, 23])
@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_what_is_read_back_equal_is_applied(function: int, kind: str) -> None:
    spec = written("p", 10, write_function=function, quantity="active_power", unit="kW", scale=0.1)
    with faulty_line(kind) as (line,):
        async with running(line.connection, device(spec)) as rig:
            done = await rig.source.write("d", "p", 2500.0)
            assert (done.outcome, done.value) == (Outcome.APPLIED, 2500.0)
            await rig.until(lambda frames: frames[-1:] != [] and float(frames[-1].values[0]) == 2500.0)


@pytest.mark.parametrize("function", [5, 15])
async def test_bits(function: int) -> None:
    spec = written("p", 10, "bit", function=1, write_function=function)
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(spec)) as rig:
            for value in (1.0, 0.0):
                done = await rig.source.write("d", "p", value)
                assert (done.outcome, done.value) == (Outcome.APPLIED, value)


@pytest.mark.parametrize(("kind", "value"), [("u32", 70_000.0), ("f32", 1.5), ("i64", -5.0), ("f64", 1e-9)])
@pytest.mark.parametrize("order", ["ABCD", "DCBA"])
async def test_long_types(kind: str, value: float, order: str) -> None:
    spec = written("p", 10, kind, write_function=16, order=order)
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(spec)) as rig:
            done = await rig.source.write("d", "p", value)
            assert (done.outcome, done.value) == (Outcome.APPLIED, value)


async def test_masked_bits_leave_the_others_alone() -> None:
    specs = (written("low", 0x0F0F, "bits16", mask=0x00FF), point("whole", 0x0F0F))
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(*specs)) as rig:
            done = await rig.source.write("d", "low", 0x55)
            assert (done.outcome, done.value) == (Outcome.APPLIED, 0x55)
            await rig.until(lambda frames: frames[-1:] != [] and frames[-1].values.tolist() == [0x55, 0x0F55])


async def test_a_scale_factor_counts_for_writing_too() -> None:
    specs = (written("p", 100, scale_from="sf"), point("sf", 2))
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(*specs)) as rig:
            done = await rig.source.write("d", "p", 4200.0)
            assert (done.outcome, done.value) == (Outcome.APPLIED, 4200.0)


async def test_another_value_is_clamped_an_exception_rejected_silence_unknown() -> None:
    specs = [written("p", 10), written("hole", 20), written("blind", 30, access="w")]
    with faulty_line("tcp", clamp=100, holes=20, units="1,2", dead="2") as (line,):
        devices = [device(*specs), device(*specs, name="e", unit=2)]
        async with running(line.connection, *devices) as rig:
            done = await rig.source.write("d", "p", 500.0)
            assert (done.outcome, done.value) == (Outcome.CLAMPED, 100.0)
            done = await rig.source.write("d", "hole", 5.0)
            assert (done.outcome, done.why) == (Outcome.REJECTED, "exception 2, illegal address")
            assert (await rig.source.write("d", "blind", 5.0)).outcome is Outcome.ACCEPTED
            assert (await rig.source.write("e", "p", 5.0)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("q", 1.0, "is not writable"),
        ("nothing", 1.0, "no point nothing"),
        ("p", math.nan, "no value"),
        ("p", 7.0, "outside 0 to 5"),
        ("wide", 1.0, "function 6 does not write u32"),
        ("input", 1.0, "input of the device"),
        ("small", 70_000.0, "does not fit"),
    ],
)
async def test_what_is_not_allowed_never_reaches_the_device(name: str, value: float, why: str) -> None:
    specs = (
        written("p", 10, checks={"range": {"min": 0, "max": 5}}),
        point("q", 11),
        written("wide", 12, "u32"),
        written("input", 14, function=4),
        written("small", 15),
    )
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(*specs)) as rig:
            done = await rig.source.write("d", name, value)
            assert done.outcome is Outcome.REJECTED
            assert why in done.why
            assert rig.source.gauges()["writes"] == 0


async def test_only_changes_are_written() -> None:
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(written("p", 10))) as rig:
            assert (await rig.source.write("d", "p", 10.0)).why == "held already"
            assert rig.source.gauges()["writes"] == 0
            await rig.source.write("d", "p", 11.0)
            await rig.source.write("d", "p", 11.0)
            assert rig.source.gauges()["writes"] == 1


async def test_the_budget_ends_a_loop_that_runs_wild() -> None:
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(written("p", 10))) as rig:
            for value in range(100, 100 + BURST):
                assert (await rig.source.write("d", "p", value)).outcome is Outcome.APPLIED
            done = await rig.source.write("d", "p", 999)
            assert (done.outcome, done.why) == (Outcome.REJECTED, "p: its write budget is used up")


async def test_a_lease_is_rewritten_at_half_its_timeout() -> None:
    spec = written("p", 10, access="w")
    with faulty_line("tcp") as (line,):
        async with running(line.connection, device(spec, options={"lease_s": "0.1"})) as rig:
            begun = asyncio.get_running_loop().time()
            await rig.source.write("d", "p", 5.0)
            async with asyncio.timeout(5):
                while rig.source.gauges()["writes"] < 5:
                    await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - begun > 0.18
            rig.source.release("d", "p")
