"""Streams on a whole aggregator: real TLS, real files, what a gateway sees and what is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from aggregator.app import App
from aggregator.limits import Limits
from aggregator.security import certificates
from aggregator.stores.catalogue import Catalogue
from protos import sync_pb2, sync_pb2_grpc, telemetry_pb2, tls
from protos.span import Span, of
from tests.aggregator.serving import WAIT_S, prepare, root_pem, serving, with_app
from tests.simulators.fleet import BOOT, beat, blob, channel, hello

ME = "gw-1"
EOF = grpc.aio.EOF  # type: ignore[attr-defined]


class Stream:
    """One end of a stream, as a gateway has it."""

    def __init__(self, call: Any, name: str) -> None:
        self._call, self._name = call, name

    async def say(self, **body: Any) -> None:
        await self._call.write(sync_pb2.FromGateway(gateway=self._name, **body))

    async def greet(self, **more: Any) -> sync_pb2.Welcome:
        message = hello(self._name)
        message.hello.MergeFrom(sync_pb2.Hello(**more))
        await self._call.write(message)
        return (await self.hear(lambda one: one.HasField("welcome"))).welcome

    async def send(self, *sequences: int, data: bytes | None = None) -> None:
        for sequence in sequences:
            one = data if data is not None else blob(self._name, sequence, 2, 10)
            await self.say(batch=telemetry_pb2.Batch(epoch=1, sequence=sequence, blob=one, live=True))

    async def hear(self, wanted: Callable[[sync_pb2.ToGateway], bool]) -> sync_pb2.ToGateway:
        async with asyncio.timeout(WAIT_S):
            while (message := await self._call.read()) is not EOF:
                if wanted(message):
                    found: sync_pb2.ToGateway = message
                    return found
        raise AssertionError(f"ended without it: {await self._call.code()} {await self._call.details()}")

    async def acked(self, *sequences: int) -> None:
        """Read until all of them were acknowledged as stored."""
        left = set(sequences)
        while left:
            message = await self.hear(lambda one: one.HasField("ack"))
            left -= {s for span in of(message.ack.stored) for s in range(span.first, span.last + 1)}

    async def ended(self) -> sync_pb2.Refusal:
        return (await self.hear(lambda one: one.HasField("refusal"))).refusal


@asynccontextmanager
async def stream(app: App, name: str = ME, address: str = "") -> AsyncIterator[Stream]:
    key = certificates.new_key()
    leaf = app.authority.gateway(key.public_key(), name, tls.utc(app.clock.wall_ns()))
    papers = certificates.pem(leaf, app.authority.intermediate)
    async with channel(address or app.address("sync"), root_pem(app), certificates.key_pem(key), papers) as link:
        call = sync_pb2_grpc.SyncStub(link).Stream()
        yield Stream(call, name)
        call.cancel()


def test_stored_once_and_told(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            welcome = await one.greet()
            assert (welcome.window_batches, list(welcome.stored)) == (Limits().window_batches, [])
            await one.send(1, 2, 3)
            await one.acked(1, 2, 3)
            await one.send(2)
            await one.acked(2)
        async with stream(app) as again:
            welcome = await again.greet()
            assert (list(of(welcome.stored)), welcome.highest_epoch) == ([Span(1, 1, 3)], 1)
        (count,) = await app.log.counts()
        assert (count.received, count.stored, count.duplicate, count.readings) == (4, 3, 1, 60)

    with_app(tmp_path, body)


def test_what_is_wrong_is_kept_aside_and_told(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            await one.greet()
            await one.send(1)
            await one.acked(1)
            await one.send(9, data=b"nonsense")
            refused = (await one.hear(lambda m: bool(m.ack.refused))).ack.refused[0]
            assert (refused.sequence, bool(refused.reason)) == (9, True)
            await one.send(1, data=blob(ME, 1, 3, 10))
            refused = (await one.hear(lambda m: bool(m.ack.refused))).ack.refused[0]
            assert "epoch conflict" in refused.reason
            await one.send(2)
            await one.acked(2)  # the stream goes on
        (count,) = await app.log.counts()
        assert count.received == count.stored + count.duplicate + count.quarantined == 4

    with_app(tmp_path, body)


def test_a_message_in_anothers_name_ends_the_stream(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            await one.greet()
            await one._call.write(beat("gw-2"))
            refusal = await one.ended()
            assert (refusal.final, "gw-2" in refusal.reason) == (True, True)

    with_app(tmp_path, body)


def test_a_newer_stream_replaces_the_older(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as old:
            await old.greet()
            async with stream(app) as new:
                await new.greet()
                assert "replaced" in (await old.ended()).reason
                await new.send(1)
                await new.acked(1)
                assert len(app.streams) == 1

    with_app(tmp_path, body)


def test_over_its_quota_a_gateway_waits_and_loses_nothing(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one, stream(app, "gw-2") as other:
            await one.greet()
            await other.greet()
            began = app.clock.monotonic_ns()
            await one.send(*range(1, 31))
            await other.send(1)
            await other.acked(1)
            assert app.clock.monotonic_ns() - began < 5 * 10**8  # the quota of one is not another's
            await one.acked(*range(1, 31))
            assert app.clock.monotonic_ns() - began > 5 * 10**8  # 10 at once, 20 more at 25 a second

    with_app(tmp_path, body, Limits(batches_per_s=25, batches_burst=10))


def test_settled_follows_history(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            await one.greet()
            await one.send(1, 2)
            await one.acked(1, 2)
            app.streams.settle(1)
            assert list(of((await one.hear(lambda m: bool(m.ack.settled))).ack.settled)) == [Span(1, 1, 1)]
        async with stream(app) as again:
            assert list(of((await again.greet()).settled)) == [Span(1, 1, 1)]

    with_app(tmp_path, body)


def test_after_a_restore_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            await one.greet(waiting_epoch=1, waiting_sequence=4)
            resend = (await one.hear(lambda m: m.HasField("resend"))).resend
            assert list(of(resend.ranges)) == [Span(1, 1, 3)]
            gone = [telemetry_pb2.Range(epoch=1, first=1, last=2)]
            await one.say(unavailable=sync_pb2.Unavailable(ranges=gone))
            await one.send(3)
            await one.acked(3)
        async with stream(app) as again:
            await again.greet(waiting_epoch=1, waiting_sequence=4)
            await again.send(4)
            await again.acked(4)  # nothing was asked for before this
            assert app.catalogue.unavailable(ME) == [Span(1, 1, 2)]

    with_app(tmp_path, body)


def test_what_a_gateway_tells_is_on_file(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            await one.greet(software="9.9")
            point = telemetry_pb2.Point(device="meter", name="power", unit="W", domain="energy", quantity="power")
            await one.say(catalogue=telemetry_pb2.Catalogue(district="north", points=[point], digest=b"d"))
            await one.say(clock=sync_pb2.ClockReading(boot_id=BOOT, offset_ns=5, error_ns=6, source="ntp"))
            await one.say(status=sync_pb2.Status(gauges={"backlog_batches": 3}, facts={"model": "pi"}))
            await one.send(1)
            await one.acked(1)
            app.intake.flush()
        assert [(p.gateway, p.device, p.name, p.domain) for p in app.catalogue.points()] == [
            (ME, "meter", "power", "energy")
        ]
        known = app.catalogue.gateway(ME)
        assert known is not None
        assert (known.district, known.software, known.catalogue_digest, known.highest_epoch) == (
            "north",
            "9.9",
            b"d",
            1,
        )
        assert len(app.catalogue.clocks(ME)) == 1
        assert (app.fleet[ME].backlog_batches, app.fleet[ME].facts) == (3, {"model": "pi"})

    with_app(tmp_path, body)


def test_a_silent_gateway_is_given_up(tmp_path: Path) -> None:
    async def body(app: App) -> None:
        async with stream(app) as one:
            await one.greet()
            began = app.clock.monotonic_ns()
            assert "silent" in (await one.ended()).reason
            assert app.clock.monotonic_ns() - began < 6 * 10**9

    with_app(tmp_path, body)


def test_stopping_says_goodbye_and_keeps_all(tmp_path: Path) -> None:
    async def run() -> None:
        config = prepare(tmp_path)
        async with serving(config) as app, stream(app) as one:
            await one.greet()
            await one.send(*range(1, 21))
            await one.acked(1)
            app.stop()
            refusal = await one.ended()
            assert (refusal.final, "come back" in refusal.reason) == (False, True)
        async with serving(config) as app, stream(app) as one:
            welcome = await one.greet()
            assert [span.first for span in of(welcome.stored)] == [1]
        assert Catalogue(config.catalogue).gateways()[0].id == ME

    asyncio.run(run())
