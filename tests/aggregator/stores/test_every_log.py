"""The battery that every log passes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aggregator.stores import STORES, Arrival, Fate, Log, Reject, StoreError, implementation
from protos.batch import Key
from protos.span import Span

EVERY = pytest.mark.parametrize("name", STORES["log"])
pytestmark = EVERY


def arrival(sequence: int, gateway: str = "a", epoch: int = 1, blob: bytes = b"") -> Arrival:
    blob = blob or f"{gateway}/{epoch}/{sequence}".encode()
    return Arrival(Key(gateway, epoch, sequence), 1_000 + sequence, 7, 9, 10, blob)


def with_log(name: str, path: Path, body: Callable[[Log], Awaitable[None]]) -> None:
    async def run() -> None:
        log: Log = implementation("log", name)(path)
        try:
            await body(log)
        finally:
            await log.close()

    asyncio.run(run())


def test_keeps_order_and_every_field(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        assert (log.newest, await log.read(0, 10)) == (0, [])
        outcomes = await log.append([arrival(1), arrival(2), arrival(1, "b")])
        assert [one.fate for one in outcomes] == [Fate.STORED] * 3
        rows = await log.read(0, 10)
        assert (
            [row.position for row in rows] == [one.position for one in outcomes] == sorted({r.position for r in rows})
        )
        first = rows[0]
        assert (first.gateway, first.epoch, first.sequence, first.blob) == ("a", 1, 1, b"a/1/1")
        assert (first.received_ns, first.clock_offset_ns, first.clock_error_ns, first.readings) == (1001, 7, 9, 10)
        assert await log.read(rows[0].position, 1) == rows[1:2]
        assert await log.read(0, 10, max_bytes=1) == rows[:1]
        assert await log.newer(rows[1].position) == log.newest == rows[-1].position

    with_log(name, tmp_path / "log", body)


def test_survives_being_closed(name: str, tmp_path: Path) -> None:
    async def first(log: Log) -> None:
        await log.append([arrival(1), arrival(2)])

    async def second(log: Log) -> None:
        assert log.newest == 2
        assert [one.fate for one in await log.append([arrival(2), arrival(3)])] == [Fate.DUPLICATE, Fate.STORED]
        assert [row.sequence for row in await log.read(0, 10)] == [1, 2, 3]

    with_log(name, tmp_path / "log", first)
    with_log(name, tmp_path / "log", second)


def test_a_key_is_stored_once_for_ever(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        outcomes = await log.append([arrival(1), arrival(1)])
        assert [one.fate for one in outcomes] == [Fate.STORED, Fate.DUPLICATE]
        assert outcomes[1].position == outcomes[0].position
        await log.append([arrival(2)])
        assert await log.trim(log.newest + 1) == 2
        assert (await log.append([arrival(1)]))[0].fate is Fate.DUPLICATE  # though its row is gone
        assert await log.read(0, 10) == []
        assert await log.stored("a") == [Span(1, 1, 2)]
        assert (log.newest, log.trimmed) == (2, 2)

    async def later(log: Log) -> None:
        assert (log.newest, log.trimmed) == (2, 2)
        assert (await log.append([arrival(3)]))[0].position == 3  # positions are never used twice

    with_log(name, tmp_path / "log", body)
    with_log(name, tmp_path / "log", later)


def test_same_key_with_other_bytes_is_kept_aside(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        await log.append([arrival(1)])
        outcome = (await log.append([arrival(1, blob=b"another")]))[0]
        assert outcome.fate is Fate.QUARANTINED
        assert "epoch conflict" in outcome.reason
        assert [row.blob for row in await log.read(0, 10)] == [b"a/1/1"]

    with_log(name, tmp_path / "log", body)


def test_everything_received_is_counted_once(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        await log.append([arrival(1), arrival(2), arrival(2), arrival(1, blob=b"other"), arrival(1, "b")])
        await log.quarantine([Reject("a", 1, 9, 5, "damaged", b"xx"), Reject("a", 1, 9, 5, "damaged", b"xx")])
        a, b = await log.counts()
        assert (a.gateway, a.received, a.stored, a.duplicate, a.quarantined) == ("a", 6, 2, 1, 3)
        assert (b.gateway, b.received, b.stored) == ("b", 1, 1)
        assert all(one.received == one.stored + one.duplicate + one.quarantined for one in (a, b))
        assert (a.readings, a.bytes, a.newest_ns) == (20, 10, 1002)
        assert await log.stored("a") == [Span(1, 1, 2)]  # a quarantined key may still come whole

    with_log(name, tmp_path / "log", body)


def test_a_stored_batch_found_useless_later_is_counted_where_it_ended(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        await log.append([arrival(1), arrival(2)])
        useless = Reject("a", 1, 2, 5, "not for history", b"a/1/2")
        await log.quarantine([useless])
        await log.quarantine([useless])  # a replay finds it again
        (count,) = await log.counts()
        assert (count.received, count.stored, count.quarantined, count.readings) == (2, 1, 1, 10)
        assert (await log.append([arrival(2)]))[0].fate is Fate.DUPLICATE  # and it is not wanted again

    with_log(name, tmp_path / "log", body)


def test_ranges_grow_together_in_any_order(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        for sequence in (5, 1, 2, 9, 4, 3):
            await log.append([arrival(sequence)])
        await log.append([arrival(1, epoch=2)])
        assert await log.stored("a") == [Span(1, 1, 5), Span(1, 9, 9), Span(2, 1, 1)]
        assert await log.pending("a", 4) == [Span(1, 3, 4), Span(2, 1, 1)]
        assert await log.stored("nobody") == []

    with_log(name, tmp_path / "log", body)


def test_a_waiting_reader_wakes(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        waiting = asyncio.ensure_future(log.newer(0))
        await asyncio.sleep(0)
        assert not waiting.done()
        await log.append([arrival(1)])
        assert await asyncio.wait_for(waiting, 5) == 1

    with_log(name, tmp_path / "log", body)


def test_many_writers_at_once_lose_nothing(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        await asyncio.gather(*(log.append([arrival(s, f"g{g}")]) for s in range(1, 51) for g in range(20)))
        assert [await log.stored(f"g{g}") for g in range(20)] == [[Span(1, 1, 50)]] * 20
        rows = await log.read(0, 2_000)
        assert len({(row.gateway, row.sequence) for row in rows}) == 1_000
        assert [row.position for row in rows] == sorted(row.position for row in rows)

    with_log(name, tmp_path / "log", body)


def test_a_cancelled_caller_harms_nobody(name: str, tmp_path: Path) -> None:
    async def body(log: Log) -> None:
        calls = [asyncio.ensure_future(log.append([arrival(s)])) for s in (1, 2)]
        await asyncio.sleep(0)
        calls[0].cancel()
        assert (await calls[1])[0].fate is Fate.STORED
        assert await log.stored("a") == [Span(1, 1, 2)]  # it was on its way: stored, and a duplicate when sent again

    with_log(name, tmp_path / "log", body)


def test_closed_says_so(name: str, tmp_path: Path) -> None:
    async def body() -> None:
        log: Log = implementation("log", name)(tmp_path / "log")
        await log.close()
        with pytest.raises(StoreError, match="closed"):
            await log.append([arrival(1)])

    asyncio.run(body())


def test_no_log_is_told_with_its_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"not a database, for a good while " * 100)
    with pytest.raises(StoreError, match="log"):
        implementation("log", name)(tmp_path / "log")
