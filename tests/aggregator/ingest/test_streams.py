"""All streams: the newest of a gateway wins, the silent and the revoked end, none starves for news."""

import asyncio

from aggregator.ingest.line import Line
from aggregator.ingest.streams import HANG_UP_BEATS, Streams
from aggregator.limits import NS, Limits


def line(gateway: str = "gw-1") -> Line:
    return Line(gateway, gateway, 2**62, Limits(), 0)


def test_the_newest_stream_wins() -> None:
    streams, old, new = Streams(2), line(), line()
    assert streams.join(old)
    assert streams.join(new)
    assert old.end_reason is not None
    streams.leave(old)
    assert list(streams) == [new]
    streams.leave(new)
    assert len(streams) == 0


def test_there_is_an_end_to_the_room() -> None:
    streams = Streams(1)
    assert streams.join(line("a"))
    assert not streams.join(line("b"))
    assert streams.join(line("a"))


def test_silence_ends_a_stream_within_five_seconds() -> None:
    streams, quiet, lively, waiting = Streams(9), line("a"), line("b"), line("c")
    waiting.throttled = True
    for one in (quiet, lively, waiting):
        streams.join(one)
    for second in range(1, 6):
        lively.heard_ns = second * NS
        streams.beat(second * NS, 0)
    assert "silent" in (quiet.end_reason or "")
    assert lively.end_reason is None
    assert waiting.end_reason is None  # we are not reading it: over its quota


def test_one_that_does_not_take_its_last_message_is_cut() -> None:
    async def run() -> bool:
        streams, one = Streams(9), line()
        one.writer = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
        streams.join(one)
        one.end("revoked")
        for beat in range(HANG_UP_BEATS):
            streams.beat(beat * NS, 0)
        await asyncio.wait([one.writer])
        return one.writer.cancelled()

    assert asyncio.run(run())


def test_cut_tells_whom_and_why_once() -> None:
    streams = Streams(9)
    for name in ("a", "b"):
        streams.join(line(name))
    why = {"b": "stolen"}
    assert streams.cut(lambda one: why.get(one.serial, "")) == [("b", "stolen")]
    assert streams.cut(lambda one: why.get(one.serial, "")) == []


def test_history_moves_only_forward() -> None:
    streams = Streams(9)
    streams.settle(5)
    streams.settle(3)
    assert streams.checkpoint == 5
