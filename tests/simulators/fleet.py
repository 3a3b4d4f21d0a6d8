"""Many gateways in one process, for load on a real aggregator over real mTLS. Not the product's gateway.

    python -m tests.simulators.fleet SPEC.json     one JSON line when connected, one when done

SPEC: address, root, gateways [{id, certificate, key}] (PEM texts), batches (each), rows, points, window, hold_s.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np

from protos import sync_pb2, sync_pb2_grpc, telemetry_pb2
from protos.batch import Batch, Block, Key, Priority, encode
from protos.clock import Anchor
from protos.link import HEARTBEAT_MS, PROTOCOL, SERVER_NAME

BOOT = bytes(range(16))
OFFSET_NS = 1_800_000_000_000_000_000  # UTC - monotonic: the same bytes come of the same arguments
CHANNEL = (("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1))


@dataclass
class Tally:
    sent: int = 0
    stored: int = 0
    refused: int = 0
    beats: int = 0
    refusal: str = ""
    delays_s: list[float] = field(default_factory=list)  # batch sent → acknowledged


def blob(gateway: str, sequence: int, rows: int = 20, points: int = 100, epoch: int = 1) -> bytes:
    """A batch of rows × points readings that drift a little, as a polled device's do."""
    noise = np.random.default_rng(sequence)
    times = np.arange(rows, dtype=np.int64) * 1_000_000_000 + sequence * rows * 1_000_000_000
    base = np.arange(points, dtype=np.float64) + 20.0
    values = np.round(base + noise.normal(0, 0.3, (rows, points)).cumsum(axis=0), 1)
    names = tuple(f"p{number}" for number in range(points))
    block = Block("meter", names, times, times, values, np.zeros((rows, points), dtype=np.uint8))
    anchor = Anchor(BOOT, OFFSET_NS, 1_000_000, "ntp")
    return encode(Batch(Key(gateway, epoch, sequence), Priority.TELEMETRY, anchor, (block,)))


def hello(gateway: str, epoch: int = 1) -> sync_pb2.FromGateway:
    now, wall = time.monotonic_ns(), time.time_ns()
    body = sync_pb2.Hello(protocol=PROTOCOL, software="load", boot_id=BOOT, epoch=epoch, monotonic_ns=now, wall_ns=wall)
    return sync_pb2.FromGateway(gateway=gateway, hello=body)


def beat(gateway: str) -> sync_pb2.FromGateway:
    return sync_pb2.FromGateway(gateway=gateway, heartbeat=sync_pb2.Heartbeat(monotonic_ns=time.monotonic_ns()))


def channel(address: str, root: bytes, key: bytes | None = None, chain: bytes | None = None) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(root, key, chain), CHANNEL)


class Gateway:
    """One stream that says hello, beats, sends its blobs with a window, and counts what comes back."""

    def __init__(self, name: str, blobs: list[bytes], window: int) -> None:
        self.name, self.tally = name, Tally()
        self._blobs, self._window = blobs, asyncio.Semaphore(window)
        self._sent_at: dict[int, float] = {}
        self.done = asyncio.Event()
        self.connected = asyncio.Event()
        self.stop = asyncio.Event()

    async def run(self, link: grpc.aio.Channel, start: asyncio.Event) -> None:
        call = sync_pb2_grpc.SyncStub(link).Stream()
        await call.write(hello(self.name))
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(call))
            await self.connected.wait()
            beating = group.create_task(self._beat(call, start))
            await start.wait()
            for sequence, one in enumerate(self._blobs, 1):
                await self._window.acquire()
                self._sent_at[sequence] = time.monotonic()
                batch = telemetry_pb2.Batch(epoch=1, sequence=sequence, blob=one, live=True)
                await call.write(sync_pb2.FromGateway(gateway=self.name, batch=batch))
                self.tally.sent += 1
            await self.stop.wait()
            beating.cancel()
            await call.done_writing()
            await reading

    async def _beat(self, call: Any, start: asyncio.Event) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), HEARTBEAT_MS / 1000)
            if start.is_set() and not self.done.is_set() and self._blobs:
                continue  # batches are signs of life, and one stream takes one writer
            if self.stop.is_set():
                return
            await call.write(beat(self.name))

    async def _read(self, call: Any) -> None:
        async for message in call:
            kind = message.WhichOneof("body")
            if kind == "welcome":
                self.connected.set()
            elif kind == "heartbeat":
                self.tally.beats += 1
            elif kind == "refusal":
                self.tally.refusal = message.refusal.reason
            elif kind == "ack":
                self._acknowledged(message.ack)
        self.connected.set()
        self.done.set()

    def _acknowledged(self, ack: sync_pb2.Ack) -> None:
        for one in ack.stored:
            for sequence in range(one.first, one.last + 1):
                self.tally.delays_s.append(time.monotonic() - self._sent_at.pop(sequence))
                self.tally.stored += 1
                self._window.release()
        self.tally.refused += len(ack.refused)
        if self.tally.stored + self.tally.refused >= len(self._blobs):
            self.done.set()


async def connections(spec: dict[str, Any], gateways: list[Gateway]) -> AsyncIterator[grpc.aio.Channel]:
    for one, _ in zip(spec["gateways"], gateways, strict=True):
        yield channel(spec["address"], spec["root"].encode(), one["key"].encode(), one["certificate"].encode())


async def main(spec: dict[str, Any]) -> None:
    names = [one["id"] for one in spec["gateways"]]
    count, rows, points = spec.get("batches", 0), spec.get("rows", 20), spec.get("points", 100)
    gateways = [
        Gateway(name, [blob(name, s, rows, points) for s in range(1, count + 1)], spec.get("window", 64))
        for name in names
    ]
    start = asyncio.Event()
    links = [link async for link in connections(spec, gateways)]
    async with asyncio.TaskGroup() as group:
        for at, (gateway, link) in enumerate(zip(gateways, links, strict=True)):
            group.create_task(gateway.run(link, start))
            if at % 20 == 19:  # handshakes cost the server CPU: a real fleet comes back with jitter
                await asyncio.wait_for(gateway.connected.wait(), 30)
        await asyncio.gather(*(gateway.connected.wait() for gateway in gateways))
        print(json.dumps({"connected": len(gateways)}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # the bench says go
        start.set()
        began = time.monotonic()
        if count:
            await asyncio.gather(*(gateway.done.wait() for gateway in gateways))
        took = time.monotonic() - began
        if hold := spec.get("hold_s", 0):
            await asyncio.sleep(hold)
        for gateway in gateways:
            gateway.stop.set()
    print(json.dumps(summary(gateways, took, rows * points)), flush=True)
    await asyncio.gather(*(link.close(None) for link in links))


def summary(gateways: list[Gateway], took: float, readings: int) -> dict[str, Any]:
    tallies = [one.tally for one in gateways]
    delays = sorted(delay for one in tallies for delay in one.delays_s)
    stored = sum(one.stored for one in tallies)
    return {
        "seconds": took,
        "stored": stored,
        "refused": sum(one.refused for one in tallies),
        "beats": sum(one.beats for one in tallies),
        "refusals": sorted({one.refusal for one in tallies if one.refusal}),
        "readings_per_s": stored * readings / took if took else 0.0,
        "p99_ms": delays[int(0.99 * (len(delays) - 1))] * 1000 if delays else 0.0,
    }


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
