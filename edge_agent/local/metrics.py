"""Prometheus: an HTTP endpoint, or a text file for node_exporter's textfile collector."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

log = logging.getLogger(__name__)
REQUEST_BYTES_MAX = 8192  # a scrape's request is a few hundred bytes
REQUEST_S = 5.0


@asynccontextmanager
async def serve(host: str, port: int, text: Callable[[], str]) -> AsyncIterator[int]:
    """Answer `GET /metrics`; yields the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
            writer.write(response(head, text))
            await asyncio.wait_for(writer.drain(), REQUEST_S)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(answer, host, port, limit=REQUEST_BYTES_MAX)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def response(head: bytes, text: Callable[[], str]) -> bytes:
    path = [*head.split(b" ", 2), b"", b""][1]
    found = head.startswith(b"GET ") and path.split(b"?")[0] == b"/metrics"
    body = text().encode() if found else b"see /metrics\n"
    status = b"200 OK" if found else b"404 Not Found"
    return (
        b"HTTP/1.1 %b\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" % status
        + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        + body
    )


def write(path: Path, text: str) -> None:
    """Replace the text file at once, as the collector asks. A full disk costs a line in the log: whoever writes this
    also feeds the watchdog."""
    beside = path.with_suffix(".tmp")
    try:
        beside.write_text(text)
        os.replace(beside, path)
    except OSError as error:
        log.error("%s cannot be written: %s", path, error)
