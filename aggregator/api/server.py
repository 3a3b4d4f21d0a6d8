"""The web as one more part of `aggregator serve`: opens its stores, serves until cancelled, ends in good order."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn
from starlette.routing import WebSocketRoute

from aggregator.access.settings import address
from aggregator.api.gate import DoorGate
from aggregator.api.ngsi.joined import Joined
from aggregator.api.page import files
from aggregator.api.parts import Parts
from aggregator.api.site import every_route, site
from aggregator.api.stream import Hub

LOG = logging.getLogger(__name__)
STOP_S = 3  # what open requests get to end
KEEP_ALIVE_S = 30
BACKLOG = 256
HEADER_MAX = 32 << 10  # bytes: cookies, and links with a query


class Quiet(uvicorn.Server):
    """Signals are the aggregator's own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Web:
    """Listens at once; `run` serves. `close` after it."""

    def __init__(self, parts: Parts) -> None:
        """Raises OSError where the port is taken."""
        web = parts.config.web
        host, _, port = web.listen.rpartition(":")
        host = host.strip("[]")
        self.parts = parts
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # who comes and goes is in the audit
        self._socket = listening(host, int(port))
        self.port: int = self._socket.getsockname()[1]
        gate = DoorGate(parts)
        self._hub = Hub(parts, gate)
        self._ngsi = Joined(parts, gate)
        others = [WebSocketRoute("/api/v1/live", self._hub.serve), self._ngsi.mount, *files()]
        app = site(parts, gate, every_route(), others)
        self._server = Quiet(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOP_S,
                h11_max_incomplete_event_size=HEADER_MAX,
                ws_per_message_deflate=False,
                ssl_certfile=web.certificate or None,
                ssl_keyfile=web.key or None,
            )
        )

    @property
    def address(self) -> str:
        """As a browser is given it."""
        web = self.parts.config.web
        return address(web, f"{web.listen.rpartition(':')[0]}:{self.port}")

    def first_link(self) -> str | None:
        """While there is no user yet: where the first one chooses name and password. Valid once."""
        with self.parts.doors() as doors:
            secret = doors.first_link()
        return secret and f"{self.address}/welcome#{secret}"

    async def run(self) -> None:
        """Serve until cancelled."""
        serving = asyncio.ensure_future(self._server.serve([self._socket]))
        beside = [asyncio.create_task(self._hub.run()), asyncio.create_task(self._ngsi.run())]
        try:
            await asyncio.wait([serving, *beside], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._server.should_exit = True
            for one in beside:
                one.cancel()
            await asyncio.gather(serving, asyncio.wait(beside), self.parts.laboratory.close())
        for one in beside:
            if not one.cancelled():
                one.result()  # raises what it raised

    def close(self) -> None:
        self._socket.close()
        self._ngsi.close()


def listening(host: str, port: int) -> socket.socket:
    """TCP said by name: asyncio sends small answers at once (TCP_NODELAY) on such sockets only, else each costs 40 ms.

    Raises OSError.
    """
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        one.listen(BACKLOG)
    except OSError:
        one.close()
        raise
    return one
