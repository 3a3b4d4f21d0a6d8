"""The link against an aggregator with real certificates on real sockets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.sync import Settings
from edge_agent.sync.faults import Refused, SyncError, Untrusted
from protos import sync_pb2 as pb
from protos.batch import Priority
from protos.clock import NS
from protos.span import Span, ranges
from tests.edge.sync.gateway import NAME, Gateway, OffClock, enrol, gateway, running, until
from tests.simulators.sync_peer import Home, SyncPeer, serve

DAY = 86_400 * NS


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    (tmp_path / "aggregator").mkdir()
    async with serve(tmp_path / "aggregator") as one:
        yield one


@pytest.fixture
async def edge(home: Home, tmp_path: Path) -> Gateway:
    one = gateway(tmp_path / "edge")
    one.state.mkdir()
    await enrol(one, home)
    return one


def kinds(peer: SyncPeer) -> list[str]:
    return [str(message.WhichOneof("body")) for message in peer.heard]


async def test_everything_arrives_once_and_is_marked(home: Home, edge: Gateway) -> None:
    for n in range(100):
        await edge.buffer.put(b"%d" % n * 50)
    async with running(edge):
        await until(edge.buffer, lambda: not edge.buffer.waiting() and len(edge.buffer.settled) == 100)
    assert sorted(one.key for one in home.peer.arrived) == [(1, n) for n in range(1, 101)]
    assert home.peer.stored == {key: kept.blob for key, kept in edge.buffer.kept.items()}
    assert kinds(home.peer)[:2] == ["hello", "clock"]
    assert {"catalogue", "status"} <= set(kinds(home.peer))
    assert {message.gateway for message in home.peer.heard} == {NAME}


async def test_the_hello_tells_where_the_buffer_stands(home: Home, edge: Gateway) -> None:
    for _ in range(5):
        await edge.buffer.put(b"x" * 10)
    edge.buffer.stored |= {(1, 1), (1, 2)}
    async with running(edge):
        await home.peer.until(lambda: len(home.peer.stored) == 3)
    hello = home.peer.heard[0].hello
    assert (hello.epoch, hello.newest_sequence, hello.waiting_epoch, hello.waiting_sequence) == (1, 5, 1, 3)
    assert (hello.backlog_batches, hello.backlog_bytes, hello.boot_id) == (3, 30, edge.clock.boot_id)


async def test_a_lost_ack_is_made_good_by_the_welcome(home: Home, edge: Gateway) -> None:
    keys = [await edge.buffer.put(b"x") for _ in range(10)]
    home.peer.stored = dict.fromkeys(keys[:7], b"x")
    async with running(edge):
        await until(edge.buffer, lambda: not edge.buffer.waiting())
    assert [one.key for one in home.peer.arrived] == keys[7:]


async def test_live_overtakes_the_backlog(home: Home, edge: Gateway) -> None:
    home.peer.ack_delay_s, home.peer.window = 0.02, 8
    for _ in range(200):
        await edge.buffer.put(b"x" * 1000)
    async with running(edge):
        await home.peer.until(lambda: len(home.peer.arrived) > 20)
        live = await edge.buffer.put(b"live")
        await home.peer.until(lambda: live in home.peer.stored)
        before = len(home.peer.arrived)
    assert before < 200
    assert [one.live for one in home.peer.arrived if one.key == live] == [True]
    assert edge.buffer.largest_read <= 256 * 1024


async def test_a_new_catalogue_is_told_at_once(home: Home, edge: Gateway) -> None:
    async with running(edge):
        await home.peer.until(lambda: "catalogue" in kinds(home.peer))
        edge.sync.renew_catalogue(type(home.peer.heard[0].catalogue)(digest=b"two"))
        await home.peer.until(lambda: kinds(home.peer).count("catalogue") == 2)
    assert home.peer.heard[-1].catalogue.digest == b"two"


async def test_what_the_aggregator_lost_is_sent_again_or_named(home: Home, edge: Gateway) -> None:
    keys = [await edge.buffer.put(b"x") for _ in range(60)]
    async with running(edge):
        await until(edge.buffer, lambda: not edge.buffer.waiting())
        home.peer.stored.clear()
        del edge.buffer.kept[1, 3], edge.buffer.kept[1, 4]
        home.peer.answers.put_nowait(pb.ToGateway(resend=pb.Resend(ranges=ranges([Span(1, 1, 50)]))))
        await home.peer.until(lambda: len(home.peer.stored) == 48 and "unavailable" in kinds(home.peer))
    assert set(home.peer.stored) == {key for key in keys if key[1] <= 50 and key[1] not in (3, 4)}
    gone = next(message.unavailable for message in home.peer.heard if message.HasField("unavailable"))
    assert [(one.epoch, one.first, one.last) for one in gone.ranges] == [(1, 3, 4)]


async def test_a_refused_batch_is_marked_and_never_sent_again(home: Home, edge: Gateway) -> None:
    keys = [await edge.buffer.put(b"x") for _ in range(4)]
    home.peer.refuse = {keys[1]: "other bytes under the same key"}
    async with running(edge):
        await until(edge.buffer, lambda: not edge.buffer.waiting())
    async with running(edge):
        await home.peer.until(lambda: home.peer.streams == 2 and "hello" in kinds(home.peer)[4:])
        await edge.buffer.put(b"y")
        await until(edge.buffer, lambda: not edge.buffer.waiting())
    assert edge.buffer.refused == {keys[1]: "other bytes under the same key"}
    assert [one.key for one in home.peer.arrived].count(keys[1]) == 1
    assert edge.sync.gauges()["batches_refused_total"] == 1


async def test_a_batch_that_is_too_large_is_refused_here(home: Home, edge: Gateway) -> None:
    home.peer.batch_max = 100
    await edge.buffer.put(b"x" * 101)
    await edge.buffer.put(b"x" * 100)
    async with running(edge):
        await until(edge.buffer, lambda: not edge.buffer.waiting())
    assert list(edge.buffer.refused) == [(1, 1)]
    assert list(home.peer.stored) == [(1, 2)]


async def test_orders_come_through_and_receipts_go_back(home: Home, edge: Gateway) -> None:
    async with running(edge):
        await home.peer.until(lambda: "status" in kinds(home.peer))
        home.peer.answers.put_nowait(pb.ToGateway(order=pb.Order(id="o1", gateway=NAME)))
        home.peer.answers.put_nowait(pb.ToGateway(heartbeat=pb.Heartbeat()))
        edge.sync.receipt(pb.OrderReceipt(order_id="o1", outcome="rejected"))
        await home.peer.until(lambda: "receipt" in kinds(home.peer))
        await home.peer.until(lambda: bool(edge.orders))
    assert isinstance(edge.orders[0], pb.Order)
    assert edge.orders[0].id == "o1"


async def test_a_peer_that_falls_silent_is_given_up_in_time(home: Home, edge: Gateway) -> None:
    home.peer.heartbeat_ms = 200  # four of them: 0.8 s; with the default of one second it is four
    await edge.buffer.put(b"x")
    async with running(edge):
        await home.peer.until(lambda: len(home.peer.stored) == 1)
        begun = asyncio.get_running_loop().time()
        home.peer.silent.set()
        await home.peer.until(lambda: home.peer.streams == 2)
        took = asyncio.get_running_loop().time() - begun
        home.peer.silent.clear()
        await edge.buffer.put(b"y")
        await home.peer.until(lambda: len(home.peer.stored) == 2, 20.0)
    assert took < 0.8 + 0.2 + 0.5 + 0.5  # silence, the last beat before it, back-off, leeway
    assert edge.sync.gauges()["dead_peers_total"] >= 1


async def test_an_aggregator_that_refuses_is_asked_again(home: Home, edge: Gateway) -> None:
    home.peer.refusal = "no room"
    await edge.buffer.put(b"x")
    async with running(edge):
        await home.peer.until(lambda: home.peer.streams >= 2)
        assert "no room" in edge.sync.counts.last_error
        home.peer.refusal = ""
        await home.peer.until(lambda: bool(home.peer.stored))


async def test_an_epoch_used_in_an_earlier_life_is_left(home: Home, edge: Gateway) -> None:
    home.peer.stored = {(1, n): b"old" for n in range(1, 10)}
    await edge.buffer.put(b"mine")
    async with running(edge):
        await home.peer.until(lambda: (1, 1) in [one.key for one in home.peer.arrived])
        assert edge.buffer.epoch == 2
        await edge.buffer.put(b"next")
        await home.peer.until(lambda: (2, 1) in home.peer.stored)


@pytest.mark.parametrize("off_ns", [-56 * 365 * DAY, -30 * DAY, -3600 * NS, 3600 * NS, 365 * DAY])
async def test_a_wrong_clock_comes_in_without_hands(home: Home, edge: Gateway, off_ns: int) -> None:
    """Enrolled in good times, rebooted with a wrong clock."""
    (edge.state / "time.json").unlink()
    one = gateway(edge.state, clock=OffClock(off_ns))
    await one.buffer.put(b"x")
    async with running(one):
        await home.peer.until(lambda: bool(home.peer.stored))
        true_ns = one.clock.wall_ns() - off_ns
        anchor = one.sync.anchor()
        assert abs(anchor.utc_ns(one.clock.monotonic_ns()) - true_ns) < NS
        assert anchor.error_ns < NS
    reading = next(message.clock for message in home.peer.heard if message.HasField("clock"))
    assert abs(reading.offset_ns + one.clock.monotonic_ns() - true_ns) < NS


async def test_a_wrong_clock_can_enrol(home: Home, tmp_path: Path) -> None:
    one = gateway(tmp_path / "new", clock=OffClock(-56 * 365 * DAY))
    one.state.mkdir()
    await enrol(one, home)
    assert one.identity.facts().gateway == NAME
    assert one.sync.anchor().error_ns < NS


async def test_a_wall_clock_that_steps_while_connected_changes_nothing(home: Home, tmp_path: Path) -> None:
    clock = OffClock()
    one = gateway(tmp_path / "new", clock=clock)
    one.state.mkdir()
    await enrol(one, home)
    async with running(one):
        await home.peer.until(lambda: "status" in kinds(home.peer))
        before = one.sync.anchor().offset_ns
        for step in (3600 * NS, -3600 * NS):
            clock.off_ns = step
            await one.buffer.put(b"x")
            await until(one.buffer, lambda: not one.buffer.waiting())
            assert abs(one.sync.anchor().offset_ns - before) < NS // 10
    assert home.peer.streams == 1


async def test_an_impostor_without_our_root_gets_nothing(home: Home, edge: Gateway, tmp_path: Path) -> None:
    (tmp_path / "impostor").mkdir()
    async with serve(tmp_path / "impostor") as other:
        one = gateway(edge.state, Settings(address=other.sync_address, retry_cap_s=0.2))
        await one.buffer.put(b"x")
        async with running(one):
            await asyncio.wait_for(failed(one), 10)
        assert "certificate refused" in one.sync.counts.last_error
        assert not other.peer.heard


async def test_a_token_is_good_for_its_own_aggregator_only(home: Home, tmp_path: Path) -> None:
    (tmp_path / "impostor").mkdir()
    async with serve(tmp_path / "impostor") as other:
        one = gateway(tmp_path / "new")
        one.state.mkdir()
        home.enrol_address = other.enrol_address  # somebody who sits in between
        with pytest.raises(Untrusted, match="impostor"):
            await enrol(one, home)
    assert not one.identity.exists


async def failed(one: Gateway) -> None:
    while not one.sync.counts.last_error:
        await one.clock.sleep_until(one.clock.monotonic_ns() + NS // 100)


def test_faults_are_one_family() -> None:
    assert issubclass(Refused, SyncError)
    assert Refused("no", final=True).final


async def test_a_bandwidth_cap_holds(home: Home, edge: Gateway) -> None:
    one = gateway(edge.state, Settings(bandwidth_kbit=400, retry_cap_s=0.5))
    for _ in range(20):
        await one.buffer.put(bytes(5000))
    begun = asyncio.get_running_loop().time()
    async with running(one):
        await home.peer.until(lambda: len(home.peer.stored) == 20)
    took = asyncio.get_running_loop().time() - begun
    assert one.sync.gauges()["bytes_sent_total"] > 100_000
    assert took > (100_000 - 2 * 16_384) / 50_000  # all but the burst and the last chunk, at 50 kB/s


async def test_a_metered_link_keeps_readings_for_the_burst_but_not_an_alarm(home: Home, edge: Gateway) -> None:
    one = gateway(edge.state, Settings(metered=True, retry_cap_s=0.5))
    async with running(one):
        await home.peer.until(lambda: "status" in kinds(home.peer))
        await one.buffer.put(b"reading", Priority.TELEMETRY)
        await home.peer.until(lambda: len(home.peer.stored) == 1)  # the first burst is at once
        await one.buffer.put(b"reading", Priority.TELEMETRY)
        with pytest.raises(TimeoutError):
            await home.peer.until(lambda: len(home.peer.stored) == 2, 0.5)
        await one.buffer.put(b"fire", Priority.ALARM)
        await home.peer.until(lambda: len(home.peer.stored) == 3)


async def test_a_line_that_vanishes_under_a_batch_loses_nothing(home: Home, edge: Gateway) -> None:
    """Connections cut again and again while a backlog drains: each batch is there, each in one piece."""
    home.peer.ack_delay_s = 0.01
    one = gateway(edge.state, Settings(retry_cap_s=0.05))
    for n in range(150):
        await one.buffer.put(b"%06d" % n * 2000)
    async with running(one):
        for sofar in (20, 60, 100):
            await home.peer.until(lambda sofar=sofar: len(home.peer.stored) >= sofar)  # type: ignore[misc]
            assert one.sync._stream is not None
            one.sync._stream._call.cancel()
        await until(one.buffer, lambda: not one.buffer.waiting())
    assert home.peer.stored == {key: kept.blob for key, kept in one.buffer.kept.items()}
    assert home.peer.streams == 4


async def test_a_peer_that_acks_what_it_does_not_keep_is_caught(home: Home, edge: Gateway) -> None:
    """Negative control of the counting above."""
    home.peer.ack_lost = 10
    for n in range(50):
        await edge.buffer.put(b"%d" % n)
    async with running(edge):
        await until(edge.buffer, lambda: not edge.buffer.waiting())
    assert home.peer.stored != {key: kept.blob for key, kept in edge.buffer.kept.items()}
