"""The nightly smoother: what a whole day's readings, late ones too, say of every step of it.

From history, where every reading is that ever came: filtered forward and smoothed back (twin/smoother.py), window by
window. Each begins early enough to forget the prior and ends late enough that what follows has told what it can.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from aggregator.city.file import City
from aggregator.city.live import Lane, Live
from aggregator.stores.history import PointName, Readings
from aggregator.twin import Flags
from aggregator.twin.belief import Belief
from aggregator.twin.measurement import UNCERTAIN_FACTOR, Meas
from aggregator.twin.smoother import smooth
from protos.quality import Quality, code, quality

NS = 1_000_000_000
WINDOW_NS = 3600 * NS  # smoothed at once: memory for it grows with the square of what an ensemble has to go back over
BEFORE_NS = 1800 * NS
AFTER_NS = 900 * NS


@dataclass(frozen=True, slots=True)
class Span:
    """first < t ≤ last, UTC ns; readings are wanted from `from_ns` until `until_ns`."""

    first_ns: int
    last_ns: int

    @property
    def from_ns(self) -> int:
        return self.first_ns - BEFORE_NS

    @property
    def until_ns(self) -> int:
        return self.last_ns + AFTER_NS


def spans(first_ns: int, last_ns: int) -> list[Span]:
    return [Span(at, min(at + WINDOW_NS, last_ns)) for at in range(first_ns, last_ns, WINDOW_NS)]


def points_of(city: City) -> list[PointName]:
    """All that is to be read from history."""
    names = [one.point for part in city.parts.values() for one in part.sensors] + [one.point for one in city.feeds]
    return [PointName(*name.split("/")) for name in dict.fromkeys(names)]


def smoothed(city: City, span: Span, readings: Iterable[Readings]) -> Iterator[tuple[Lane, list[Belief]]]:
    """Every domain with what is believed of its steps in the span. Raises BadModel where a scheme keeps too little."""
    whole_s = (span.until_ns - span.from_ns) / NS
    live = Live(
        replace(city, twins={name: {**twin, "lag_s": whole_s} for name, twin in city.twins.items()}), span.from_ns
    )
    live.advance(span.until_ns)
    for one in readings:
        for lane in live.lanes.values():
            lane.accept(meas_of(one, lane))
        usable = good(one)
        for t_ns, value in zip(one.source_ns[usable].tolist(), one.values[usable].tolist(), strict=True):
            live.feed(one.point, t_ns, value)
    live.advance(span.until_ns)
    for lane in live.lanes.values():
        dt_ns = lane.domain.dt_ns
        yield lane, [one for one in smooth(lane.fuser) if span.first_ns < one.k * dt_ns <= span.last_ns]


def meas_of(one: Readings, lane: Lane) -> Meas:
    """The readings of a point as the domain takes them; none where it is no point of it. They must have keys."""
    channel = lane.channels.points.get(one.point)
    if channel is None or one.epochs is None or one.sequences is None or one.arrived_ns is None:
        return Meas.none()
    usable = good(one)
    doubtful = quality(one.codes[usable]) == Quality.UNCERTAIN
    return Meas.of(
        t_ns=one.source_ns[usable],
        gateway=lane.channels.gateways[one.point.gateway],
        epoch=one.epochs[usable],
        sequence=one.sequences[usable],
        channel=channel.place,
        y=one.values[usable] * channel.scale + channel.offset,
        var=np.where(doubtful, UNCERTAIN_FACTOR, 1.0) * channel.var,
        code=one.codes[usable],
        arrived_ns=one.arrived_ns[usable],
    )


def good(one: Readings) -> Flags:
    usable: Flags = (one.codes < code(Quality.BAD)) & np.isfinite(one.values)
    return usable
