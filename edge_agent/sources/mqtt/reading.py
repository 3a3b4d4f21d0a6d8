"""What a payload says: raw values of a group of points, and the one error of reading it.

    MqttError
    ├── PayloadError    these bytes cannot be read (bytes → readings is a pure function that raises nothing else)
    └── PlaceError      a profile names a place that this kind of payload does not have; all faults at once

A group is what comes together and becomes one `Layout`: all points of a topic where a payload is always whole (a
missing field is then a fault, BAD PAYLOAD), one point where messages carry only what changed (an absent point is
then no reading at all). Group and layout are the same everywhere below.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from edge_agent.image import NEVER, Codes, Floats
from edge_agent.profile import Device, PointSpec
from protos import units
from protos.quality import Quality, Reason, code

BAD_PAYLOAD = code(Quality.BAD, Reason.PAYLOAD)
BAD_INVALID = code(Quality.BAD, Reason.INVALID)
BAD_STALE = code(Quality.BAD, Reason.STALE)
BAD_DEAD = code(Quality.BAD, Reason.DEAD)
BAD_NAME = code(Quality.BAD, Reason.ENUMERATION)
OLD = code(Quality.UNCERTAIN, Reason.STALE)  # a retained reading of unknown or too great age
HISTORICAL = code(Quality.UNCERTAIN, Reason.HISTORICAL)  # true then; not to be taken for the value of now
PRECISION = code(Quality.UNCERTAIN, Reason.PRECISION)
EXACT_MAX = 2**53  # integers beyond it are not exact in a float64
NAN = math.nan
WORDS = {"on": 1.0, "off": 0.0, "true": 1.0, "false": 0.0, "online": 1.0, "offline": 0.0, "open": 1.0, "closed": 0.0}


class MqttError(Exception):
    """Any fault of this package that has a remedy."""


class PayloadError(MqttError):
    """The bytes are not what this kind of payload says. The message is kept nowhere, but counted and logged."""


class PlaceError(MqttError, ValueError):
    """Places in profiles that cannot be; one line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Mark:
    """A value that is not there."""

    def __init__(self, code: int) -> None:
        self.code = code


MISSING: Final = Mark(BAD_PAYLOAD)  # the field should be in this payload and is not
UNKNOWN: Final = Mark(NEVER)  # a device of deltas has not told this field yet
NOTHING: Final = Mark(BAD_INVALID)  # the device says "no value" (null)


def is_text(spec: PointSpec) -> bool:
    """Whether the point is a string: strings are no part of a layout."""
    return spec.quantity == "text"


@dataclass(frozen=True, slots=True)
class Request:
    """A message to publish, QoS 1, never retained."""

    topic: str
    payload: bytes


@dataclass(slots=True)
class Report:
    """What one message says of one group: a raw value per point, the device's own time or None, and a floor for
    the codes (historical, dead)."""

    group: "Group"
    raws: Sequence[object]
    utc_ns: int | None = None
    code: int = 0


@dataclass(eq=False)
class Group:
    """Points of one device that come together; numeric ones first, then texts. Converts raw values in one go."""

    device: Device
    specs: tuple[PointSpec, ...]
    topic: str = ""  # for people
    numbers: tuple[PointSpec, ...] = field(init=False)
    texts: tuple[PointSpec, ...] = field(init=False)
    stale_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = tuple(spec for spec in self.specs if not is_text(spec))
        self.texts = tuple(spec for spec in self.specs if is_text(spec))
        self.specs = self.numbers + self.texts
        manners = self.device.profile.mqtt
        period_ms = self.device.period_ms or max(spec.period_ms for spec in self.specs)
        stale_s = (manners.stale_s if manners else 0.0) or 3 * period_ms / 1000
        self.stale_ns = int(stale_s * 1e9)
        laws = [linear(spec) for spec in self.numbers]
        self._gain = np.array([gain for gain, _ in laws])
        self._bias = np.array([bias for _, bias in laws])
        self._plain = bool(np.all(self._gain == 1) and np.all(self._bias == 0))
        self._simple = tuple(not spec.invalid and not spec.enumeration for spec in self.numbers)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.numbers)

    def convert(self, raws: Sequence[object]) -> tuple[Floats, Codes | None]:
        """Raw values, as in `specs`, to internal units (P,) and codes (P,), None where all are GOOD."""
        values, codes = [], None
        for at, (raw, simple, spec) in enumerate(zip(raws, self._simple, self.numbers, strict=False)):
            if simple and (
                (type(raw) is float and raw - raw == 0.0) or (type(raw) is int and -EXACT_MAX <= raw <= EXACT_MAX)
            ):
                values.append(raw)  # the usual case, without a call
                continue
            value, why = number(raw, spec)
            values.append(value)
            if why:
                codes = np.zeros(len(self.numbers), np.uint8) if codes is None else codes
                codes[at] = why
        array = np.array(values, np.float64)
        if not self._plain:
            array *= self._gain
            array += self._bias
        return array, codes

    def strings(self, raws: Sequence[object]) -> tuple[tuple[str, str], ...]:
        """(point, text) of the text points that are there."""
        if not self.texts:
            return ()
        pairs = zip(self.texts, raws[len(self.numbers) :], strict=True)
        return tuple((spec.name, str(raw)) for spec, raw in pairs if not isinstance(raw, Mark))

    def blank(self, why: int) -> tuple[Floats, Codes]:
        """No values, and the reason for all."""
        count = len(self.numbers)
        return np.full(count, np.nan), np.full(count, why, np.uint8)

    def step(self, at: int) -> float:
        """The least difference of a point's values that one digit on the wire makes, internal unit."""
        return abs(float(self._gain[at]))

    def raw_of(self, spec: PointSpec, value: float) -> float:
        """The value on the wire for a value in internal units."""
        gain, bias = linear(spec)
        return (value - bias) / gain


def linear(spec: PointSpec) -> tuple[float, float]:
    """(gain, bias): internal = raw * gain + bias, of the profile's scale and the unit's conversion together."""
    scale, offset = units.fold(spec.scale, spec.offset, spec.unit, spec.quantity)
    return scale, offset


def number(raw: object, spec: PointSpec) -> tuple[float, int]:
    """(value as on the wire, code) of one raw value; NaN with a BAD code where it is no number."""
    if isinstance(raw, Mark):
        return NAN, raw.code
    if isinstance(raw, str):
        return word(raw, spec)
    if not isinstance(raw, int | float):  # a list or an object where a number should be
        return NAN, BAD_PAYLOAD
    if spec.invalid and raw in spec.invalid:
        return NAN, BAD_INVALID
    if isinstance(raw, int) and abs(raw) > EXACT_MAX:
        return (float(raw), PRECISION) if abs(raw) < 1 << 1000 else (NAN, BAD_PAYLOAD)
    value = float(raw)
    return (value, 0) if math.isfinite(value) else (NAN, BAD_PAYLOAD)


def word(raw: str, spec: PointSpec) -> tuple[float, int]:
    """A number written as text, a name of the profile's enumeration, or one of the usual words for 1 and 0."""
    text = raw.strip()
    for value, name in spec.enumeration.items():
        if name.casefold() == text.casefold():
            return float(value), 0
    try:
        found = float(text) if len(text) <= 64 and "_" not in text else NAN
    except ValueError:
        known = WORDS.get(text.casefold())
        if known is None:
            return NAN, BAD_NAME if spec.enumeration else BAD_PAYLOAD
        return known, 0
    if not math.isfinite(found):
        return NAN, BAD_PAYLOAD
    return (NAN, BAD_INVALID) if found in spec.invalid else (found, 0)
