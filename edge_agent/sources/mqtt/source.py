"""All devices behind one broker: messages in, frames out, acknowledged once the frames are durable.

Each message gives one frame per group that it holds. A message without any reading (unreadable, not ours, a repeat)
is acknowledged at once: it would come again for ever. Retained readings are taken with their age judged by their own
time; without one they are UNCERTAIN STALE, and none is ever taken for the answer to a command.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from paho.mqtt.client import MQTTMessage

from edge_agent.image import Emit, Layout
from edge_agent.profile import Broker, Device
from edge_agent.sources import Outcome, Written
from edge_agent.sources.mqtt.connection import Connection, ConnectionFault
from edge_agent.sources.mqtt.limits import BACKOFF_MAX_S, BACKOFF_S, WRITE_S
from edge_agent.sources.mqtt.payloads import resolve
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment
from edge_agent.sources.mqtt.reader import Reader, silent
from edge_agent.sources.mqtt.reading import BAD_STALE, Group, MqttError, PlaceError, Request
from edge_agent.sources.mqtt.silence import Silence
from edge_agent.sources.mqtt.topics import Topics
from edge_agent.sources.mqtt.window import Held, Window
from edge_agent.sources.mqtt.writes import Writes, refusal
from protos.clock import NS, Clock
from protos.validity import Time

log = logging.getLogger(__name__)
UNKNOWN_VALUE = float("nan")


def kinds_of(devices: Sequence[Device], zone: ZoneInfo) -> list[Kind]:
    """One kind per peer. Raises PlaceError with the faults of all of them."""
    peers: dict[tuple[str, str], list[Device]] = {}
    for device in devices:
        name = device.profile.mqtt.payload if device.profile.mqtt else "json"
        peers.setdefault((name, resolve(name).peer(device)), []).append(device)
    kinds: list[Kind] = []
    faults: list[str] = []
    for (name, _), members in peers.items():
        try:
            kinds.append(resolve(name)(members, zone))
        except PlaceError as error:
            faults += error.faults
    if faults:
        raise PlaceError(faults)
    return kinds


class Mqtt:
    """The source of one broker. Raises PlaceError for places that cannot be.

    `time` judges the broker's certificate; without it the machine's own clock does.
    `ack_after_commit=False` acknowledges on receipt; only tests use it, to show what is then lost.
    """

    def __init__(
        self,
        gateway: str,
        broker: Broker,
        devices: Sequence[Device],
        clock: Clock,
        *,
        time: Time | None = None,
        ack_after_commit: bool = True,
    ) -> None:
        self.name = broker.name
        self.broker = broker
        self.clock = clock
        self._time = time
        self.client_id = broker.client_id or f"citytwin-{gateway}-{broker.name}"
        self._manual = ack_after_commit
        self._kinds = kinds_of(devices, ZoneInfo(broker.zone))
        self._groups: list[Group] = [group for kind in self._kinds for group in kind.groups]
        self._reader = Reader(Topics(self._kinds), {}, ask=self._ask)
        self._writes = Writes(self._kinds)
        self._window = Window(self._acknowledge, self._relieved)
        self._connection: Connection | None = None
        self._asked: asyncio.Queue[Request] = asyncio.Queue(maxsize=1000)  # answers of kinds; more are not needed
        self._emit: Emit = lambda frame: None
        self._silence: Silence
        self._look = asyncio.Event()  # the watcher of silence must look again
        self.connected = asyncio.Event()

    def wants(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        return [(group.device.name, group.names) for group in self._groups]

    async def run(self, layouts: Sequence[Layout], emit: Emit) -> None:
        """Stay connected and listen until cancelled."""
        self._reader.layouts = dict(zip(self._groups, layouts, strict=True))
        self._emit = emit
        self._silence = Silence(self._groups, self.clock.monotonic_ns())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_silence(), name=f"silence {self.name}")
            await self._stay_connected()

    async def _stay_connected(self) -> None:
        failures, said = 0, ""
        while True:
            began = self.clock.monotonic_ns()
            try:
                await self._one_connection()
            except ConnectionFault as fault:
                self._reader.counts["disconnects_total"] += 1
                if str(fault) != said:  # once per reason, not once per attempt
                    said = str(fault)
                    log.warning("%s", fault)
            if self.clock.monotonic_ns() - began > BACKOFF_MAX_S * NS:
                failures, said = 0, ""
            ceiling = min(BACKOFF_MAX_S, BACKOFF_S * 2**failures)
            failures = min(failures + 1, 16)
            pause_ns = int(secrets.SystemRandom().uniform(0, ceiling) * NS)
            await self.clock.sleep_until(self.clock.monotonic_ns() + pause_ns)

    async def _one_connection(self) -> None:
        connection = Connection(self.broker, self.client_id, self._on_message, self._manual, self._time)
        self._connection = connection  # messages of the session come before CONNECT returns
        try:
            async with connection:
                if not connection.session_present:
                    self._window.forgotten()
                self._reader.counts["connects_total"] += 1
                await self._greet(connection)
                self.connected.set()
                log.info(
                    "broker %s: connected, session %s", self.name, "found" if connection.session_present else "new"
                )
                await self._until_closed(connection)
        finally:
            self.connected.clear()
            self._connection = None
            self._window.disconnected()

    async def _greet(self, connection: Connection) -> None:
        """Subscribe, session or not: a broker that lost it would say nothing."""
        refused = await connection.subscribe(self._reader.topics.filters())
        if refused:
            self._reader.counts["subscriptions_refused_total"] += len(refused)
            log.error("broker %s refuses to let us read %s: check its access list", self.name, ", ".join(refused))
        for kind in self._kinds:
            for request in kind.greet():
                self._ask(request)

    async def _until_closed(self, connection: Connection) -> None:
        answering = asyncio.create_task(self._answer(connection), name=f"answers {self.name}")
        closing = asyncio.create_task(connection.closed(), name=f"closed {self.name}")
        try:
            await asyncio.wait({answering, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, closing):
                task.cancel()
            ended = await asyncio.gather(answering, closing, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result

    async def _answer(self, connection: Connection) -> None:
        while True:
            request = await self._asked.get()
            await connection.publish(request)
            self._reader.counts["requests_total"] += 1

    def _ask(self, request: Request) -> None:
        if not self._asked.full():
            self._asked.put_nowait(request)

    def _on_message(self, message: MQTTMessage) -> None:
        moment = Moment(self.clock.monotonic_ns(), self.clock.wall_ns())
        topic, payload = message.topic, bytes(message.payload)  # paho decodes the topic each time it is asked
        held: Held | None = None
        if message.qos and self._manual:
            held = self._window.take(message.mid, hash((topic, payload)), message.dup)
            if held is None:
                return
            if self._window.full and self._connection is not None:
                self._connection.pause()
        readings = self._reader.read(topic, payload, bool(message.retain), moment)
        if held is not None:
            held.frames = len(readings)
            if not readings:
                self._window.settle(held)
        for group, frame, news in readings:
            frame.committed = held.committed if held is not None else None
            if news:
                self._heard(group, moment.monotonic_ns)
                if self._writes.watches:
                    self._writes.saw(group, frame.values.tolist())
            self._emit(frame)

    def _heard(self, group: Group, now_ns: int) -> None:
        if self._silence.heard(group, now_ns):
            self._look.set()

    def _acknowledge(self, mid: int) -> None:
        if self._connection is not None:
            self._connection.acknowledge(mid)

    def _relieved(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    async def _watch_silence(self) -> None:
        while True:
            deadline_ns = self._silence.next_ns()
            if deadline_ns is None:
                self._look.clear()
                await self._look.wait()
                continue
            await self.clock.sleep_until(deadline_ns)
            now_ns = self.clock.monotonic_ns()
            for group in self._silence.due(now_ns):
                self._reader.counts["stale_total"] += 1
                self._emit(silent(group, self._reader.layouts[group], BAD_STALE, now_ns))

    async def write(self, device: str, point: str, value: float) -> Written:
        """Publish the command at QoS 1, never retained, and wait for the state topic to show it."""
        found = self._writes.find(device, point)
        if found is None:
            return Written(Outcome.REJECTED, UNKNOWN_VALUE, f"broker {self.name} has no point {device}/{point}")
        kind, group, at = found
        if why := refusal(group.device, group.numbers[at], value):
            return Written(Outcome.REJECTED, UNKNOWN_VALUE, why)
        connection = self._connection
        if connection is None or not self.connected.is_set():
            return Written(Outcome.REJECTED, UNKNOWN_VALUE, f"broker {self.name} is not connected; nothing was sent")
        try:
            request = self._writes.request(kind, group, at, value)
        except MqttError as error:
            return Written(Outcome.REJECTED, UNKNOWN_VALUE, str(error))
        return await self._send(connection, request, group, at, value)

    async def actuate(self, device: str, point: str, value: float) -> Written:
        return await self.write(device, point, value)

    async def _send(self, connection: Connection, request: Request, group: Group, at: int, value: float) -> Written:
        seconds = float(group.device.options.get("write_s", WRITE_S))
        watch = self._writes.watch(group, at, value)
        self._reader.counts["writes_total"] += 1
        try:
            await connection.publish(request)
            async with asyncio.timeout(seconds):
                await watch.applied.wait()
        except ConnectionFault as fault:
            return Written(Outcome.UNKNOWN, watch.seen, str(fault))
        except TimeoutError:
            pass  # the outcome says what was seen
        finally:
            self._writes.done(group, at, watch)
        return watch.outcome(seconds)

    async def tell(self, topic: str, payload: bytes) -> bool:
        """Say something to whoever listens now, at QoS 0 and never retained. False where it could not be sent."""
        connection = self._connection
        if connection is None or not self.connected.is_set():
            return False
        try:
            await connection.tell(topic, payload)
        except ConnectionFault as fault:
            log.debug("%s", fault)
            return False
        return True

    def gauges(self) -> Mapping[str, float]:
        return {
            **self._reader.counts,
            "connected": float(self.connected.is_set()),
            "unacknowledged": len(self._window),
            "repeats_total": self._window.repeats,
        }
