"""MQTT messages lost in a crash, acknowledged after the commit and, beside it, on receipt; and the rate of a flood."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import Figure
from tests.bench.processes import cpu_s
from tests.simulators.mqtt_broker import mosquitto_broker
from tests.simulators.mqtt_crash import Toll, crash, gateway, publish, stored, until

FLOOD = {"full": 100_000, "ci": 20_000}
AT_LEAST = 5_000  # messages per CPU-second


def toll(version: int, ack: str) -> Toll:
    with tempfile.TemporaryDirectory() as name, mosquitto_broker(Path(name) / "broker") as broker:
        return asyncio.run(crash(broker, Path(name) / "stored", version=version, ack=ack))


async def flood(folder: Path, messages: int) -> tuple[float, float, int]:
    """(messages per CPU-second, per second of wall time, lost): JSON, QoS 1, durable each second, then acknowledged."""
    with mosquitto_broker(folder / "broker") as broker:
        async with gateway(broker, folder / "stored", 5, 1000, "commit") as process:
            before, began = cpu_s(process.pid), time.monotonic()
            await publish(broker, messages)
            await until(folder / "stored", messages, 60.0)
            spent, wall = cpu_s(process.pid) - before, time.monotonic() - began
    return messages / spent, messages / wall, messages - len(set(stored(folder / "stored")))


def run(scale: str) -> Iterator[Figure]:
    began = time.monotonic()
    ours = [toll(version, "commit") for version in (4, 5)]
    beside = toll(5, "receipt")
    lost = sum(one.lost for one in ours)
    yield Figure(
        "mqtt-ack",
        lost,
        "messages lost of 1,000 in a crash",
        "0 lost in MQTT 3.1.1 and 5; automatic acknowledgement loses some",
        lost == 0 and beside.lost > 0,
        {"automatic acknowledgement": beside.lost},
        time.monotonic() - began,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        rate, wall, missing = asyncio.run(flood(Path(name), FLOOD[scale]))
    yield Figure(
        "mqtt-flood",
        round(rate),
        "JSON messages per CPU-second, QoS 1, durable",
        f"≥ {AT_LEAST:,}, 0 lost",
        rate >= AT_LEAST and missing == 0,
        {"messages per second": round(wall), "lost": missing},
        time.monotonic() - began,
    )
