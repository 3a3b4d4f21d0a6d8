"""kill -9 of a gateway between receiving and committing, with real processes: what of the messages is in its file."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.simulators.mqtt_broker import MosquittoBroker

TOPIC = "site/meter"
WAIT_S = 40.0
BETWEEN_S = 0.5  # from the first message to the kill, of the second that a commit waits


@dataclass(frozen=True)
class Toll:
    """Of one run: messages sent, readings never stored, readings stored more than once."""

    sent: int
    lost: int
    twice: int


@asynccontextmanager
async def gateway(
    broker: MosquittoBroker, file: Path, version: int, commit_ms: int, ack: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    words = ["-m", "tests.simulators.mqtt_gateway", str(broker.port), str(file), str(version), str(commit_ms), ack]
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def publish(broker: MosquittoBroker, count: int, per_s: float = 0.0) -> None:
    words = ["-m", "tests.simulators.mqtt_publisher", str(broker.port), TOPIC, str(count), "1", str(per_s)]
    process = await asyncio.create_subprocess_exec(sys.executable, *words)
    assert await asyncio.wait_for(process.wait(), WAIT_S) == 0


def stored(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


async def until(file: Path, enough: int, seconds: float) -> None:
    """Wait until that many different readings are stored, or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            while len(set(stored(file))) < enough:
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass


async def crash(broker: MosquittoBroker, file: Path, *, version: int, ack: str, messages: int = 1000) -> Toll:
    """Publish while a gateway that commits each second is killed; the next one must find what it did not store."""
    async with gateway(broker, file, version, 1000, ack) as first:
        sending = asyncio.create_task(publish(broker, messages))
        assert first.stdout is not None
        assert await asyncio.wait_for(first.stdout.readline(), WAIT_S) == b"received\n"
        await asyncio.sleep(BETWEEN_S)  # received, and not yet committed
        first.kill()
        await first.wait()
    await sending
    async with gateway(broker, file, version, 50, ack):
        await until(file, messages, 10.0 if ack == "commit" else 2.0)
    kept = stored(file)
    return Toll(messages, messages - len(set(kept)), len(kept) - len(set(kept)))
