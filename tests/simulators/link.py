"""A TCP link that can be broken: forwards to one address until told otherwise. A process of its own.

    python -m tests.simulators.link HOST:PORT       prints its port as JSON, then obeys lines on standard input:
        pass      forward
        refuse    close everything and refuse connections
        hole      half-open: keep connections, accept new ones, swallow everything in both directions
        slow N    forward, at most N bytes a second towards the target
        quit      end
Each order is answered with one line of JSON: what it did, when (monotonic seconds), connections, bytes so far.
"""

import asyncio
import contextlib
import json
import sys
import time

CHUNK = 16_384
BACKLOG = 16


class Link:
    """One listener; all connections share its state."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._hole = False
        self._rate = 0.0
        self._free_at = 0.0  # when the next bytes may leave, at `_rate`
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.bytes = {"up": 0, "down": 0}

    async def listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, backlog=BACKLOG)
            self.port = self._server.sockets[0].getsockname()[1]

    async def obey(self, order: str) -> None:
        """Raises ValueError for an order that it does not know."""
        word, _, number = order.partition(" ")
        if word == "pass" or word == "slow":
            if self._hole:  # what was swallowed is missing in every stream: they cannot go on
                self._cut()
            self._rate, self._hole = float(number or 0), False
            await self.listen()
        elif word == "hole":
            self._hole = True
            await self.listen()
        elif word == "refuse":
            if self._server is not None:
                self._server.close()
                self._server = None
            self._hole = False
            self._cut()
        else:
            raise ValueError(f"{order!r}: pass, refuse, hole, slow N or quit")

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far = None
        try:
            far_reader, far = await asyncio.open_connection(*self._target)
            self._writers.add(far)
            up = asyncio.create_task(self._pump(reader, far, "up"))
            down = asyncio.create_task(self._pump(far_reader, writer, "down"))
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            down.cancel()
        except OSError:
            pass
        finally:
            for one in filter(None, (writer, far)):
                self._writers.discard(one)
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._hole:
                    continue
                if self._rate and way == "up":
                    now = time.monotonic()
                    self._free_at = max(now, self._free_at) + len(data) / self._rate
                    await asyncio.sleep(self._free_at - now)
                self.bytes[way] += len(data)
                writer.write(data)
                await writer.drain()

    def report(self, order: str) -> str:
        return json.dumps({"did": order, "at": time.monotonic(), "connections": len(self._writers), **self.bytes})


async def main(target: str) -> None:
    host, _, port = target.rpartition(":")
    link = Link(host, int(port))
    await link.listen()
    print(json.dumps({"port": link.port}), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while (line := (await orders.readline()).decode().strip()) and line != "quit":
        await link.obey(line)
        print(link.report(line), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
