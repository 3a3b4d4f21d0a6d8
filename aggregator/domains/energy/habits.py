"""What every state usually is at an hour, a day, a season; how far it strays, how long that lasts, who strays together.

Before there is history, from what the city file says of each asset; afterwards `learned` from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.domains.energy.grid import Grid
from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.part import Asset

DAY_S, WEEK = 86_400, 7
YEAR_DAYS = 365.25
THURSDAY = 3  # 1970-01-01, Monday being 0
KINDS_OF_DAY = np.array([0, 0, 0, 0, 0, 1, 2])  # working day, Saturday, Sunday
SEASONS = 4  # in which a spread is taken as one
TOGETHER = {"load": 0.5, "pv": 0.9}  # correlation assumed before there is history
FLOOR = 1e-3  # share of its variance that nobody shares: learned habits are never surer of a common cause
ENOUGH = 5  # readings of a cell that its spread can be told from
RIDGE = 3.0  # days that say there is no season: what few days say of it is taken with care
BUMPS = {  # habit → (hour, width, height) of what stands above its base, and the base; made to a mean of 1
    "household": ((7.5, 1.5, 0.6), (12.5, 1.5, 0.6), (19.5, 2.2, 1.3), 0.45),
    "business": ((10.0, 2.5, 1.3), (14.5, 2.5, 1.1), (18.0, 1.5, 0.3), 0.3),
    "street light": ((0.0, 3.5, 1.0), (24.0, 3.5, 1.0), (12.0, 1.0, 0.0), 0.02),
    "flat": ((12.0, 1.0, 0.0), (12.0, 1.0, 0.0), (12.0, 1.0, 0.0), 1.0),
}
WEEKEND = {"household": (1.05, 1.1), "business": (0.6, 0.4), "street light": (1, 1), "flat": (1, 1)}
WINTER = {"household": 0.15, "business": 0.1, "street light": 0.3, "flat": 0.0}  # more around New Year, of the mean


@dataclass(frozen=True, slots=True)
class Clock:
    """Steps of `step_s` that divide a day; people live `offset_s` ahead of UTC."""

    step_s: int
    offset_s: int = 0

    @property
    def slots(self) -> int:
        return DAY_S // self.step_s

    def slot(self, k: Ints) -> Ints:
        """The place in its day of the step that ends at k, by the middle of it."""
        return (self._middle(k) % DAY_S) // self.step_s

    def day(self, k: Ints) -> Ints:
        """Days since 1970."""
        return self._middle(k) // DAY_S

    def kind(self, k: Ints) -> Ints:
        kinds: Ints = KINDS_OF_DAY[(self.day(k) + THURSDAY) % WEEK]
        return kinds

    def hours(self) -> Floats:
        """(slots,) the middle of each."""
        return (np.arange(self.slots) + 0.5) * self.step_s / 3600

    def year(self, k: Ints) -> Floats:
        """(…) 0 … 1, 0 at New Year."""
        return np.asarray((self.day(k) % YEAR_DAYS) / YEAR_DAYS, np.float64)

    def features(self, k: Ints) -> Floats:
        """(…, 3) a constant and the first harmonic of the year."""
        angle = 2 * np.pi * self.year(k)
        return np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=-1)

    def season(self, k: Ints) -> Ints:
        """Quarters with the solstices in their middles: the first is winter."""
        return (self.year(k) * SEASONS + 0.5).astype(np.int64) % SEASONS

    def cell(self, k: Ints) -> tuple[Ints, Ints, Ints]:
        """Season, whether work is at rest, slot: where a spread is taken as one."""
        return self.season(k), (self.kind(k) > 0).astype(np.int64), self.slot(k)

    def _middle(self, k: Ints) -> Ints:
        return np.asarray(k, np.int64) * self.step_s - self.step_s // 2 + self.offset_s


@dataclass(frozen=True, eq=False, slots=True)
class Habits:
    """n states. x(k) = usual(k) + memory · (x(k-1) - usual(k-1)) + w, w ~ N(0, spread (F Fᵀ + rest) spread)."""

    clock: Clock
    course: Floats  # (3, kinds of day, slots, n)
    spread: Floats  # (seasons, 2, slots, n) standard deviation of w: of working days, of others
    memory: Floats  # (n,)
    factor: Floats  # (n, q) who strays together; F Fᵀ + rest has ones on its diagonal
    rest: Floats  # (n,)

    def usual(self, k: int) -> Floats:
        at = np.array(k)
        expected: Floats = self.clock.features(at) @ self.course[:, self.clock.kind(at), self.clock.slot(at)]
        return expected

    def strays(self, k: int) -> Floats:
        """(n,) standard deviation of w in the step that ends at k."""
        at = np.array(k)
        found: Floats = self.spread[self.clock.cell(at)]
        return found

    def lasting(self, k: int) -> Floats:
        """(n,) standard deviation of x around the usual at k, when nothing has been measured for long.

        σ²(k) = m² σ²(k-1) + s²(k) over the day before, so a spread of the evening does not last through the morning.
        """
        variance = np.zeros(len(self.memory))
        for back in range(self.clock.slots, -1, -1):
            variance = np.minimum(self.memory, 0.9999) ** 2 * variance + self.strays(k - back) ** 2
        found: Floats = np.sqrt(variance)
        return found


def assumed(grid: Grid, clock: Clock, settings: Mapping[str, float | str]) -> Habits:
    """What the city file says."""
    shape = (3, KINDS_OF_DAY.max() + 1, clock.slots, grid.n)
    course, level = np.zeros(shape), np.zeros(grid.n)
    at = grid.layout
    memory = np.full(grid.n, float(settings["memory"]))
    for place, one in enumerate(grid.assets["load"]):
        tangent = np.tan(np.arccos(one.number("power_factor")))
        day = one.number("mean_w") * day_of(one.text("habit"), clock)
        course[..., at["load", "active_power"].start + place] = day
        course[..., at["load", "reactive_power"].start + place] = tangent * day
        level[at["load", "active_power"].start + place] = one.number("mean_w")
        level[at["load", "reactive_power"].start + place] = max(tangent, 0.1) * one.number("mean_w")
    spread = level * float(settings["load_spread"]) / 100 * np.sqrt(1 - memory**2)
    spread = np.broadcast_to(spread, (SEASONS, 2, clock.slots, grid.n)).copy()
    for place, one in enumerate(grid.assets["pv"]):
        column = at["pv", "active_power"].start + place
        course[..., column] = sun_of(one, clock)[:, None, :]
        bright = np.maximum(seen_in(clock, course[:, 0, :, column]), 0.0)[:, None]
        spread[..., column] = 0.4 * np.sqrt(1 - memory[column] ** 2) * bright + 1e-3 * one.number("rated_w")
    for place, one in enumerate(grid.assets["charger"]):
        column = at["charger", "active_power"].start + place
        course[0, ..., column] = charging(one, clock)
        spread[..., column] = 0.1 * one.number("rated_w")
    spread[..., at["charger", "active_energy"]] = 0.01 * grid.values("charger", "energy_wh")
    spread[..., at["battery", "active_power"]] = 0.1 * grid.values("battery", "rated_w")
    spread[..., at["battery", "state_of_charge"]] = 0.1
    volts = grid.values("bus", "rated_v")[grid.bus_of("source")] / 100
    course[0, ..., at["source", "voltage"]] = volts * grid.values("source", "voltage")
    spread[..., at["source", "voltage"]] = volts * grid.values("source", "sway")
    memory[at["source", "voltage"]] = 1.0
    return Habits(clock, course, spread, memory, *common(grid))


def common(grid: Grid) -> tuple[Floats, Floats]:
    """A factor for loads and one for the sun."""
    factor = np.zeros((grid.n, len(TOGETHER)))
    for column, (kind, correlation) in enumerate(TOGETHER.items()):
        for (owner, _), rows in grid.layout.items():
            if owner == kind:
                factor[rows, column] = np.sqrt(correlation)
    return factor, 1 - (factor**2).sum(axis=1)


def day_of(habit: str, clock: Clock) -> Floats:
    """(3, kinds of day, slots) with a yearly mean of 1 on working days."""
    *bumps, base = BUMPS[habit]
    hours = clock.hours()
    day = np.full(clock.slots, base) + sum(
        height * np.exp(-(((hours - hour) / width) ** 2) / 2) for hour, width, height in bumps
    )
    kinds = np.array([1.0, *WEEKEND[habit]])[:, None] * day / day.mean()
    return np.stack([kinds, WINTER[habit] * kinds, np.zeros_like(kinds)])


def sun_of(plant: Asset, clock: Clock) -> Floats:
    """(3, slots) W by hour and season: the sine of the sun's height over a cloudy year, as far as one harmonic goes.

    Declination after Cooper (1969); the clock is taken as the sun's.
    """
    latitude = np.radians(plant.lat if plant.lat is not None else plant.number("latitude"))
    days = np.arange(0, 364, 7)
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + days) / 365)
    hour = np.radians(15 * (clock.hours() - 12))
    height = np.sin(latitude) * np.sin(declination)[:, None] + np.outer(
        np.cos(latitude) * np.cos(declination), np.cos(hour)
    )
    angle = 2 * np.pi * days / YEAR_DAYS
    features = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    fitted: Floats = np.linalg.lstsq(features, 0.55 * np.maximum(height, 0), rcond=None)[0]
    return fitted * plant.number("rated_w")


def seen_in(clock: Clock, course: Floats) -> Floats:
    """(seasons, slots) of one state's course (3, slots), in the middle of each season."""
    angle = 2 * np.pi * np.arange(SEASONS) / SEASONS
    found: Floats = np.stack([np.ones(SEASONS), np.cos(angle), np.sin(angle)], axis=1) @ course
    return found


