"""What a city file says of one domain: assets, what joins them, what measures them. No IO: `aggregator/city` reads it.

A domain declares in KINDS which assets it has and what each key means; the city file is checked against that before
`build` sees it. So a domain's own checks are about how things fit together: a cycle, a bus without a feeder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Key(NamedTuple):
    """One value of an asset or a domain. A number is in `unit` (protos/units.py); text where there are `words`.

    `default` None: it must be said. `low` and `high` are allowed themselves.
    """

    doc: str
    unit: str = "1"
    default: float | str | None = None
    low: float = float("-inf")
    high: float = float("inf")
    words: tuple[str, ...] = ()  # "*" stands for any text


class Kind(NamedTuple):
    """A sort of asset. `ends` names the kinds that `from` and `to` of an edge must be of; empty for what is no edge."""

    doc: str
    keys: Mapping[str, Key]
    ends: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()  # quantities (protos/vocabulary.py) that a sensor may measure at it
    commanded: tuple[str, ...] = ()  # … and that a point may set


class Flow(NamedTuple):
    """A named exchange variable that a domain gives or takes: one number for each asset of `kind` and step."""

    doc: str
    unit: str
    kind: str
    default: float = 0.0  # while nothing gives it


@dataclass(frozen=True, slots=True)
class Asset:
    """`values` holds every key of its kind. An edge goes from `ends[0]` to `ends[1]`."""

    id: str
    kind: str
    values: Mapping[str, float | str] = field(default_factory=dict)
    ends: tuple[str, ...] = ()
    lon: float | None = None  # degrees, WGS 84
    lat: float | None = None
    name: str = ""
    path: tuple[tuple[float, float], ...] = ()  # of an edge, for the map: (longitude, latitude)

    @property
    def place(self) -> tuple[float, float] | None:
        """Longitude, latitude: where it stands, or the middle of its path."""
        if self.lon is not None and self.lat is not None:
            return self.lon, self.lat
        if not self.path:
            return None
        a, b = self.path[(len(self.path) - 1) // 2], self.path[len(self.path) // 2]
        return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2

    def number(self, key: str) -> float:
        return float(self.values[key])

    def text(self, key: str) -> str:
        return str(self.values[key])


@dataclass(frozen=True, slots=True)
class Wire:
    """A point that measures an asset, or sets it. y = value · scale + offset, in the quantity's internal unit."""

    point: str  # gateway/device/point
    asset: str
    quantity: str
    sd: float  # of the sensor's error, in the internal unit; 0 for a point that sets
    scale: float = 1.0
    offset: float = 0.0
    does: Literal["measures", "sets"] = "measures"


@dataclass(frozen=True, slots=True)
class Part:
    """All that one domain has in a city. Ids are unique in the whole city."""

    domain: str
    assets: Sequence[Asset] = ()
    wires: Sequence[Wire] = ()
    settings: Mapping[str, float | str] = field(default_factory=dict)  # every key of the domain's SETTINGS

    def of(self, *kinds: str) -> list[Asset]:
        return [one for one in self.assets if one.kind in kinds]

    @property
    def sensors(self) -> list[Wire]:
        return [one for one in self.wires if one.does == "measures"]

    @property
    def actuators(self) -> list[Wire]:
        return [one for one in self.wires if one.does == "sets"]
