"""What was acknowledged is on disk, whenever the aggregator is killed."""

import asyncio
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import pytest

from aggregator.security import certificates
from aggregator.security.authority import OwnAuthority
from aggregator.stores.log import SqliteLog
from protos import sync_pb2, sync_pb2_grpc, telemetry_pb2, tls
from protos.clock import SystemClock
from protos.span import of
from tests.aggregator.serving import prepare
from tests.simulators.fleet import blob, channel, hello
from tests.simulators.strangers import Papers

GATEWAY = "gw-1"
BATCHES, ENOUGH = 400, 40
TEXT = '[aggregator]\nstate_dir = "."\n[sync]\nlisten = "127.0.0.1:0"\n[enrolment]\nlisten = "127.0.0.1:0"\n'


def papers(own: OwnAuthority) -> Papers:
    key, now = certificates.new_key(), tls.utc(SystemClock().wall_ns())
    leaf = own.gateway(key.public_key(), GATEWAY, now)
    return Papers(certificates.pem(leaf, own.intermediate), certificates.key_pem(key), GATEWAY)


async def acknowledged(process: subprocess.Popen[str], address: str, own: OwnAuthority) -> set[int]:
    """Send fast, kill the aggregator after a few acks, and return every sequence that it ever acknowledged."""
    one, acked = papers(own), set[int]()
    blobs = [blob(GATEWAY, sequence, 2, 10) for sequence in range(1, BATCHES + 1)]
    async with channel(address, certificates.pem(own.root), one.key, one.chain) as link:
        call = sync_pb2_grpc.SyncStub(link).Stream(timeout=30)
        await call.write(hello(GATEWAY))
        await call.read()
        sending = asyncio.create_task(send(call, blobs))
        try:
            while (message := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                for span in of(message.ack.stored):
                    acked.update(range(span.first, span.last + 1))
                if len(acked) >= ENOUGH and process.poll() is None:
                    process.kill()
        except grpc.aio.AioRpcError:
            pass
        await asyncio.gather(sending, return_exceptions=True)
    return acked


async def send(call: grpc.aio.StreamStreamCall, blobs: list[bytes]) -> None:  # type: ignore[type-arg]
    for sequence, one in enumerate(blobs, 1):
        batch = telemetry_pb2.Batch(epoch=1, sequence=sequence, blob=one, live=True)
        await call.write(sync_pb2.FromGateway(gateway=GATEWAY, batch=batch))


async def kept(path: Path) -> set[int]:
    log = SqliteLog(path)
    try:
        return {row.sequence for row in await log.read(0, 10_000)}
    finally:
        await log.close()


@pytest.mark.parametrize("promise", ["kept", "broken"])
def test_killed_after_an_ack(promise: str, tmp_path: Path) -> None:
    config = prepare(tmp_path / "state")
    config.path.write_text(TEXT)
    serve = ["-m", "aggregator.cli", "serve"] if promise == "kept" else ["-m", "tests.simulators.hasty"]
    with subprocess.Popen([sys.executable, *serve, str(config.path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[1]
            acked = asyncio.run(acknowledged(process, address, OwnAuthority.load(config.ca)))
        finally:
            process.kill()
    lost = acked - asyncio.run(kept(config.log))
    assert len(acked) >= ENOUGH
    assert bool(lost) == (promise == "broken")
