"""The gRPC service over its real socket, and the example client as a process."""

import asyncio
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest

from edge_agent.cell import Output
from edge_agent.control.hand import Hand
from edge_agent.image import Image
from edge_agent.local.status import short
from edge_agent.local.stream import POINTS_MAX, serve
from edge_agent.snapshot import Roster
from protos import local_pb2 as pb
from protos.clock import NS, SystemClock
from protos.local_pb2_grpc import LocalStub
from tests.edge.local.scene import BAD, ESTIMATED, UTC_NS, Newest, snapshot

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "watch.py"
ANSWER_S = 10.0


def output(name: str) -> Output:
    return Output(name, f"tank/{name}", 0, 5 * NS, 0, 100, 10, 0, 0, 0, 0, 2 * NS)


@pytest.fixture
def newest() -> Newest:
    return Newest(snapshot(SystemClock().monotonic_ns()))


@pytest.fixture
def hand() -> Hand:
    return Hand([output("valve"), output("pump")])


@pytest.fixture
async def socket(tmp_path: Path, newest: Newest, hand: Hand) -> AsyncIterator[Path]:
    path = tmp_path / ("long" * 25) / "local.sock"  # longer than an address may be
    path.parent.mkdir()
    async with serve(path, newest, lambda: hand, SystemClock()):
        yield path
    assert not path.exists()


@pytest.fixture
async def stub(socket: Path) -> AsyncIterator[LocalStub]:
    with short(socket.parent, socket.name) as address:
        async with grpc.aio.insecure_channel(f"unix:{address}") as channel:
            yield LocalStub(channel)


async def first(stub: LocalStub, *points: str) -> pb.Tick:
    call = stub.Watch(pb.WatchRequest(points=points))
    async with asyncio.timeout(ANSWER_S):
        tick: pb.Tick = await anext(aiter(call))
    call.cancel()
    return tick


async def test_a_tick_says_value_until_when_why_and_by_which_model(stub: LocalStub, newest: Newest) -> None:
    tick = await first(stub)
    assert newest.snapshot is not None
    now_ns = newest.snapshot.now_ns
    assert (tick.number, tick.mode, tick.late, tick.utc_ns) == (1, "running", 4, UTC_NS)
    valve, pump, lamp, level, _, queue = tick.readings
    assert (valve.device, valve.point, valve.output, valve.unit) == ("tank", "valve", "valve", "%")
    assert (valve.value, valve.applied, valve.authority, valve.by) == (42.5, 42.0, "local", "level")
    assert (valve.why, valve.model) == ("level 1.9 m, wanted 2.0 m", "tank 3")
    assert valve.not_after_boottime_ns == now_ns + 5 * NS
    assert valve.not_after_utc_ns == UTC_NS + 5 * NS
    assert (pump.authority, pump.limited) == ("hand", "slew")
    assert (lamp.authority, lamp.not_after_boottime_ns, lamp.not_after_utc_ns) == ("nobody", 0, 0)
    assert (level.device, level.point, level.value, level.sd, level.code) == ("tank", "level", 1.9, 0.01, ESTIMATED)
    assert level.not_after_boottime_ns == now_ns + NS
    assert (queue.code, queue.not_after_boottime_ns) == (BAD, 0)


@pytest.mark.parametrize(
    ("points", "wanted"),
    [
        (["valve"], ["tank/valve"]),
        (["tank/pump", "road/queue"], ["tank/pump", "road/queue"]),
        (["tank/*"], ["tank/valve", "tank/pump", "tank/level", "tank/leak"]),
    ],
)
async def test_points_can_be_chosen(stub: LocalStub, points: Sequence[str], wanted: Sequence[str]) -> None:
    tick = await first(stub, *points)
    assert [f"{one.device}/{one.point}" for one in tick.readings] == wanted


