"""What is not yet durable is bounded, and nobody waits for ever."""

import asyncio

from aggregator.ingest.room import Room


def test_full_is_waited_for() -> None:
    async def run() -> None:
        room = Room(100)
        await room.enter(60)
        second = asyncio.create_task(room.enter(60))
        await asyncio.sleep(0)
        assert not second.done()
        await room.leave(60)
        await asyncio.wait_for(second, 1)
        assert room.used == 60
        giant = asyncio.create_task(room.enter(1_000))
        await asyncio.sleep(0)
        assert not giant.done()
        await room.leave(60)
        await asyncio.wait_for(giant, 1)  # alone

    asyncio.run(run())


def test_one_that_is_cancelled_takes_nothing() -> None:
    async def run() -> None:
        room = Room(100)
        await room.enter(100)
        waiting = asyncio.create_task(room.enter(1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await room.leave(100)
        assert room.used == 0

    asyncio.run(run())
