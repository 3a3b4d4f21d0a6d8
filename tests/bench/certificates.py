"""`certificates`: every wrong certificate is refused by a real aggregator; a revoked gateway's live stream is cut."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio

from aggregator.security import authority, certificates
from aggregator.security.authority import OwnAuthority
from protos import sync_pb2_grpc
from tests.bench import Figure
from tests.bench.ingest import Aggregator, aggregator
from tests.simulators.fleet import beat, channel, hello
from tests.simulators.identity import enrolled
from tests.simulators.strangers import BAD, Forge, Papers, gets_in

REVOKED_S = 60.0
GATEWAY = "gw-1"


async def admitted(server: Aggregator, forge: Forge) -> list[str]:
    """The names of the wrong papers that got in, or `good` when the right ones did not."""
    root = certificates.pem(forge.own.root)
    inside = [name for name, case in BAD.items() if (await gets_in(server.address, root, case(forge)))[0]]
    good = await gets_in(server.address, root, forge.good())
    return inside + ([] if good[0] else [f"good: {good[1]}"])


async def revoked_after_s(server: Aggregator, root: bytes, papers: Papers) -> float:
    """Seconds from the end of `aggregator gateways revoke` to the end of the live stream; -1 if it got in again."""
    async with channel(server.address, root, papers.key, papers.chain) as link:
        call = sync_pb2_grpc.SyncStub(link).Stream(timeout=REVOKED_S + 10)
        await call.write(hello(papers.claims))
        await call.read()
        config = str(server.state / "aggregator.toml")
        words = [sys.executable, "-m", "aggregator.cli", "gateways", "revoke", papers.claims, "-c", config]
        beating = asyncio.create_task(beats(call, papers.claims))
        await asyncio.to_thread(subprocess.run, words, check=True, capture_output=True, timeout=60)
        began = time.monotonic()
        while (await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            pass
        took = time.monotonic() - began
        beating.cancel()
    inside, _ = await gets_in(server.address, root, papers)
    return -1.0 if inside else took


async def beats(call: grpc.aio.StreamStreamCall, gateway: str) -> None:  # type: ignore[type-arg]
    try:
        while True:
            await call.write(beat(gateway))
            await asyncio.sleep(1.0)
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        return


def run(scale: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        directory, now = Path(name), datetime.now(UTC)
        with aggregator(directory) as server:
            own, root_key = OwnAuthority.load(server.state / "ca"), authority.load_key(server.state / "ca" / "root.key")
            forge = Forge(own, root_key, authority.create(directory / "other", now), now, GATEWAY)
            inside = asyncio.run(admitted(server, forge))
            yield Figure("certificates", len(BAD) - len(inside), "refused", f"all {len(BAD)} refused", not inside)
            papers = asyncio.run(enrolled(server.state, GATEWAY))
            took = asyncio.run(revoked_after_s(server, certificates.pem(own.root), papers))
            goal = f"<= {REVOKED_S:g} s from the verb to the end of the live stream"
            yield Figure("revocation", round(took, 2), "s", goal, 0 <= took <= REVOKED_S)
