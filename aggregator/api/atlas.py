"""The city as the page draws it: assets with their places, and which number of the twin is of which asset.

Made once from the city file; what changes with time is told by column numbers of it.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from aggregator.city.file import City
from aggregator.twin.domain import Domain
from aggregator.twin.part import Asset, Wire

MARGIN = 0.0005  # degrees around the outermost asset: some 50 m


class Column(NamedTuple):
    """One state of the twin of a domain."""

    asset: str
    quantity: str
    unit: str


@dataclass(frozen=True, eq=False)
class Atlas:
    """`domains` in the city's order: that is how frames of the live stream number them."""

    city: City
    built: Mapping[str, Domain] = field(default_factory=dict)

    @classmethod
    def of(cls, city: City) -> "Atlas":
        return cls(city, city.domains())

    @property
    def domains(self) -> Sequence[str]:
        return list(self.city.parts)

    @cached_property
    def columns(self) -> Mapping[str, Sequence[Column]]:
        return {
            name: [Column(one.asset, one.quantity, one.unit) for one in domain.states]
            for name, domain in self.built.items()
        }

    @cached_property
    def assets(self) -> Mapping[str, tuple[str, Asset]]:
        """Domain and asset by id."""
        return {one.id: (name, one) for name, part in self.city.parts.items() for one in part.assets}

    @cached_property
    def places(self) -> Mapping[str, Mapping[str, int]]:
        """asset → quantity → column in its domain."""
        found: dict[str, dict[str, int]] = {}
        for columns in self.columns.values():
            for number, one in enumerate(columns):
                found.setdefault(one.asset, {})[one.quantity] = number
        return found

    @cached_property
    def wires(self) -> Mapping[str, Sequence[Wire]]:
        """The points at each asset."""
        found: dict[str, list[Wire]] = {}
        for part in self.city.parts.values():
            for wire in part.wires:
                found.setdefault(wire.asset, []).append(wire)
        return found

    @cached_property
    def at(self) -> Mapping[str, str]:
        """point → the asset it is at."""
        return {wire.point: wire.asset for some in self.wires.values() for wire in some}

    def line(self, asset: Asset) -> list[tuple[float, float]]:
        """Longitude and latitude along it; one place for what stands, none for what has no place."""
        if asset.path:
            return list(asset.path)
        if asset.place is not None:
            return [asset.place]
        ends = [self.assets[end][1].place for end in asset.ends if end in self.assets]
        if len(ends) == 2 and all(ends):
            return [one for one in ends if one is not None]
        return [one for one in (self._beside(asset),) if one is not None]

    def _beside(self, asset: Asset) -> tuple[float, float] | None:
        """Where the asset stands that it belongs to, as a source to its bus."""
        for value in asset.values.values():
            if isinstance(value, str) and value in self.assets and value != asset.id:
                return self.assets[value][1].place
        return None

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north; the whole world where nothing has a place."""
        points = [one for _, asset in self.assets.values() for one in self.line(asset)]
        if not points:
            return (-180.0, -85.0, 180.0, 85.0)
        lon, lat = [one[0] for one in points], [one[1] for one in points]
        return (min(lon) - MARGIN, min(lat) - MARGIN, max(lon) + MARGIN, max(lat) + MARGIN)

    @cached_property
    def map(self) -> bytes:
        """GeoJSON (RFC 7946); each feature has a number of its own as its id."""
        return msgspec.json.encode({"type": "FeatureCollection", "features": list(self._features())})

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.map).hexdigest()[:32]}"'

    def _features(self) -> Iterator[dict[str, Any]]:
        for number, (domain, asset) in enumerate(self.assets.values()):
            line = self.line(asset)
            if not line:
                continue
            shape = {"type": "LineString", "coordinates": line} if len(line) > 1 else None
            yield {
                "type": "Feature",
                "id": number,
                "geometry": shape or {"type": "Point", "coordinates": line[0]},
                "properties": {
                    "asset": asset.id,
                    "domain": domain,
                    "kind": asset.kind,
                    "name": asset.name or asset.id,
                    "columns": self.places.get(asset.id, {}),
                },
            }
