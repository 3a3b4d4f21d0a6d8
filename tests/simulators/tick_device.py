"""A Modbus TCP device whose only register tells the time: tenths of a second since the Unix epoch, modulo 65,536.

python -m tests.simulators.tick_device     prints its port

Whoever sees the number later knows how old it is.
"""

import asyncio
import struct
import time

WRAP = 65_536
TENTH_S = 0.1


def ticks(now_s: float) -> int:
    return int(now_s / TENTH_S) % WRAP


def age_s(shown: int, now_s: float) -> float:
    """How long ago a shown number was read, to a tenth."""
    return float((now_s / TENTH_S - shown) % WRAP * TENTH_S)


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            transaction, _, _, unit, function, _, count = struct.unpack(">HHHBBHH", await reader.readexactly(12))
            words = struct.pack(">H", ticks(time.time())) * count
            writer.write(struct.pack(">HHHBBB", transaction, 0, 3 + len(words), unit, function, len(words)) + words)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
