"""Sparkplug B 3.0: one instance per edge node, for the node and its devices; a point's path is its metric's name.

A birth gives each metric its alias and type; data may then name the alias only. Without a birth, or after a gap in
`seq`, aliases are not trusted (a missed birth may have given them anew) and the node is asked for a rebirth. A death
makes the points of the node, or of the device, BAD DEAD; one whose bdSeq is not the birth's is an old one. Historical
metrics keep their own time and are UNCERTAIN HISTORICAL. The device's topic is `group/node` or `group/node/device`.
"""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from google.protobuf.message import DecodeError

from edge_agent.profile import Device, PointSpec
from edge_agent.sources.mqtt import sparkplug_b_pb2 as spb
from edge_agent.sources.mqtt.limits import PAYLOAD_MAX, READINGS_MAX, REBIRTH_S
from edge_agent.sources.mqtt.payloads.kind import Kind, Moment, Place
from edge_agent.sources.mqtt.reading import (
    BAD_DEAD,
    HISTORICAL,
    NOTHING,
    UNKNOWN,
    Group,
    PayloadError,
    Report,
    Request,
)

NAMESPACE = "spBv1.0"
SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}  # datatypes Int8 to Int64 → bits
FLOAT, DOUBLE, BOOLEAN = 9, 10, 11
INTEGERS = range(1, 9)
MS = 1_000_000
LATEST_MS = 4_102_444_800_000  # the year 2100: later ones are no times
REBIRTH = "Node Control/Rebirth"


def decode(payload: bytes) -> spb.Payload:
    """The message. Raises PayloadError."""
    if len(payload) > PAYLOAD_MAX:
        raise PayloadError(f"has {len(payload)} bytes, the limit is {PAYLOAD_MAX}")
    try:
        message = spb.Payload.FromString(payload)
    except DecodeError as error:
        raise PayloadError(f"is no Sparkplug B: {error}") from error
    if len(message.metrics) > READINGS_MAX:
        raise PayloadError(f"has {len(message.metrics)} metrics, the limit is {READINGS_MAX}")
    return message


def value_of(metric: spb.Metric, datatype: int) -> object:
    """The raw value of a metric of this type."""
    which = metric.WhichOneof("value")
    if metric.is_null or which is None:
        return NOTHING
    value: object = getattr(metric, which)
    bits = SIGNED.get(datatype)
    if bits is None or not isinstance(value, int) or isinstance(value, bool):
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def time_of(metric: spb.Metric, message: spb.Payload) -> int | None:
    stamp = metric.timestamp if metric.HasField("timestamp") else message.timestamp
    return stamp * MS if 0 < stamp < LATEST_MS else None


