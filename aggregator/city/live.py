"""The city as it is now: a fuser for each domain, stepped together in the order of time and of what takes from what.

A step's numbers go to the domains that take them before those do the step that uses them. What came late makes a
domain go back, and so every domain that takes what has changed by that: the state of the whole city depends on the
set of readings alone, not on the order in which they came.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from aggregator.city.coupling import Coupling, order
from aggregator.city.file import City, Feed
from aggregator.twin import BadModel
from aggregator.twin.anomalies import Detectors, Finding
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Domain
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.measurement import Channel, Channels, Meas, Stamp, measurements, readings
from aggregator.twin.series import Series, forecast
from aggregator.twin.snapshot import pack, unpack
from protos.batch import Batch

Point = tuple[str, str, str]  # gateway, device, point

NS = 1_000_000_000
EXACT_MAX = 300  # states of which a full covariance is kept when nobody says how: n³ of 300 is 10 ms
RADIUS_EDGES = 8.0  # how far a reading reaches when nobody says
RING_BYTES = 256 << 20  # of one domain's checkpoints; fewer of them cost steps when something is late
AHEAD_NS = 60 * NS  # what clocks may err


@dataclass(eq=False)
class Lane:
    """One domain of the city and all that goes with it."""

    domain: Domain
    fuser: Fuser
    channels: Channels
    horizon: int  # steps of its forecast
    detectors: Detectors
    gives: Sequence[Coupling] = ()
    looked: int = 0  # the last step that the detectors have seen
    changed: int | None = None  # the first step that is to be done again
    fresh: int = 0  # the first step that `news` has not told as it is now
    findings: list[Finding] = field(default_factory=list)  # since they were asked for

    @property
    def name(self) -> str:
        return self.domain.name

    @property
    def next_ns(self) -> int:
        return (self.fuser.k + 1) * self.domain.dt_ns

    def accept(self, meas: Meas) -> int:
        """Take readings in; how many of them are new."""
        if not len(meas):
            return 0
        receipt = self.fuser.accept(meas)
        if receipt.changed is not None:
            self.change(receipt.changed)
        return receipt.new

    def change(self, k: int) -> None:
        """Step k is to be done again, if it was done."""
        if k <= self.fuser.k:
            self.changed = k if self.changed is None else min(k, self.changed)

    def go_back(self) -> None:
        """To before what has changed."""
        if self.changed is not None:
            self.fuser.rewind(self.changed)
            self.fresh, self.changed = min(self.fresh, self.changed), None

    def news(self) -> Iterator[Belief]:
        """What is believed of every step that was done, or done again, since this was last asked."""
        first, self.fresh = max(self.fresh, self.fuser.held), self.fuser.k + 1
        for k in range(first, self.fuser.k + 1):
            yield self.fuser.belief(k)

    def begin_anew(self) -> None:
        """With the prior, one step on; readings from before are for history."""
        old, k = self.fuser, self.fuser.k + 1
        self.fuser = Fuser(self.domain, old.scheme, k, old.settings, old.calibration.tuning)
        self.fuser.counts = old.counts
        self.detectors, self.looked, self.changed = Detectors(len(self.domain.channels)), k, None

    def forecast(self) -> Series:
        return forecast(
            self.domain, self.fuser.scheme, self.fuser.belief(), self.horizon, self.fuser.calibration.q_scale
        )

    def look(self) -> None:
        """Show the detectors the steps that they have not seen, once each."""
        for innovation in self.fuser.innovations(self.looked):
            self.findings += self.detectors.look(innovation)
        self.looked = self.fuser.k


class Live:
    """Not for threads. `accept` takes readings in, `advance` makes all of them count."""

    def __init__(self, city: City, now_ns: int) -> None:
        """Begins with every domain's prior."""
        self.city = city
        self.lanes = {name: lane(city, name, domain, now_ns) for name, domain in city.domains().items()}
        self.failed: dict[str, str] = {}  # domains that began anew, and why, since `failures` was asked
        self._order = order(list(self.lanes), city.couplings)
        self._feeds: dict[Point, list[Feed]] = {}
        for one in city.feeds:
            gateway, device, point = one.point.split("/")
            self._feeds.setdefault((gateway, device, point), []).append(one)

    @property
    def now_ns(self) -> int:
        """The time that every domain has reached."""
        return min(one.fuser.k * one.domain.dt_ns for one in self.lanes.values())

    def accept(self, batch: Batch, stamp: Stamp) -> int:
        """Take in a batch; how many of its readings are of this city. They count after `advance`."""
        taken = 0
        for one in self.lanes.values():
            taken += one.accept(measurements(batch, one.channels, stamp).meas)
        return taken + sum(self.feed(*one) for one in readings(batch, self._feeds, stamp))

    def feed(self, point: Point, t_ns: int, value: float) -> bool:
        """Put a reading wherever it is an input; whether that is news."""
        news = [self._fed(one, t_ns, value * one.scale + one.offset) for one in self._feeds.get(point, ())]
        return any(news)

    def advance(self, until_ns: int) -> int:
        """Do again what has changed, and then every step that ends until then; how many steps that were.

        A domain that gives numbers that are none begins anew with its prior; `failed` says so.
        """
        reached = max(until_ns, max(one.fuser.k * one.domain.dt_ns for one in self.lanes.values()))
        done = 0
        for one in self.lanes.values():
            one.go_back()
        while (due := self._next(reached)) is not None:
            done += 1
            try:
                due.fuser.advance(due.fuser.k + 1)
            except BadModel as error:
                self.failed[due.name] = str(error)
                due.begin_anew()
            self._give(due)
        for one in self.lanes.values():
            one.look()
            one.domain.inputs.forget(one.fuser.held)
        return done

    def _next(self, until_ns: int) -> Lane | None:
        """Whose step ends first; of those at the same time the one that others take from."""
        lanes = [self.lanes[name] for name in self._order]
        due = min(lanes, key=lambda one: one.next_ns)
        return due if due.next_ns <= until_ns else None

    def _give(self, giver: Lane) -> None:
        """What its last step says, to all who take from it."""
        if not giver.gives:
            return
        k, t_ns = giver.fuser.k, giver.fuser.k * giver.domain.dt_ns
        given = giver.domain.gives(giver.fuser.belief().x, k)
        for one in giver.gives:
            taker = self.lanes[one.takes.domain]
            dt_ns = taker.domain.dt_ns
            step = t_ns // dt_ns + 1 if one.late else -(-t_ns // dt_ns)
            values, source = one(given[one.gives.flow]), f"{giver.name}.{one.gives.flow}"
            if taker.domain.inputs.put(one.takes.flow, step, values, source):
                taker.change(step)
                taker.go_back()

    def _fed(self, feed: Feed, t_ns: int, y: float) -> bool:
        taker = self.lanes[feed.takes.domain]
        step = -(-t_ns // taker.domain.dt_ns)
        if not taker.fuser.oldest <= step <= taker.fuser.k + taker.fuser.settings.ahead:
            return False
        assets = taker.domain.inputs.assets(feed.takes.flow)
        values = np.array([y if feed.asset in ("", one) else np.nan for one in assets])
        news = taker.domain.inputs.put(feed.takes.flow, step, values, feed.point)
        if news:
            taker.change(step)
        return news

    def failures(self) -> dict[str, str]:
        """Which domains began anew since this was last asked, and why."""
        failed, self.failed = self.failed, {}
        return failed

    def findings(self) -> dict[str, list[Finding]]:
        """What the detectors have found since this was last asked."""
        found = {name: one.findings for name, one in self.lanes.items()}
        for one in self.lanes.values():
            one.findings = []
        return found

    def pack(self) -> dict[str, bytes]:
        """Everything that `unpack` needs beside the city, by domain."""
        return {name: packed(one) for name, one in self.lanes.items()}

    def unpack(self, kept: Mapping[str, bytes]) -> dict[str, str]:
        """Be again what was packed; what could not be taken over, with why: those domains begin anew."""
        lost = {}
        for name, each in self.lanes.items():
            if name not in kept:
                lost[name] = "nothing is kept of it"
                continue
            try:
                unpacked(kept[name], each)
            except BadModel as error:
                lost[name] = str(error)
        return lost


def lane(city: City, name: str, domain: Domain, now_ns: int) -> Lane:
    """One domain with the settings that the city file gives its twin."""
    twin = city.twins[name]
    scheme = scheme_of(domain, twin)
    lag = max(1, int(float(twin["lag_s"]) * NS) // domain.dt_ns)
    columns = scheme.members if isinstance(scheme, Ensemble) else scheme.rank or domain.n
    every = min(lag, max(1, ceil(lag * domain.n * columns * 8 / RING_BYTES)))
    ahead = max(1, AHEAD_NS // domain.dt_ns)
    k = now_ns // domain.dt_ns
    fuser = Fuser(domain, scheme, k, Settings(lag, every, ahead))
    horizon = max(1, int(float(twin["horizon_s"]) * NS) // domain.dt_ns)
    gives = [one for one in city.couplings if one.gives.domain == name]
    return Lane(domain, fuser, wired(city, name, domain), horizon, Detectors(len(domain.channels)), gives, k, fresh=k)


def scheme_of(domain: Domain, twin: Mapping[str, float | str]) -> Ensemble | Gaussian:
    kind, members = twin["scheme"], int(float(twin["members"]))
    if kind == "auto":
        kind = "exact" if domain.n <= EXACT_MAX else "ensemble"
    if kind == "exact":
        return Gaussian()
    if kind == "low-rank":
        return Gaussian(int(float(twin["rank"])))
    lengths = domain.graph.data
    radius = float(twin["radius"]) or RADIUS_EDGES * (float(np.median(lengths)) if len(lengths) else 1.0)
    return Ensemble(radius, members=members)


def wired(city: City, name: str, domain: Domain) -> Channels:
    """Where each point's readings go. Raises BadModel for a domain whose channels are not its sensors."""
    sensors = {one.point: one for one in city.parts[name].sensors}
    points = {}
    for place, channel in enumerate(domain.channels):
        one = sensors.get(channel)
        if one is None:
            raise BadModel(f"domain {name}: channel {channel} is no point of the city file")
        gateway, device, point = one.point.split("/")
        points[gateway, device, point] = Channel(place, one.sd**2, one.scale, one.offset)
    return Channels.of(points)


def packed(one: Lane) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("fuser", pack(one.fuser))
        for key, rows in one.domain.inputs.arrays().items():
            array = io.BytesIO()
            np.save(array, rows, allow_pickle=False)
            archive.writestr(f"input/{key}", array.getvalue())
    return out.getvalue()


def unpacked(data: bytes, one: Lane) -> None:
    """Raises BadModel for what is no snapshot of this domain."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if name.startswith("input/")]
            inputs = {
                name.removeprefix("input/"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in names
            }
            fuser = archive.read("fuser")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise BadModel(f"domain {one.name}: this is no snapshot ({error!r}); begin without it") from error
    one.domain.inputs.load(inputs)
    unpack(fuser, one.fuser)
    one.looked, one.fresh = one.fuser.k, one.fuser.k + 1
