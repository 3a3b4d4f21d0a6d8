"""The gRPC service on a Unix socket: each tick's estimates and decisions, and the hand of a person on an output.

Who may open the socket is who may use it: mode 0660, the group of the service. Times are CLOCK_BOOTTIME of this
machine, which both ends share, so that a message that waited somewhere is never taken for news.

    INVALID_ARGUMENT      an output, value, duration or point that there is not; says what there is
    FAILED_PRECONDITION   no control loop runs
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NoReturn

import grpc
import grpc.aio

from edge_agent.local.hands import NO_LOOP, Hands, give_back, take
from edge_agent.local.status import short
from edge_agent.snapshot import Roster, Snapshot
from protos import local_pb2 as pb
from protos import local_pb2_grpc
from protos.clock import NS, Clock

LEAST_MS = 20  # between two messages of a stream: the agent's main loop has other work too
IDLE_NS = NS // 5  # until somebody looks again whether a loop runs
CALLS_MAX = 8  # at once; more are refused: each takes a few per cent of a core in a large cell
REQUEST_BYTES_MAX = 65_536
POINTS_MAX = 1000  # of one request
OPTIONS = [("grpc.max_receive_message_length", REQUEST_BYTES_MAX), ("grpc.so_reuseport", 0)]

Newest = Callable[[], Snapshot | None]
Context = grpc.aio.ServicerContext[object, object]


class Chosen:
    """Which outputs and estimates of a roster a request means. Raises ValueError for what there is not."""

    def __init__(self, points: Sequence[str], roster: Roster) -> None:
        self.roster = roster
        outputs = [{name, point, within(point)} for name, point in zip(roster.outputs, roster.points, strict=True)]
        states = [
            {f"{twin.name}/{state}", f"{twin.name}/*"} for twin in roster.twins for state in twin.states
        ]  # flat, in the roster's order
        if len(points) > POINTS_MAX:
            raise ValueError(f"{len(points)} points: ask for at most {POINTS_MAX}, or for all with none")
        wanted = set(points)
        if unknown := sorted(wanted - set().union(*outputs, *states)):
            there = [*roster.outputs, *(f"{twin.name}/*" for twin in roster.twins)]
            raise ValueError(f"{', '.join(unknown)}: not of this gateway; there are {', '.join(there) or 'none'}")
        self.outputs = [place for place, names in enumerate(outputs) if not wanted or names & wanted]
        self._states = [not wanted or bool(names & wanted) for names in states]

    def readings(self, snapshot: Snapshot) -> Iterator[pb.Reading]:
        for place in self.outputs:
            yield decision(snapshot, place)
        flat = iter(self._states)
        for twin, names in enumerate(self.roster.twins):
            for state in range(len(names.states)):
                if next(flat):
                    yield estimate(snapshot, twin, state)


def within(point: str) -> str:
    return f"{point.partition('/')[0]}/*"


def decision(snapshot: Snapshot, place: int) -> pb.Reading:
    one, until_ns = snapshot.decisions[place], snapshot.decision_until_ns(place)
    device, _, point = snapshot.roster.points[place].partition("/")
    return pb.Reading(
        device=device,
        point=point,
        output=snapshot.roster.outputs[place],
        unit=snapshot.roster.units[place],
        value=one.value,
        applied=snapshot.applied[place].value,
        authority=one.authority.value,
        by=one.by,
        why=one.why,
        model=one.model,
        limited=one.limited,
        source_utc_ns=snapshot.utc_ns or 0,
        not_after_utc_ns=(snapshot.utc(until_ns) or 0) if until_ns else 0,
        not_after_boottime_ns=until_ns,
        tick=snapshot.tick,
    )


def estimate(snapshot: Snapshot, twin: int, state: int) -> pb.Reading:
    names, one = snapshot.roster.twins[twin], snapshot.twins[twin]
    until_ns = snapshot.estimate_until_ns(twin, state)
    return pb.Reading(
        device=names.name,
        point=names.states[state],
        unit=names.units[state],
        value=one.values[state],
        sd=one.sd[state],
        code=int(one.codes[state]),
        model=one.model,
        source_utc_ns=snapshot.utc_ns or 0,
        not_after_utc_ns=(snapshot.utc(until_ns) or 0) if until_ns else 0,
        not_after_boottime_ns=until_ns,
        tick=snapshot.tick,
    )


def tick_of(snapshot: Snapshot, chosen: Chosen) -> pb.Tick:
    return pb.Tick(
        number=snapshot.tick,
        utc_ns=snapshot.utc_ns or 0,
        mode=snapshot.mode.value,
        late=snapshot.late,
        missed=snapshot.missed,
        readings=chosen.readings(snapshot),
    )


def content(tick: pb.Tick) -> bytes:
    """What a tick says apart from when."""
    bare = pb.Tick(mode=tick.mode, readings=tick.readings)
    for one in bare.readings:
        for name in ("source_utc_ns", "not_after_utc_ns", "not_after_boottime_ns", "tick"):
            one.ClearField(name)
    return bare.SerializeToString(deterministic=True)


class Local(local_pb2_grpc.LocalServicer):
    """The service. `hands` is None while no loop runs."""

    def __init__(self, newest: Newest, hands: Callable[[], Hands | None], clock: Clock) -> None:
        self._newest, self._hands, self._clock = newest, hands, clock

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.Tick]:  # noqa: N802
        least_ns = max(request.least_ms, LEAST_MS) * NS // 1000
        chosen, last, said = Chosen((), Roster()), -1, b""
        while True:
            begun_ns = self._clock.monotonic_ns()
            snapshot = self._newest()
            if snapshot is None:
                await self._clock.sleep_until(begun_ns + IDLE_NS)
                continue
            if snapshot.roster is not chosen.roster:
                try:
                    chosen = Chosen(request.points, snapshot.roster)
                except ValueError as error:
                    await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
            if snapshot.tick != last:
                last, tick = snapshot.tick, tick_of(snapshot, chosen)
                if not request.changes_only or content(tick) != said:
                    said = content(tick) if request.changes_only else b""
                    yield tick
            await self._clock.sleep_until(max(begun_ns + least_ns, snapshot.now_ns + snapshot.roster.period_ns))

    async def Override(self, request: pb.OverrideRequest, context: Context) -> pb.HandReply:  # noqa: N802
        hands = await self._present(context)
        lasts_ns, now_ns = request.seconds * NS, self._clock.monotonic_ns()
        try:
            take(hands, request.output, request.value, lasts_ns, request.who, request.why, now_ns)
        except ValueError as error:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return pb.HandReply(output=request.output, value=request.value, seconds=request.seconds)

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.HandReply:  # noqa: N802
        hands = await self._present(context)
        try:
            give_back(hands, request.output, request.who)
        except ValueError as error:
            await refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return pb.HandReply(output=request.output)

    async def _present(self, context: Context) -> Hands:
        hands = self._hands()
        if hands is None:
            await refuse(context, grpc.StatusCode.FAILED_PRECONDITION, NO_LOOP)
        return hands


async def refuse(context: Context, code: grpc.StatusCode, why: str) -> NoReturn:
    await context.abort(code, why)
    raise AssertionError("abort raises")


@asynccontextmanager
async def serve(
    path: Path, newest: Newest, hands: Callable[[], Hands | None], clock: Clock
) -> AsyncIterator[grpc.aio.Server]:
    """Serve at `path` for as long as the context is open. Raises OSError where the socket cannot be made."""
    server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=CALLS_MAX)
    local_pb2_grpc.add_LocalServicer_to_server(Local(newest, hands, clock), server)
    with fresh(path) as address:
        try:
            server.add_insecure_port(f"unix:{address}")
        except RuntimeError as error:
            raise OSError(f"{path}: the local socket cannot be made: {error}") from error
        await server.start()
        os.chmod(path, 0o660)  # its group is who may use it
        try:
            yield server
        finally:
            await server.stop(None)


@contextmanager
def fresh(path: Path) -> Iterator[str]:
    """A short name for the socket at `path`, which nobody holds before and nobody finds after."""
    path.unlink(missing_ok=True)
    try:
        with short(path.parent, path.name) as address:
            yield address
    finally:
        path.unlink(missing_ok=True)
