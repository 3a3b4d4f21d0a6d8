"""What a plan looks at: the hours ahead with all handles at rest, and what each handle does to the grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aggregator.domains.energy.dynamics import Drive
from aggregator.domains.energy.grid import Grid
from aggregator.domains.energy.network import Flows, rows_of
from aggregator.twin import Floats, Ints
from aggregator.twin.belief import Belief

if TYPE_CHECKING:
    from aggregator.domains.energy import Domain

MARGIN_SD = 1.645  # kept from a limit: 95 % sure at each step
SAMPLES = 4  # steps of the horizon whose spread is looked at for that
FACTOR_MIN = 0.2  # of a branch's rating that is left for active power, whatever reactive power takes


class Session(NamedTuple):
    """Vehicles at one charger: steps of the horizon that they stay, Wh that they still may and must have in it."""

    charger: int
    steps: slice
    may_wh: float
    must_wh: float
    ends: bool  # within the horizon


class Places(NamedTuple):
    """r places where a limit could be met: low ≤ value + slope · handles ≤ high; `unit` is one per cent of rated."""

    value: Floats  # (r, T)
    slope: Floats  # (r, j)
    low: Floats  # (r, T)
    high: Floats  # (r, T)
    unit: Floats  # (r,)


@dataclass(frozen=True, eq=False, slots=True)
class Outlook:
    """T steps, j handles: W that stores and chargers take and that plants are cut by, in this order."""

    k: int
    hours: float  # of a step
    drawn: Floats  # (T,) W from the sources with all handles at rest
    draws: Floats  # (j,) ∂ of that, losses counted
    price: Floats  # (T,) of a kWh
    carbon: Floats  # (T,) kg per kWh
    places: Places
    sun: Floats  # (plants, T) W
    charge: Floats  # (stores,) Wh now
    sessions: Sequence[Session]
    most: Floats  # (j,) the range of each handle

    @property
    def horizon(self) -> int:
        return len(self.drawn)

    def charging(self, count: int, rated: Floats) -> Floats:
        """(chargers, T) W of vehicles that charge as soon as they come."""
        found = np.zeros((count, self.horizon))
        for one in self.sessions:
            left = one.may_wh
            for t in range(one.steps.start, one.steps.stop):
                found[one.charger, t] = min(float(rated[one.charger]), left / self.hours)
                left -= found[one.charger, t] * self.hours
        return found


def seen(domain: "Domain", belief: Belief, horizon: int) -> Outlook:
    """The mean forecast, a power flow of each step, and one set of slopes around the mean of all of them."""
    grid, at = domain.grid, domain.grid.layout
    X, drives = at_rest(domain, belief, horizon)
    flows = [domain.flows(X[:, [t]], belief.k + 1 + t) for t in range(horizon)]
    slope = domain.sensitivities(X.mean(axis=1), belief.k + 1)
    set_ = np.r_[at["battery", "active_power"], at["charger", "active_power"], at["pv", "active_power"]]
    handles = slope[:, set_]
    handles[:, len(set_) - grid.count("pv") :] *= -1  # what a plant is cut by, it gives less
    most = np.concatenate([grid.values(kind, "rated_w") for kind in ("battery", "charger", "pv")])
    found = limits(grid, flows)
    margin = MARGIN_SD * spread(domain, slope, belief.k, horizon)[found.rows]
    return Outlook(
        belief.k,
        domain.dt_ns / 3.6e12,
        np.array([one.source["active_power"].sum() for one in flows]),
        handles[rows_of(grid)["source", "active_power"]].sum(axis=0),
        np.array([one.price.mean() for one in drives]),
        np.array([one.carbon.mean() for one in drives]) / 1e3,
        reachable(found, handles[found.rows], margin, most),
        np.maximum(X[at["pv", "active_power"]], 0.0),
        np.clip(belief.x[at["battery", "state_of_charge"]], 0, 100) / 100 * grid.values("battery", "capacity_wh"),
        list(sessions(domain, belief, horizon)),
        most,
    )


def at_rest(domain: "Domain", belief: Belief, horizon: int) -> tuple[Floats, list[Drive]]:
    """States (n, T) with stores and chargers at 0 and no plant cut, and what drives each step."""
    grid = domain.grid
    order = np.full(grid.n, np.nan)
    order[grid.layout["battery", "active_power"]] = order[grid.layout["charger", "active_power"]] = 0.0
    x, X, drives = belief.x[:, None], np.empty((grid.n, horizon)), []
    for t in range(horizon):
        drive = Drive.of(domain.exogenous(belief.k + 1 + t), grid)
        drive.order[:] = order
        x = domain.f(x, drive.u(), belief.k + 1 + t)
        X[:, t] = x[:, 0]
        drives.append(drive)
    return X, drives


class Bounded(NamedTuple):
    """Everything that has a limit: rows of `Flows.stacked`, their values and limits over the horizon."""

    rows: Ints
    value: Floats
    low: Floats
    high: Floats
    unit: Floats


def limits(grid: Grid, flows: Sequence[Flows]) -> Bounded:
    """Voltages; and of lines and transformers the active power that reactive power leaves room for."""
    rows = rows_of(grid)
    stacked = np.hstack([one.stacked() for one in flows])
    volts = grid.values("bus", "rated_v") / 100
    of_bus = [volts * grid.values("bus", key) for key in ("lowest", "highest")]
    rated = grid.rated_va
    every = np.arange(len(stacked))
    P, Q = (
        np.concatenate([every[rows[kind, name]] for kind in ("line", "transformer")])
        for name in ("active_power", "reactive_power")
    )
    room = np.sqrt(np.maximum(rated[:, None] ** 2 - stacked[Q] ** 2, (FACTOR_MIN * rated[:, None]) ** 2))
    at = np.concatenate([every[rows["bus", "voltage"]], P])
    dark = np.vstack([~one.supplied[:, 0] for one in flows]).T
    low = np.vstack([np.where(dark, 0.0, of_bus[0][:, None]), -room])  # no voltage is expected where there is no supply
    high = np.vstack([np.repeat(of_bus[1][:, None], len(flows), axis=1), room])
    return Bounded(at, stacked[at], low, high, np.concatenate([volts, rated / 100]))


def reachable(found: Bounded, slope: Floats, margin: Floats, most: Floats) -> Places:
    """Only what handles, or what nobody foresees, could bring to its limit."""
    far = (np.abs(slope) @ most + margin)[:, None]
    near = ((found.value + far > found.high) | (found.value - far < found.low)).any(axis=1)
    near &= (slope != 0).any(axis=1)
    kept = margin[near, None]
    return Places(found.value[near], slope[near], found.low[near] + kept, found.high[near] - kept, found.unit[near])


def spread(domain: "Domain", slope: Floats, k: int, horizon: int) -> Floats:
    """(rows,) standard deviation of `Flows.stacked` when nothing has been measured for long, at the widest."""
    habits = domain.habits
    widest = np.zeros(len(slope))
    for t in np.unique(np.linspace(1, horizon, SAMPLES).astype(int)):
        each = slope * habits.lasting(k + int(t))
        variance = ((each @ habits.factor) ** 2).sum(axis=1) + (each**2) @ habits.rest
        widest = np.maximum(widest, np.sqrt(variance))
    return widest


def sessions(domain: "Domain", belief: Belief, horizon: int) -> list[Session]:
    """Of each charger, by its usual hours; what the vehicles there have had already is the twin's to know."""
    grid, clock = domain.grid, domain.habits.clock
    hours = clock.step_s / 3600
    had = np.maximum(belief.x[grid.layout["charger", "active_energy"]], 0.0)
    slot = int(clock.slot(np.array(belief.k + 1)))
    found = []
    for place, one in enumerate(grid.assets["charger"]):
        arrives = round(one.number("arrives_h") / hours)
        stay = round((one.number("leaves_h") - one.number("arrives_h")) % 24 / hours) or clock.slots
        since = (slot - arrives) % clock.slots  # steps of the stay that the first step of the horizon has behind it
        begin, need = -since, one.number("energy_wh")
        if since and since < stay:
            need = max(0.0, need - float(had[place]))
        while begin < horizon:
            end, first = begin + stay, max(begin, 0)
            last = min(end, horizon)
            if first < last:
                full = hours * one.number("rated_w")
                most, later = (last - first) * full, (end - last) * full
                must = min(max(0.0, need - later), most)
                found.append(Session(place, slice(first, last), min(need, most), must, end <= horizon))
            begin, need = begin + clock.slots, one.number("energy_wh")
    return found