def charging(one: Asset, clock: Clock) -> Floats:
    """(slots,) W of vehicles that charge as soon as they come."""
    since = (clock.hours() - one.number("arrives_h")) % 24
    window = (one.number("leaves_h") - one.number("arrives_h")) % 24 or 24.0
    hours = min(one.number("energy_wh") / one.number("rated_w"), window)
    return np.where(since < hours, one.number("rated_w"), 0.0)


def learned(before: Habits, history: Floats, k: Ints, states: Ints) -> Habits:
    """Habits of `states` (s,) from what they were, `history` (T, s) at steps k (T,) ascending.

    Others stay as they were. Steps may be missing. Raises BadModel for less than two weeks.
    """
    clock = before.clock
    if len(k) < 2 * WEEK * clock.slots or not np.isfinite(history).all():
        raise BadModel(f"habits: {len(k)} steps of finite numbers; two weeks, {2 * WEEK * clock.slots}, are the least")
    course = courses(clock, history, k)
    features = clock.features(k)
    e = history - np.einsum("tf,ftn->tn", features, course[:, clock.kind(k), clock.slot(k)])
    next_ = np.flatnonzero(np.diff(k) == 1)
    was, is_ = e[next_], e[next_ + 1]
    memory = np.clip((was * is_).sum(axis=0) / np.maximum((was**2).sum(axis=0), 1e-12), 0.0, 0.999)
    w, at = is_ - memory * was, k[next_ + 1]
    spread = spreads(clock, w, at)
    factor, rest = shared(w / spread[clock.cell(at)])
    return merged(before, Habits(clock, course, spread, memory, factor, rest), states)


