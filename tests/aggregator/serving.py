"""A whole aggregator in the test's own event loop: real files, real sockets on free ports, real TLS."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aggregator.app import App
from aggregator.config import Config
from aggregator.limits import Limits
from aggregator.security import authority, certificates
from aggregator.stores.catalogue import Catalogue
from protos import tls
from protos.clock import Clock, SystemClock

WAIT_S = 10.0


def prepare(state: Path, limits: Limits | None = None) -> Config:
    """What `aggregator init` makes, with free ports."""
    config = Config(
        state / "aggregator.toml",
        state,
        sync_listen="127.0.0.1:0",
        enrolment_listen="127.0.0.1:0",
        limits=limits or Limits(),
    )
    if not config.catalogue.exists():
        authority.create(config.ca, tls.utc(SystemClock().wall_ns()))
        Catalogue(config.catalogue).close()
    return config


@asynccontextmanager
async def serving(config: Config, clock: Clock | None = None) -> AsyncIterator[App]:
    """Serve until the context closes, then stop in good order."""
    app = App(config, clock)
    ready = asyncio.Event()
    running = asyncio.create_task(app.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=WAIT_S)
        if running.done():
            await running
        yield app
    finally:
        waiting.cancel()
        app.stop()
        await asyncio.wait_for(running, WAIT_S)


def with_app(state: Path, body: Callable[[App], Awaitable[None]], limits: Limits | None = None) -> None:
    async def run() -> None:
        async with serving(prepare(state, limits)) as app:
            await body(app)

    asyncio.run(run())


def root_pem(app: App) -> bytes:
    return certificates.pem(app.authority.root)