class Sparkplug(Kind):
    whole = False
    base = NAMESPACE

    def __init__(self, devices: Sequence[Device], zone: tzinfo) -> None:
        super().__init__(devices, zone)
        self.metrics: dict[tuple[str, str], list[Group]] = {}  # by device ("" for the node) and metric
        for group in self.groups:
            self.metrics.setdefault((self.leaf(group.device), self.name_of(group.specs[0])), []).append(group)
        self.aliases: dict[int, tuple[str, str]] = {}  # to device and metric
        self.types: dict[tuple[str, str], int] = {}
        self.born = False
        self.seq = 0  # of the last message
        self.bdseq: int | None = None
        self._asked_ns: int | None = None

    @classmethod
    def peer(cls, device: Device) -> str:
        return "/".join(device.topic.removeprefix(f"{NAMESPACE}/").split("/")[:2])

    def leaf(self, device: Device) -> str:
        return "/".join(device.topic.removeprefix(f"{NAMESPACE}/").split("/")[2:])

    def name_of(self, spec: PointSpec) -> str:
        return spec.place.path if spec.place else ""

    def topic(self, device: Device, spec: PointSpec) -> str:
        if not self.name_of(spec):
            raise ValueError("names no metric")
        if len(device.topic.removeprefix(f"{NAMESPACE}/").split("/")) not in (2, 3):
            raise ValueError(f"cannot be found: the topic of {device.name} must be group/node or group/node/device")
        return device.topic

    def place(self, text: str) -> Place:
        return lambda value: value

    def filters(self) -> Sequence[str]:
        group, node = self.peer(self.device).split("/")
        of_node = [f"{NAMESPACE}/{group}/{kind}/{node}" for kind in ("NBIRTH", "NDATA", "NDEATH")]
        return (*of_node, *(f"{NAMESPACE}/{group}/{kind}/{node}/+" for kind in ("DBIRTH", "DDATA", "DDEATH")))

    def greet(self) -> Sequence[Request]:
        return (self.rebirth(),)

    def rebirth(self) -> Request:
        group, node = self.peer(self.device).split("/")
        command = spb.Payload(metrics=[spb.Metric(name=REBIRTH, datatype=BOOLEAN, boolean_value=True)])
        return Request(f"{NAMESPACE}/{group}/NCMD/{node}", command.SerializeToString())

    def ask(self, moment: Moment) -> Sequence[Request]:
        """A rebirth request, at most one in REBIRTH_S."""
        if self._asked_ns is not None and moment.monotonic_ns - self._asked_ns < REBIRTH_S * 1e9:
            return ()
        self._asked_ns = moment.monotonic_ns
        return (self.rebirth(),)

    def take(
        self, heard: str, topic: str, payload: bytes, moment: Moment
    ) -> tuple[Sequence[Report], Sequence[Request]]:
        _, _, kind, _, *rest = topic.split("/")
        leaf, message = "/".join(rest), decode(payload)
        if kind == "NDEATH":
            return self.die(message), ()
        if kind == "NBIRTH":
            self.begin(message)
        elif not self.follows(message) or not self.born:
            self.born = False
        if kind in ("NBIRTH", "DBIRTH"):
            self.learn(leaf, message)
        if kind == "DDEATH":
            return self.deaths(leaf), () if self.born else self.ask(moment)
        reports, unknown = self.readings(leaf, message)
        return reports, self.ask(moment) if unknown or not self.born else ()

    def begin(self, message: spb.Payload) -> None:
        """A node's birth: nothing known before it holds."""
        self.aliases.clear()
        self.types.clear()
        self.born, self.seq = True, message.seq & 0xFF
        births = [int(metric.long_value) for metric in message.metrics if metric.name == "bdSeq"]
        self.bdseq = births[0] if births else None

    def follows(self, message: spb.Payload) -> bool:
        """Whether no message is missing before this one."""
        expected, self.seq = (self.seq + 1) & 0xFF, message.seq & 0xFF
        return expected == self.seq

    def learn(self, leaf: str, message: spb.Payload) -> None:
        for metric in message.metrics:
            self.types[leaf, metric.name] = metric.datatype
            if metric.HasField("alias"):
                self.aliases[metric.alias] = (leaf, metric.name)

    def readings(self, leaf: str, message: spb.Payload) -> tuple[list[Report], bool]:
        """Readings of the metrics that are points, and whether any metric could not be told."""
        reports, unknown = [], False
        for metric in message.metrics:
            where: tuple[str, str] | None = (leaf, metric.name)
            if not metric.name:
                where = self.aliases.get(metric.alias) if self.born else None
            if where is None:
                unknown = True
                continue
            datatype = metric.datatype if metric.HasField("datatype") else self.types.get(where, 0)
            for group in self.metrics.get(where, ()):
                floor = HISTORICAL if metric.is_historical else 0
                reports.append(Report(group, [value_of(metric, datatype)], time_of(metric, message), floor))
        return reports, unknown

    def die(self, message: spb.Payload) -> list[Report]:
        told = [int(metric.long_value) for metric in message.metrics if metric.name == "bdSeq"]
        if told and self.bdseq is not None and told[0] != self.bdseq:
            return []  # the will of a connection before the one that gave birth
        self.born = False
        return list(self.deaths(None))

    def deaths(self, leaf: str | None) -> list[Report]:
        return list(self._deaths(leaf))

    def _deaths(self, leaf: str | None) -> Iterator[Report]:
        for (device, _), groups in self.metrics.items():
            if leaf is None or device == leaf:
                yield from (Report(group, [UNKNOWN], None, BAD_DEAD) for group in groups)

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        group, node = self.peer(device).split("/")
        leaf, name = self.leaf(device), self.name_of(spec)
        datatype = self.types.get((leaf, name), DOUBLE)
        metric = spb.Metric(name=name, datatype=datatype)
        if datatype == BOOLEAN:
            metric.boolean_value = bool(raw)
        elif datatype in INTEGERS:
            if datatype in (4, 8):
                metric.long_value = int(raw) & (1 << 64) - 1
            else:
                metric.int_value = int(raw) & (1 << 32) - 1
        elif datatype == FLOAT:
            metric.float_value = raw
        else:
            metric.double_value = raw
        topic = f"{NAMESPACE}/{group}/DCMD/{node}/{leaf}" if leaf else f"{NAMESPACE}/{group}/NCMD/{node}"
        return Request(topic, spb.Payload(metrics=[metric]).SerializeToString())