async def test_a_point_that_there_is_not_is_refused_by_name(stub: LocalStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await first(stub, "valve", "valv")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "valv: not of this gateway; there are valve, pump, lamp, tank/*, road/*"


async def test_too_many_points_are_refused(stub: LocalStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="ask for at most"):
        await first(stub, *(["valve"] * (POINTS_MAX + 1)))


async def test_who_reads_slowly_misses_ticks(stub: LocalStub, newest: Newest) -> None:
    call = stub.Watch(pb.WatchRequest(least_ms=20))
    ticks = aiter(call)
    numbers = []
    async with asyncio.timeout(ANSWER_S):
        for _ in range(4):
            numbers.append((await anext(ticks)).number)
            for _ in range(10):
                newest.decide(0, value=43.5)
                await asyncio.sleep(0.004)
    call.cancel()
    assert numbers == sorted(numbers)
    assert numbers[-1] > len(numbers)


async def test_ticks_follow_and_a_reload_is_noticed(stub: LocalStub, newest: Newest) -> None:
    call = stub.Watch(pb.WatchRequest(points=["valve"]))
    seen = []
    async with asyncio.timeout(ANSWER_S):
        async for tick in call:
            seen.append((tick.number, tick.readings[0].value))
            newest.decide(0, value=43.5)
            if len(seen) == 3:
                break
        assert seen == [(1, 42.5), (2, 43.5), (3, 43.5)]
        newest.snapshot = replace(newest.snapshot or snapshot(0), roster=Roster(), tick=9)
        with pytest.raises(grpc.aio.AioRpcError, match="not of this gateway; there are none"):
            async for _ in call:
                pass


async def test_changes_only_leaves_out_what_was_only_renewed(stub: LocalStub, newest: Newest) -> None:
    call = stub.Watch(pb.WatchRequest(points=["valve"], changes_only=True))
    ticks = aiter(call)
    async with asyncio.timeout(ANSWER_S):
        assert (await anext(ticks)).number == 1
        for _ in range(3):
            await asyncio.sleep(0.03)
            newest.decide(0, not_after_ns=SystemClock().monotonic_ns() + 5 * NS)
        await asyncio.sleep(0.03)
        newest.decide(0, why="another reason")
        assert (await anext(ticks)).number == 5
    call.cancel()


async def test_before_the_first_tick_the_stream_waits(stub: LocalStub, newest: Newest) -> None:
    kept, newest.snapshot = newest.snapshot, None
    asking = asyncio.create_task(first(stub))
    await asyncio.sleep(0.05)
    newest.snapshot = kept
    assert (await asking).number == 1


async def test_a_hand_takes_over_for_a_time_and_gives_back(stub: LocalStub, hand: Hand) -> None:
    reply = await stub.Override(pb.OverrideRequest(output="pump", value=7, seconds=60, who="kim", why="repair"))
    assert (reply.output, reply.value, reply.seconds) == ("pump", 7, 60)
    await stub.Override(pb.OverrideRequest(output="valve", value=1, seconds=60, who="kim"))
    await stub.Release(pb.ReleaseRequest(output="valve", who="kim"))
    wishes = hand.decide(Image(()).freeze(SystemClock().monotonic_ns()), ())
    assert [(one.output, one.low, one.why) for one in wishes] == [(1, 7, "kim: repair")]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (pb.OverrideRequest(output="pumpe", value=1, seconds=60), "there are valve, pump"),
        (pb.OverrideRequest(output="pump", value=101, seconds=60), "give 0 to 100"),
        (pb.OverrideRequest(output="pump", value=float("nan"), seconds=60), "is not allowed"),
        (pb.OverrideRequest(output="pump", value=1, seconds=0), "give 1 s to 86400 s"),
        (pb.OverrideRequest(output="pump", value=1, seconds=86_401), "give 1 s to 86400 s"),
    ],
)
async def test_what_a_hand_may_not_do_is_said(stub: LocalStub, request_: pb.OverrideRequest, said: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Override(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in (caught.value.details() or "")


async def test_without_a_loop_nobody_takes_over(tmp_path: Path, newest: Newest) -> None:
    path = tmp_path / "local.sock"
    async with (
        serve(path, newest, lambda: None, SystemClock()),
        grpc.aio.insecure_channel(f"unix:{path}") as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError, match="no control loop runs"):
            await LocalStub(channel).Override(pb.OverrideRequest(output="pump", value=1, seconds=60))


async def test_the_socket_is_for_its_group(socket: Path) -> None:
    assert stat.S_IMODE(socket.stat().st_mode) == 0o660


async def test_a_socket_left_behind_is_replaced_and_a_place_that_is_not_there_said(
    tmp_path: Path, newest: Newest
) -> None:
    path = tmp_path / "local.sock"
    path.write_text("left behind")
    async with serve(path, newest, lambda: None, SystemClock()):
        assert path.is_socket()
    with pytest.raises(OSError, match="missing"):
        async with serve(tmp_path / "missing" / "local.sock", newest, lambda: None, SystemClock()):
            pass


async def test_the_example_client_follows(tmp_path: Path, newest: Newest) -> None:
    path = tmp_path / "local.sock"
    async with serve(path, newest, lambda: None, SystemClock()):
        client = await asyncio.create_subprocess_exec(
            sys.executable, EXAMPLE, path, "valve", "road/*", stdout=asyncio.subprocess.PIPE
        )
        assert client.stdout is not None
        newest.snapshot = snapshot(SystemClock().monotonic_ns() + 3600 * NS)
        lines = [(await client.stdout.readline()).decode() for _ in range(2)]
        client.terminate()
        await client.wait()
    assert lines[0] == "1 valve 42.5 % local level 1.9 m, wanted 2.0 m\n"
    assert lines[1].startswith("1 road/queue do not use")
