"""Bytes that are in memory and not yet durable: a gauge that makes readers wait while it is full."""

import asyncio


class Room:
    """`enter` waits until the bytes fit; one too big for the whole room goes in alone."""

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._left = asyncio.Condition()

    @property
    def used(self) -> int:
        return self._used

    async def enter(self, size: int) -> None:
        async with self._left:
            await self._left.wait_for(lambda: self._used == 0 or self._used + size <= self._size)
            self._used += size

    async def leave(self, size: int) -> None:
        async with self._left:
            self._used -= size
            self._left.notify_all()
