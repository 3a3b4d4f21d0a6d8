"""A gateway's MQTT side, small enough to be killed often: source → intake → a file that is durable after each commit.

`python -m tests.simulators.mqtt_gateway PORT FILE VERSION COMMIT_MS ACK`, ACK `commit` or `receipt`. It prints `ready`
once it listens and `received` with the first reading, and appends one line per reading `n`.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edge_agent.image import Frame, lay_out
from edge_agent.intake import Intake, Pace
from edge_agent.profile import Broker, Device, Field, MqttManners, PointSpec, Profile
from edge_agent.sources.mqtt import Mqtt
from protos.clock import SystemClock

POINTS = (
    PointSpec("n", "ratio", "1", place=Field("", "n")),
    PointSpec("v", "ratio", "1", place=Field("", "v")),
)


def device(topic: str = "site/meter") -> Device:
    manners = MqttManners(payload="json", stale_s=3600)
    return Device(
        "meter", Profile("test", "test", "energy", "meter", "A", "none", POINTS, mqtt=manners), "b", topic=topic
    )


async def write(path: Path, frames: Sequence[Frame]) -> bool:
    def durable() -> None:
        with path.open("a") as file:
            file.writelines(f"{int(frame.values[0])}\n" for frame in frames if frame.codes is None)
            file.flush()
            os.fsync(file.fileno())

    await asyncio.to_thread(durable)
    return True


async def main(port: str, file: str, version: str, commit_ms: str, ack: str) -> None:
    clock = SystemClock()
    broker = Broker("b", "127.0.0.1", int(port), version=int(version), client_id="gateway-under-test")
    source = Mqtt("g", broker, [device()], clock, ack_after_commit=ack == "commit")
    layouts, image = lay_out(source.wants())
    commit = partial(write, Path(file))
    intake = Intake(lambda frames, now: None, image, commit, clock, Pace(10, int(commit_ms), 100_000))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.run())
        received = asyncio.Event()

        def emit(frame: Frame) -> None:
            received.set()
            intake.emit(frame)

        tasks.create_task(source.run(layouts, emit))
        await source.connected.wait()
        print("ready", flush=True)
        await received.wait()
        print("received", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
