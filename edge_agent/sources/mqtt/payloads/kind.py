"""What every kind of payload is: topics to listen to, groups of points, and bytes → readings.

A kind is one class with one instance per peer: a device, or for Sparkplug an edge node with all its devices. `read`
depends on its arguments and on what the peer said before, never on a connection or a clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import ClassVar

from edge_agent.profile import Device, MqttManners, PointSpec
from edge_agent.sources.mqtt import path, times
from edge_agent.sources.mqtt.reading import MISSING, Group, MqttError, PlaceError, Report, Request

Place = Callable[[object], object]  # from what `open` gives to the raw value there


@dataclass(frozen=True, slots=True)
class Moment:
    """When a message came: monotonic ns, and UTC ns as the machine believes."""

    monotonic_ns: int
    utc_ns: int


class Kind:
    """The common shape; a kind overrides what its convention does differently.

    Args: the devices of one peer, the time zone of devices that send local time.
    Raises PlaceError with every place that this kind cannot have.
    """

    whole: ClassVar[bool] = True  # whether a message holds all points of its topic; else only what changed
    exclusive: ClassVar[bool] = False  # whether the longest root takes a topic alone (names that may hold "/")
    base: ClassVar[str] = ""  # topic level that the convention puts before the device's own root

    def __init__(self, devices: Sequence[Device], zone: tzinfo) -> None:
        self.devices = tuple(devices)
        self.device = self.devices[0]
        self.zone = zone
        manners = self.device.profile.mqtt
        self.manners = manners if manners is not None else MqttManners()
        self.groups: list[Group] = []
        self.slots: dict[str, list[tuple[Group, tuple[Place, ...]]]] = {}  # by topic filter
        faults = [fault for device in self.devices for fault in self._lay_out(device)]
        self._time: Place | None = None
        try:
            self._time = self.place(self.manners.time_path) if self.manners.time_path else None
        except ValueError as error:
            faults.append(f"{self.device.profile.id}.toml: time_path {self.manners.time_path!r}: {error}")
        if faults:
            raise PlaceError(faults)

    @classmethod
    def peer(cls, device: Device) -> str:
        """Devices with the same peer share one instance."""
        return device.name

    def root(self, device: Device) -> str:
        """The device's topic root, with the level of the convention."""
        root = device.topic.strip("/")
        return root if not self.base or root.startswith(self.base + "/") else f"{self.base}/{root}"

    def topic(self, device: Device, spec: PointSpec) -> str:
        """The topic or filter in which the point comes."""
        suffix = spec.place.topic if spec.place else ""
        return "/".join(part for part in (self.root(device), suffix) if part)

    def place(self, text: str) -> Place:
        """Compile the profile's `path`. Raises ValueError."""
        keys = path.parse(text)
        return lambda document: path.find(document, keys)

    def keys(self, spec: PointSpec) -> path.Keys:
        """The names on the way to a point of a document."""
        return path.parse(spec.place.path if spec.place else "")

    def open(self, payload: bytes) -> object:
        """The payload as what `place` looks into. Raises PayloadError."""
        return path.document(payload)

    def _lay_out(self, device: Device) -> list[str]:
        faults: list[str] = []
        if not device.topic.strip("/"):
            faults.append(f'device {device.name}: topic is missing: give its topic root, as topic = "hall/meter"')
        topics: dict[str, list[tuple[PointSpec, Place]]] = {}
        for spec in device.profile.points:
            where = spec.place.path if spec.place else ""
            try:
                member = (spec, self.place(where))
                topics.setdefault(self.topic(device, spec), []).append(member)
            except ValueError as error:
                kind = self.manners.payload
                faults.append(f"{device.profile.id}.toml: point {spec.name}: path {where!r} of {kind}: {error}")
        for topic, members in () if faults else topics.items():
            numeric_first = sorted(members, key=lambda member: member[0].quantity == "text")
            for part in [numeric_first] if self.whole_in(device, topic) else [[member] for member in numeric_first]:
                group = Group(device, tuple(spec for spec, _ in part), topic)
                self.groups.append(group)
                self.slots.setdefault(topic, []).append((group, tuple(place for _, place in part)))
        return faults

    def filters(self) -> Sequence[str]:
        """Topics and filters to subscribe to."""
        return tuple(self.slots)

    def greet(self) -> Sequence[Request]:
        """What to publish after each connection, to get the state as a whole."""
        return ()

    def take(
        self, heard: str, topic: str, payload: bytes, moment: Moment
    ) -> tuple[Sequence[Report], Sequence[Request]]:
        """Readings of one message that came by the filter `heard`, and what to publish in answer.

        Raises PayloadError.
        """
        return self.read(heard, payload, moment), ()

    def read(self, heard: str, payload: bytes, moment: Moment) -> Sequence[Report]:
        """Readings of one message. Raises PayloadError."""
        document = self.open(payload)
        return self.pick(heard, document, self.time_of(document, moment))

    def pick(self, heard: str, document: object, utc_ns: int | None) -> list[Report]:
        """The groups of a topic, read from an opened payload; of a delta only what is there."""
        reports = []
        for group, places in self.slots.get(heard, ()):
            raws = [place(document) for place in places]
            if self.whole_in(group.device, group.topic) or raws[0] is not MISSING:
                reports.append(Report(group, raws, utc_ns))
        return reports

    def whole_in(self, device: Device, topic: str) -> bool:
        """Whether a message of the topic holds all the device's points that come there."""
        return self.whole and device.options.get("partial") not in ("true", "yes", "1")

    def time_of(self, document: object, moment: Moment) -> int | None:
        """The device's own time, UTC ns. Raises PayloadError."""
        if self._time is None:
            return None
        return times.utc_ns(self._time(document), self.manners.time_format, self.zone, moment.utc_ns)

    def command(self, device: Device, spec: PointSpec, raw: float) -> Request:
        """The message that sets the point to `raw` (as on the wire). Raises MqttError where there is none."""
        raise MqttError(f"{self.manners.payload} devices take no commands")


def plain(raw: float) -> int | float:
    """An integer where it is one: devices that want 1 do not take 1.0."""
    return int(raw) if float(raw).is_integer() else raw


def spoken(spec: PointSpec, raw: float) -> str:
    """The value as text: its name in the profile's enumeration, or the number."""
    return spec.enumeration.get(int(raw)) or str(plain(raw))


def told(device: Device, usual: str, point: str) -> str:
    """The command topic: the device's option `command_topic`, where {point} is replaced, or the usual one."""
    return device.options.get("command_topic", usual).replace("{point}", point)
