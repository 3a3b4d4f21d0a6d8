"""The messages of a simulated MQTT device: its points' values in the convention that its profile names."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from edge_agent.profile import PointSpec, Profile
from edge_agent.verbs.simulate.followed import Follow, nobody
from edge_agent.verbs.simulate.signals import Signal, fraction

STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
SPOKEN = ("json", "tasmota", "shelly", "zigbee2mqtt", "chirpstack")


def messages(
    profile: Profile, root: str, seed: str, time_s: float, follow: Follow = nobody
) -> Iterator[tuple[str, bytes]]:
    """(topic, payload) of each message that the device would send at this time. Raises ValueError."""
    if profile.mqtt is None or profile.mqtt.payload not in SPOKEN:
        kind = profile.mqtt.payload if profile.mqtt else "Modbus"
        raise ValueError(f"{profile.id}: cannot play a device that speaks {kind}; only {', '.join(SPOKEN)}")
    by_topic: dict[str, list[PointSpec]] = {}
    for point in profile.points:
        if point.place is not None and "r" in point.access:
            by_topic.setdefault(point.place.topic, []).append(point)
    for topic, points in by_topic.items():
        body: dict[str, Any] = {}
        for point in points:
            assert point.place is not None
            decided = follow(point.name)
            value = Signal(point, seed)(time_s) if decided is None else decided
            put(body, point.place.path, plain((value - point.offset) / point.scale, point))
        body = wrapped(body, profile, root, time_s)
        yield topic_of(profile, root, topic), json.dumps(body).encode()


def topic_of(profile: Profile, root: str, suffix: str) -> str:
    """Where the device publishes: some conventions put a level of their own before its root."""
    first = {"tasmota": "tele", "zigbee2mqtt": "zigbee2mqtt"}.get(profile.mqtt.payload if profile.mqtt else "", "")
    return "/".join(filter(None, ("" if root.startswith(f"{first}/") else first, root, suffix)))


def plain(value: float, point: PointSpec) -> float | int | str:
    """A number as such devices write it; a state by its name where a codec sends names."""
    if point.enumeration and point.place is not None and point.place.path == "position":
        return point.enumeration[int(value)]
    return round(value, 3) if value != int(value) else int(value)


def put(body: dict[str, Any], path: str, value: object) -> None:
    """Set `a.b[0].c` in nested objects and lists."""
    steps = [int(index) if index else name for name, index in STEP.findall(path)]
    at: Any = body
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        empty: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            at.extend({} for _ in range(step + 1 - len(at)))
            if following is None or not at[step]:
                at[step] = empty
        elif following is None:
            at[step] = value
        else:
            at.setdefault(step, empty)
        at = at[step]


def wrapped(body: dict[str, Any], profile: Profile, root: str, time_s: float) -> dict[str, Any]:
    """The body inside what its convention puts around it."""
    assert profile.mqtt is not None
    now = datetime.fromtimestamp(time_s, UTC)
    match profile.mqtt.payload:
        case "tasmota":
            return {"Time": now.strftime("%Y-%m-%dT%H:%M:%S"), **body}
        case "shelly":
            device = root.split("/")[-1]
            return {"src": device, "dst": f"{root}/events", "method": "NotifyStatus", "params": {"ts": time_s, **body}}
        case "chirpstack":
            eui = root.split("/")[-1]
            return {
                "deduplicationId": str(uuid.UUID(int=int(fraction(root, time_s) * 2**53))),
                "time": now.isoformat(timespec="milliseconds"),
                "deviceInfo": {"deviceName": profile.id, "devEui": eui},
                "fCnt": int(time_s) % 65536,
                "fPort": 85,
                "object": body,
            }
    if profile.mqtt.time_path:
        put(body, profile.mqtt.time_path, timestamp(profile.mqtt.time_format, time_s, now))
    return body


def timestamp(form: str, time_s: float, now: datetime) -> object:
    forms: Mapping[str, object] = {"unix": round(time_s, 3), "unix_ms": int(time_s * 1000)}
    return forms.get(form, now.isoformat(timespec="milliseconds"))
