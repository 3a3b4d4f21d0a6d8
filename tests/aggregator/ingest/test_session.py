"""The rules of a stream: who may say what when, what a batch must be, and which clock it goes by."""

from collections.abc import Iterable

import pytest

from aggregator.ingest.session import UNKNOWN_NS, Breach, Session
from aggregator.limits import NS, Limits
from aggregator.stores import Arrival, Reject
from aggregator.stores.catalogue import ClockRow
from protos import sync_pb2, telemetry_pb2
from protos.clock import Anchor
from protos.span import Span
from tests.simulators.fleet import BOOT, blob

ME = "gw-1"
UTC_NS = 1_800_000_000 * NS


def hello(protocol: int = 1, epoch: int = 3, waiting: tuple[int, int] = (0, 0)) -> sync_pb2.FromGateway:
    body = sync_pb2.Hello(
        protocol=protocol,
        epoch=epoch,
        boot_id=BOOT,
        monotonic_ns=50 * NS,
        waiting_epoch=waiting[0],
        waiting_sequence=waiting[1],
    )
    return sync_pb2.FromGateway(gateway=ME, hello=body)


def session(
    clocks: Iterable[ClockRow] = (), limits: Limits | None = None, greeting: sync_pb2.FromGateway | None = None
) -> Session:
    one = Session(ME, limits or Limits(), clocks)
    one.admit(greeting or hello(), UTC_NS)
    return one


def batch(data: bytes, epoch: int = 1, sequence: int = 7) -> telemetry_pb2.Batch:
    return telemetry_pb2.Batch(epoch=epoch, sequence=sequence, blob=data)


def test_hello_first_and_once() -> None:
    beat = sync_pb2.FromGateway(gateway=ME, heartbeat=sync_pb2.Heartbeat())
    one = Session(ME, Limits())
    with pytest.raises(Breach, match="before hello"):
        one.admit(beat, UTC_NS)
    assert one.admit(hello(), UTC_NS) == "hello"
    assert one.admit(beat, UTC_NS) == "heartbeat"
    with pytest.raises(Breach, match="twice"):
        one.admit(hello(), UTC_NS)


@pytest.mark.parametrize("name", ["gw-2", "", "GW-1", "gw-1 "])
def test_every_message_in_its_own_name(name: str) -> None:
    with pytest.raises(Breach, match="in the name of") as caught:
        session().admit(sync_pb2.FromGateway(gateway=name, heartbeat=sync_pb2.Heartbeat()), UTC_NS)
    assert caught.value.final


@pytest.mark.parametrize(("greeting", "told"), [(hello(protocol=2), "protocol 2"), (hello(epoch=0), "epoch from 1")])
def test_hello_it_cannot_speak_with(greeting: sync_pb2.FromGateway, told: str) -> None:
    with pytest.raises(Breach, match=told):
        session(greeting=greeting)


def test_no_body() -> None:
    with pytest.raises(Breach, match="without a body"):
        session().admit(sync_pb2.FromGateway(gateway=ME), UTC_NS)


def test_a_good_batch_goes_on_unchanged() -> None:
    data = blob(ME, 7)
    judged = session().judge(batch(data), UTC_NS)
    assert isinstance(judged, Arrival)
    assert (judged.blob, judged.readings, judged.key.sequence, judged.received_ns) == (data, 2_000, 7, UTC_NS)


def test_what_cannot_go_into_the_log() -> None:
    data = blob(ME, 7)
    flipped = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    for wrong in (b"", b"x" * 50, data[:-1], flipped, data + b"x"):
        judged = session().judge(batch(wrong), UTC_NS)
        assert isinstance(judged, Reject)
        assert (judged.epoch, judged.sequence, judged.blob) == (1, 7, wrong)
        assert judged.reason
    for epoch, sequence, owner in ((1, 8, ME), (2, 7, ME), (1, 7, "gw-2")):
        judged = session().judge(batch(blob(owner, 7), epoch, sequence), UTC_NS)
        assert isinstance(judged, Reject)
        assert "its own key" in judged.reason


def test_limits_are_told() -> None:
    data = blob(ME, 7)
    for limits, told in ((Limits(batch_bytes=100), "at most 100"), (Limits(batch_raw_bytes=1_000), "unpacks to")):
        judged = session(limits=limits).judge(batch(data), UTC_NS)
        assert isinstance(judged, Reject)
        assert told in judged.reason


@pytest.mark.parametrize(("epoch", "sequence"), [(0, 1), (1, 0), (2**63, 1), (1, 2**64 - 1)])
def test_keys_that_no_store_holds(epoch: int, sequence: int) -> None:
    with pytest.raises(Breach, match="epoch and sequence"):
        session().judge(batch(b"", epoch, sequence), UTC_NS)


def reading(offset_ns: int, error_ns: int, boot: bytes = BOOT) -> sync_pb2.ClockReading:
    return sync_pb2.ClockReading(boot_id=boot, offset_ns=offset_ns, error_ns=error_ns, source="aggregator")


OFFSET_NS = UTC_NS - 50 * NS  # by the hello, delay included


def test_the_better_clock_is_chosen() -> None:
    one = session([ClockRow(b"o" * 16, 5, 100, "aggregator")])
    assert one.clock(Anchor(b"o" * 16, 7, 50, "ntp")) == (7, 50)
    assert one.clock(Anchor(b"o" * 16, 7, 200, "wall")) == (5, 100)
    assert one.clock(Anchor(b"n" * 16, 7, -1, "none")) == (7, UNKNOWN_NS)
    one.take_clock(reading(OFFSET_NS - NS, 1_000))
    assert one.clock(Anchor(BOOT, 0, 10**9, "wall")) == (OFFSET_NS - NS, 1_000)


def test_a_clock_that_the_hello_contradicts_is_doubted() -> None:
    one = session()
    assert one.take_clock(reading(OFFSET_NS - 2 * NS, 1_000)).error_ns == 1_000  # two seconds on the way: may be
    for off in (3_600 * NS, -3_600 * NS):
        assert session().take_clock(reading(OFFSET_NS + off, 1_000)).error_ns == 3_600 * NS


@pytest.mark.parametrize("wrong", [reading(0, -1), reading(0, 1, b"short")])
def test_a_clock_that_is_none(wrong: sync_pb2.ClockReading) -> None:
    with pytest.raises(Breach, match="clock reading"):
        session().take_clock(wrong)


def test_only_what_was_acknowledged_and_is_gone_is_asked_for() -> None:
    stored = [Span(1, 1, 5), Span(1, 9, 9), Span(3, 1, 4)]
    assert session().lost(stored, []) == []  # it did not say what waits
    one = session(greeting=hello(waiting=(3, 8)))
    assert one.lost(stored, []) == [Span(1, 6, 8), Span(3, 5, 7)]
    assert one.lost(stored, [Span(1, 6, 7)]) == [Span(1, 8, 8), Span(3, 5, 7)]
    assert one.lost([*stored[:2], Span(3, 1, 7)], [Span(1, 6, 8)]) == []
