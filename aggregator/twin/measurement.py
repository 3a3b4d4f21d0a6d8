"""Readings as the twin takes them: columns in one total order, and how batches become them."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aggregator.twin import BadMeas, Codes, Flags, Floats, Ints
from protos.batch import Batch, Block
from protos.quality import Quality, Reason, code, quality, worse

Keys = npt.NDArray[np.uint64]

NS = 1_000_000_000
DAY_NS = 86_400 * NS
CLOCK_ERROR_NS = NS  # beyond it a time is doubtful, as in history
AGE_NS = 5 * 365 * DAY_NS  # no gateway keeps readings longer: an earlier time is wrong, not late
AHEAD_NS = DAY_NS  # more than any clock error that is not a fault
UNCERTAIN_FACTOR = 4.0  # on the variance of an UNCERTAIN reading: half the trust, in standard deviations
CLOCK = np.array(code(Quality.UNCERTAIN, Reason.CLOCK), np.uint8)
IDENTITY = ("t_ns", "gateway", "epoch", "sequence", "channel")


@dataclass(frozen=True, eq=False, slots=True)
class Meas:
    """M readings. (t_ns, gateway, epoch, sequence, channel) is what a reading is, and the order they are fused in.

    Times are UTC ns. `gateway` is a place in Channels.gateways, `channel` in the domain's channels.
    """

    t_ns: Ints  # (M,) of the event
    gateway: Ints  # (M,)
    epoch: Keys  # (M,)
    sequence: Keys  # (M,)
    channel: Ints  # (M,)
    y: Floats  # (M,)
    var: Floats  # (M,) of the sensor's error
    code: Codes  # (M,) protos/quality.py
    arrived_ns: Ints  # (M,) at the aggregator: what was known when

    @classmethod
    def none(cls) -> "Meas":
        return cls(*(np.empty(0, kind) for kind in KINDS.values()))

    @classmethod
    def of(cls, **columns: object) -> "Meas":
        """From columns or single values, which are broadcast; `code` and `arrived_ns` may be left out."""
        given = {"code": 0, "arrived_ns": 0, **columns}
        made = np.broadcast_arrays(*(np.asarray(given[name], kind) for name, kind in KINDS.items()))
        return cls(*(np.ravel(column).copy() for column in made))

    @classmethod
    def joined(cls, parts: Sequence["Meas"]) -> "Meas":
        if len(parts) == 1:
            return parts[0]
        return (
            cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in KINDS)) if parts else cls.none()
        )

    def __len__(self) -> int:
        return len(self.t_ns)

    def take(self, places: Ints | Flags | slice) -> "Meas":
        return Meas(*(getattr(self, name)[places] for name in KINDS))

    def ordered(self) -> "Meas":
        """Each reading once, in order. Of two that differ the one that arrived first stays, then the smaller."""
        keys = [getattr(self, name) for name in (*IDENTITY, "arrived_ns", "y", "var")]
        sorted_ = self.take(np.lexsort(keys[::-1]))
        fresh = np.zeros(len(self), np.bool_)
        fresh[:1] = True
        for name in IDENTITY:
            column = getattr(sorted_, name)
            fresh[1:] |= column[1:] != column[:-1]
        return sorted_ if fresh.all() else sorted_.take(fresh)

    def same_as(self, other: "Meas") -> bool:
        """Whether both would be fused to the same numbers."""
        return len(self) == len(other) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in (*IDENTITY, "y", "var")
        )

    def steps(self, dt_ns: int) -> Ints:
        """(M,) the step nearest to each reading's time."""
        return (self.t_ns + dt_ns // 2) // dt_ns

    def by_step(self, dt_ns: int) -> Iterator[tuple[int, "Meas"]]:
        """The readings of each step that has any, steps ascending."""
        k = self.steps(dt_ns)
        order = np.argsort(k, kind="stable")
        steps, starts = np.unique(k[order], return_index=True)
        for step, places in zip(steps.tolist(), np.split(order, starts[1:]), strict=False):
            yield step, self.take(places)

    def check(self, channels: int) -> None:
        """Raises BadMeas with all faults. `channels` is how many the domain has."""
        faults = []
        if lengths := {name: len(getattr(self, name)) for name in KINDS if len(getattr(self, name)) != len(self)}:
            faults.append(f"columns of unequal length: {lengths}, t_ns has {len(self)}")
        elif len(self):
            if not np.isfinite(self.y).all():
                faults.append(f"{int((~np.isfinite(self.y)).sum())} values are not finite; leave out what is no value")
            if not (np.isfinite(self.var) & (self.var > 0)).all():
                faults.append("a variance is not positive and finite; a sensor without error does not exist")
            if not 0 <= self.channel.min() <= self.channel.max() < channels:
                faults.append(f"channels {self.channel.min()} … {self.channel.max()}; there are 0 … {channels - 1}")
        if faults:
            raise BadMeas("\n".join(faults))


KINDS = {
    "t_ns": np.int64,
    "gateway": np.int64,
    "epoch": np.uint64,
    "sequence": np.uint64,
    "channel": np.int64,
    "y": np.float64,
    "var": np.float64,
    "code": np.uint8,
    "arrived_ns": np.int64,
}
assert list(KINDS) == [one.name for one in fields(Meas)]


class Channel(NamedTuple):
    """Where a point's readings go: y = value * scale + offset, in the domain's unit, with variance `var` there."""

    place: int
    var: float
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Channels:
    """The points of one domain: which gateways there are (their places order equal times) and who measures what."""

    gateways: Mapping[str, int]
    points: Mapping[tuple[str, str, str], Channel]  # (gateway, device, point)

    @classmethod
    def of(cls, points: Mapping[tuple[str, str, str], Channel]) -> "Channels":
        return cls({name: place for place, name in enumerate(sorted({key[0] for key in points}))}, dict(points))


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a batch came and what its gateway's clock was worth then, as the log has it (aggregator.stores.Row)."""

    arrived_ns: int
    clock_offset_ns: int
    clock_error_ns: int


@dataclass(frozen=True, slots=True)
class Sorted:
    """The readings of one batch for one domain. Every number of the batch is in exactly one of these."""

    meas: Meas
    foreign: int = 0  # points that the domain does not have
    bad: int = 0  # BAD, or no number
    impossible: int = 0  # times that cannot be true
    repeated: int = 0  # the same point at the same time, earlier in the batch


def measurements(batch: Batch, channels: Channels, stamp: Stamp) -> Sorted:
    """What `batch` says about a domain, each reading at its own UTC time; doubtful readings with a wider error."""
    gateway = channels.gateways.get(batch.key.gateway)
    total = sum(block.values.size for block in batch.blocks)
    if gateway is None:
        return Sorted(Meas.none(), foreign=total)
    parts = [part for block in batch.blocks if (part := _read(batch, gateway, block, channels, stamp)) is not None]
    if not parts:
        return Sorted(Meas.none(), foreign=total)
    every = Meas.joined(parts)
    good = (every.code < code(Quality.BAD)) & np.isfinite(every.y)
    possible = (every.t_ns > stamp.arrived_ns - AGE_NS) & (every.t_ns < stamp.arrived_ns + AHEAD_NS)
    kept = every.take(good & possible)
    meas = kept.ordered()
    return Sorted(meas, total - len(every), int((~good).sum()), int((good & ~possible).sum()), len(kept) - len(meas))


def _read(batch: Batch, gateway: int, block: Block, channels: Channels, stamp: Stamp) -> Meas | None:
    """All readings of a block that the domain has channels for; None when it has none."""
    found = [channels.points.get((batch.key.gateway, block.device, point)) for point in block.points]
    column = [place for place, one in enumerate(found) if one is not None]
    if not column:
        return None
    place, var, scale, offset = np.array([one for one in found if one is not None], np.float64).T
    codes = block.codes[:, column]
    if not 0 <= stamp.clock_error_ns <= CLOCK_ERROR_NS:
        codes = worse(codes, CLOCK)
    doubtful = quality(codes) == Quality.UNCERTAIN
    with np.errstate(all="ignore"):  # what is no number, or too large for one, is counted as bad
        y = block.values[:, column] * scale + offset
    return Meas.of(
        t_ns=(block.source_ns + np.int64(stamp.clock_offset_ns))[:, None],
        gateway=gateway,
        epoch=batch.key.epoch,
        sequence=batch.key.sequence,
        channel=place.astype(np.int64),
        y=y,
        var=np.where(doubtful, UNCERTAIN_FACTOR, 1.0) * var,
        code=codes,
        arrived_ns=stamp.arrived_ns,
    )


def readings(
    batch: Batch, points: Container[tuple[str, str, str]], stamp: Stamp
) -> Iterator[tuple[tuple[str, str, str], int, float]]:
    """Every reading of some points that can be used: the point, its UTC time and value. For inputs, which are few."""
    for block in batch.blocks:
        for column, name in enumerate(block.points):
            key = (batch.key.gateway, block.device, name)
            if key not in points:
                continue
            values, times = block.values[:, column], block.source_ns + np.int64(stamp.clock_offset_ns)
            good = (block.codes[:, column] < code(Quality.BAD)) & np.isfinite(values)
            good &= (times > stamp.arrived_ns - AGE_NS) & (times < stamp.arrived_ns + AHEAD_NS)
            for t_ns, value in zip(times[good].tolist(), values[good].tolist(), strict=True):
                yield key, t_ns, value
