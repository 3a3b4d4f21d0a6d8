"""The status of a running agent over a Unix socket in its state directory: connect, read one JSON document, done."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

SOCKET = "status.sock"
ANSWER_S = 5.0  # an agent that does not answer by then is not well


@contextmanager
def short(directory: Path, name: str = SOCKET) -> Iterator[str]:
    """A short path of a socket: a Unix socket's address may hold 107 bytes, a state directory's name more."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


@asynccontextmanager
async def serve(directory: Path, report: Callable[[], Mapping[str, object]]) -> AsyncIterator[None]:
    """Answer everyone who connects with `report()`, for as long as the context is open. Mode 0600."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(report(), default=str).encode())
        try:
            await asyncio.wait_for(writer.drain(), ANSWER_S)
        except (TimeoutError, ConnectionError):
            writer.transport.abort()
        writer.close()

    path = directory / SOCKET
    path.unlink(missing_ok=True)
    with short(directory) as address:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
    path.chmod(0o600)
    server = await asyncio.start_unix_server(answer, sock=listener)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def ask(directory: Path) -> dict[str, object] | None:
    """The running agent's report; None when no agent runs there."""
    try:
        with short(directory) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(ANSWER_S)
            caller.connect(address)
            parts = b"".join(iter(lambda: caller.recv(65536), b""))
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    answer: dict[str, object] = json.loads(parts)
    return answer