def merged(before: Habits, new: Habits, states: Ints) -> Habits:
    """`new` in place of what was known of `states`; those do not stray together with others any more."""
    course, spread, memory, rest = (one.copy() for one in (before.course, before.spread, before.memory, before.rest))
    course[..., states], spread[..., states], memory[states], rest[states] = (
        new.course,
        new.spread,
        new.memory,
        new.rest,
    )
    old = before.factor.copy()
    old[states] = 0.0
    old = old[:, np.any(old, axis=0)]
    factor = np.zeros((len(memory), new.factor.shape[1]))
    factor[states] = new.factor
    return Habits(before.clock, course, spread, memory, np.hstack([old, factor]), rest)


def courses(clock: Clock, history: Floats, k: Ints) -> Floats:
    """(3, kinds of day, slots, s): least squares with a ridge on the season, then smoothed over neighbouring slots."""
    course = np.zeros((3, KINDS_OF_DAY.max() + 1, clock.slots, history.shape[1]))
    kind, slot, features = clock.kind(k), clock.slot(k), clock.features(k)
    ridge = np.diag([1e-9, RIDGE, RIDGE])
    every = features.T @ features + ridge * clock.slots
    whole = np.linalg.solve(every, features.T @ history)
    for of_day in range(course.shape[1]):
        for at in range(clock.slots):
            rows = (kind == of_day) & (slot == at)
            A = features[rows]
            found = np.linalg.solve(A.T @ A + ridge, A.T @ history[rows]) if rows.any() else whole
            course[:, of_day, at] = found
    return smoothed(course, axis=2)


def spreads(clock: Clock, w: Floats, k: Ints) -> Floats:
    """(seasons, 2, slots, s) root mean square of w; where there is too little, that of the whole."""
    whole = np.maximum((w**2).mean(axis=0), 1e-12)
    shape = (SEASONS, 2, clock.slots)
    cell = np.ravel_multi_index(clock.cell(k), shape)
    order = np.argsort(cell, kind="stable")
    here, starts, times = np.unique(cell[order], return_index=True, return_counts=True)
    found = np.tile(whole, (int(np.prod(shape)), 1))
    sums = np.add.reduceat(w[order] ** 2, starts, axis=0)
    enough = times >= ENOUGH
    found[here[enough]] = sums[enough] / times[enough, None]
    widest: Floats = np.sqrt(np.maximum(smoothed(found.reshape(*shape, -1), axis=2), 1e-4 * whole))
    return widest


def shared(z: Floats) -> tuple[Floats, Floats]:
    """Factor (s, q) and rest (s,) of the correlation of z (T, s).

    Directions above what chance gives: the edge of Marchenko & Pastur (1967), (1 + √(s/T))².
    """
    T, s = z.shape
    z = z / np.sqrt(np.maximum((z**2).mean(axis=0), 1e-12))  # a plant does not stray at night, and counts by day
    weight, V = np.linalg.eigh(z.T @ z / T)
    kept = weight > (1 + np.sqrt(s / T)) ** 2
    factor = V[:, kept] * np.sqrt(weight[kept])
    own = np.maximum((factor**2).sum(axis=1), 1e-12)
    factor *= np.sqrt(np.minimum(1.0, (1 - FLOOR) / own))[:, None]
    return factor, 1 - (factor**2).sum(axis=1)


def smoothed(values: Floats, axis: int) -> Floats:
    """Over neighbouring slots of a day, which is a circle: 1/4, 1/2, 1/4."""
    around: Sequence[Floats] = [np.roll(values, by, axis) for by in (-1, 0, 1)]
    found: Floats = around[0] / 4 + around[1] / 2 + around[2] / 4
    return found
