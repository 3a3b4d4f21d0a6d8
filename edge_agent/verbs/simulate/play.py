"""Playing the devices that were asked for until told to stop."""

import argparse
import asyncio
import json
import signal
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.config import Library
from edge_agent.profile import Profile
from edge_agent.verbs.simulate.actuators import ActuatorLog
from edge_agent.verbs.simulate.endpoint import FAULTS, Line, listen
from edge_agent.verbs.simulate.followed import Follow, Followed, nobody
from edge_agent.verbs.simulate.memory import Memory
from edge_agent.verbs.simulate.payloads import messages

UNITS_MAX = 247
CONNECT_S = 10.0  # to the broker
PERIOD_MAX_S = 60.0  # a profile's own period may be a day; nobody waits so long for a simulated device


@dataclass(frozen=True, slots=True)
class Played:
    profile: Profile
    unit: int
    topic: str
    seed: str

    @property
    def word(self) -> str:
        """As it is asked for, and named in a file that it follows."""
        return f"{self.profile.id}={self.topic}" if self.topic else f"{self.profile.id}@{self.unit}"


def wanted(words: Sequence[str], library: Library, seed: int) -> Iterator[Played]:
    """The devices asked for; units that are not given count up from 1. Raises ConfigError, ValueError."""
    heads = [word.partition("=")[0] for word in words]
    taken = {int(head.partition("@")[2] or 0) for head in heads}
    free = (unit for unit in range(1, UNITS_MAX + 1) if unit not in taken)
    for word, head in zip(words, heads, strict=True):
        name, _, given = head.partition("@")
        profile = library.get(name)
        if given and not 1 <= int(given) <= UNITS_MAX:
            raise ValueError(f"{word}: units are 1 to {UNITS_MAX}")
        unit = int(given) if given else next(free) if profile.modbus else 0
        topic = word.partition("=")[2] or (f"simulated/{name}" if profile.mqtt else "")
        yield Played(profile, unit, topic, f"{seed}/{name}/{unit}/{topic}")


def shares(text: str) -> dict[str, float]:
    """`timeout=0.1,late=0.02` as numbers. Raises ValueError."""
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        kind, _, share = part.partition("=")
        if kind not in FAULTS or not 0 <= float(share or "nan") <= 1:
            raise ValueError(f"--faults {part}: give KIND=SHARE, a kind of {', '.join(FAULTS)}, a share of 0 to 1")
        found[kind] = float(share)
    if sum(found.values()) > 1:
        raise ValueError("--faults: the shares add up to more than 1")
    return found


def clock(start: str, speed: float) -> Callable[[], float]:
    """Simulated seconds since 1970. Raises ValueError."""
    begun, at = time.monotonic(), time.time()
    if start:
        given = datetime.fromisoformat(start)
        at = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    return lambda: at + (time.monotonic() - begun) * speed


async def play(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Raises ConfigError, ValueError, OSError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    now = clock(args.start or "", args.speed)
    devices = list(wanted(args.devices, Library(args.profiles), args.seed))
    with ExitStack() as stack:
        lines = await serve_modbus([device for device in devices if device.profile.modbus], args, now, stack)
        speakers = [device for device in devices if device.profile.mqtt]
        client = await connected(args.broker or "", stack) if speakers else None
        async with asyncio.TaskGroup() as tasks:
            talks = [tasks.create_task(talk(device, client, args, now)) for device in speakers if client]
            await stop.wait()
            for one_talk in talks:
                one_talk.cancel()
        for server in lines:
            await server.shutdown()
    return 0


async def serve_modbus(
    devices: Sequence[Played], args: argparse.Namespace, now: Callable[[], float], stack: ExitStack
) -> list[Any]:
    """Open the lines, say where they are. With `--each` every device has its own, as its unit."""
    dead = frozenset(int(unit) for unit in args.dead.split(",") if unit)
    tls = tls_context(args) if args.listen.startswith("tls://") else None
    log = stack.enter_context(args.actuator_log.open("a")) if args.actuator_log else None
    servers = []
    for group in [[device] for device in devices] if args.each else [list(devices)] if devices else []:
        units = {
            device.unit: Memory(device.profile, device.seed, now, args.mode, following(device, args))
            for device in group
        }
        if len(units) < len(group):
            raise ValueError("two devices have the same unit on one line; give others, or --each")
        line = Line(units, shares(args.faults), dead, args.seed)
        if log is not None:
            line.wrote = ActuatorLog(log, now, units)
        server, connection = await listen(line, args.listen, tls)
        servers.append(server)
        for device in group:
            say({"profile": device.profile.id, "unit": device.unit, "connection": connection})
    return servers


def following(device: Played, args: argparse.Namespace) -> Follow:
    return Followed(args.follow).of(device.word) if args.follow else nobody


def tls_context(args: argparse.Namespace) -> ssl.SSLContext:
    if not args.certificate or not args.key:
        raise ValueError("tls:// needs --certificate and --key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.certificate, args.key)
    return context


async def connected(address: str, stack: ExitStack) -> paho.Client:
    """A client that is connected to the broker until the stack is left. Raises ValueError, OSError."""
    if not address:
        raise ValueError("MQTT devices need a broker: --broker host:port")
    host, _, port = address.rpartition(":") if ":" in address else (address, "", "1883")
    client = paho.Client(CallbackAPIVersion.VERSION2)
    there = asyncio.Event()
    loop = asyncio.get_running_loop()

    def connected(*_: object) -> None:
        loop.call_soon_threadsafe(there.set)

    client.on_connect = connected
    await asyncio.to_thread(client.connect, host, int(port))
    client.loop_start()
    stack.callback(client.loop_stop)
    stack.callback(client.disconnect)
    try:
        async with asyncio.timeout(CONNECT_S):
            await there.wait()
    except TimeoutError as error:
        raise OSError(f"{address}: the broker does not answer") from error
    return client


async def talk(device: Played, client: paho.Client, args: argparse.Namespace, now: Callable[[], float]) -> None:
    """Publish the device's messages, QoS 1, every period of real time."""
    listed = min(point.period_ms for point in device.profile.points) / 1000
    period = args.period or min(listed, PERIOD_MAX_S)
    host, _, port = args.broker.rpartition(":") if ":" in args.broker else (args.broker, "", "1883")
    say(
        {"profile": device.profile.id, "topic": device.topic, "connection": f"mqtt://{host}:{port}", "period_s": period}
    )
    loop, follow = asyncio.get_running_loop(), following(device, args)
    due = loop.time()
    for number in range(1 << 62):
        for topic, payload in messages(device.profile, device.topic, device.seed, now(), follow):
            client.publish(topic, payload, qos=1)
        await asyncio.sleep(max(0.0, due + (number + 1) * period - loop.time()))


def say(line: Mapping[str, object]) -> None:
    print(json.dumps(line), flush=True)
