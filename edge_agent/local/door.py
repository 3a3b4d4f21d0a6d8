"""Where a person at the gateway asks a running agent to do something: a Unix socket, one request, one answer.

    → one line of JSON with "bytes": how many follow    → so many bytes
    ← one JSON document, end

The bytes travel instead of a file's name: the agent's sandbox does not see what the person sees.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge_agent.local.status import short

LINE_BYTES_MAX = 4096
REQUEST_S = 10.0  # until a request has arrived: it comes from this machine
ANSWER_S = 60.0  # a trial and a slow disk
Answer = Callable[[Mapping[str, Any], bytes], Awaitable[Mapping[str, object]]]


@asynccontextmanager
async def serve(directory: Path, name: str, answer: Answer, bytes_max: int) -> AsyncIterator[None]:
    """Answer everyone who connects to the socket `name` for as long as the context is open. Mode 0600."""

    async def receive(reader: asyncio.StreamReader) -> tuple[Mapping[str, Any], bytes]:
        request = json.loads(await reader.readuntil(b"\n"))
        size = request["bytes"]
        if not isinstance(size, int) or not 0 <= size <= bytes_max:
            raise ValueError(f"{size} bytes: at most {bytes_max}")
        return request, await reader.readexactly(size)

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                request, body = await receive(reader)
            writer.write(json.dumps(await answer(request, body)).encode())
            await asyncio.wait_for(writer.drain(), REQUEST_S)
        except (ValueError, TypeError, KeyError, EOFError, OSError, TimeoutError, asyncio.LimitOverrunError):
            writer.transport.abort()  # nobody that speaks our language, or nobody any more
        writer.close()

    path = directory / name
    path.unlink(missing_ok=True)
    with short(directory, name) as address:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
    path.chmod(0o600)
    server = await asyncio.start_unix_server(attend, sock=listener, limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def ask(directory: Path, name: str, request: Mapping[str, object], body: bytes = b"") -> Mapping[str, Any] | None:
    """What the running agent answers; None when no agent runs there. Raises OSError for one that does not answer."""
    try:
        with short(directory, name) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(ANSWER_S)
            caller.connect(address)
            caller.sendall(json.dumps({**request, "bytes": len(body)}).encode() + b"\n" + body)
            parts = b"".join(iter(lambda: caller.recv(65536), b""))
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    if not parts:
        raise OSError(f"{directory / name}: the agent did not understand the request: are both of one version?")
    answer: dict[str, Any] = json.loads(parts)
    return answer
