"""The broker as a service of its own, on this machine only: for trials and conformance suites. Nobody is refused."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from aggregator.api.ngsi.app import alone
from aggregator.api.ngsi.broker import Broker, Settings
from aggregator.api.ngsi.sender import Sender
from aggregator.stores import StoreError
from aggregator.stores.ngsi import NgsiStore

FILE = "ngsi.sqlite"
STOP_S = 3
HEADER_MAX = 64 << 10  # bytes: queries in URLs are long


class Loopback(ValueError):
    """An address that others could reach."""


def address(text: str) -> tuple[str, int]:
    """host, port. Raises Loopback, ValueError."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise Loopback(
            f"{text}: there is no access control here, so only this machine may be listened on: 127.0.0.1:9090;"
            " for others there is [web] of `aggregator serve`"
        )
    return host, int(port)


async def serve(listen: str, state: Path, settings: Settings, ready: Callable[[int], None]) -> None:
    """Until SIGTERM or SIGINT; `ready` is told the port. Raises StoreError, Loopback, OSError."""
    host, port = address(listen)
    store = opened(state)
    broker = Broker(store, settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family)
    server = uvicorn.Server(
        uvicorn.Config(
            alone(broker),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=HEADER_MAX,
        )
    )
    try:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(Sender(broker).run())
            ready(listening.getsockname()[1])
            await server.serve([listening])
            sending.cancel()
    finally:
        listening.close()
        broker.close()


def opened(state: Path) -> NgsiStore:
    """Raises StoreError."""
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{state}: {error.strerror}; name a directory that may be written to") from error
    return NgsiStore(state / FILE)
