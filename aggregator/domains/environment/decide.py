"""What may be done: hold back traffic, give advice, run fans. Which, when, by what it saves against what it costs.

Advice acts at once and costs little: given where p > C/L, the chance of an exceedance against the ratio of its cost to
the harm that it averts (Murphy 1977). Restrictions and fans act through the air, which remembers: for each the one
stretch of time is taken that lowers cost + expected harm most, given what was taken before it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from aggregator.domains.environment.air import Air
from aggregator.domains.environment.dynamics import Drive
from aggregator.domains.environment.risk import costs
from aggregator.twin import Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.series import forecast

if TYPE_CHECKING:
    from aggregator.domains.environment import Domain

STARTS = 24  # begins and ends of a stretch that are tried over a horizon
FULL = 100.0  # % of a restriction or a fan


def handles(air: Air) -> list[tuple[str, str, str]]:
    """Asset, quantity and unit of each control: restrictions, advice, fans."""
    return [
        *((one.id, "percentage", "%") for one in air.zones),
        *((one.id, "state", "1") for one in air.zones),
        *((one.id, "percentage", "%") for one in air.fans),
    ]


def controls(air: Air) -> list[Control]:
    points = {(one.asset, one.quantity): one.point for one in air.part.actuators}
    return [Control(*one, points.get(one[:2], "")) for one in handles(air)]


def most(air: Air) -> Floats:
    """Of each control."""
    zones = len(air.zones)
    return np.concatenate([np.full(zones, FULL), np.ones(zones), np.full(len(air.fans), FULL)])


def steered(air: Air, u: Floats, row: Floats) -> Floats:
    """0 lets traffic run, says nothing, rests a fan; NaN leaves it as it is."""
    out = u.copy()
    last = out[len(u) - len(row) :]
    last[:] = np.where(np.isnan(row), last, np.clip(row / most(air), 0.0, 1.0))
    return out


def limits(air: Air) -> Limits:
    """Values below their limits if they can be; controls within their range, always."""
    count, v = len(handles(air)), air.values
    eye, none = sp.eye_array(count), sp.csr_array((count, air.n))
    G = sp.vstack([none, none, sp.eye_array(v, air.n)], format="csr")
    L = sp.vstack([eye, -eye, sp.csr_array((v, count))], format="csr")
    c = np.concatenate([most(air), np.zeros(count), air.limits])
    return Limits(G, L, c, np.arange(2 * count + v) < 2 * count)


def plan(domain: "Domain", belief: Belief, horizon: int, deadline_s: float) -> Plan:
    """`deadline_s` is not felt: what is tried is bounded by STARTS."""
    air = domain.air
    free = forecast(domain, Gaussian(), belief, horizon)
    every = most(air)
    u, path = np.zeros((horizon, len(every))), free.mean
    sd = free.sd[:, : air.values]
    zones = len(air.zones)
    for measure in [*range(zones), *range(2 * zones, len(every))]:
        u[:, measure] = best_stretch(domain, belief, u, measure, sd)
    path = followed(domain, belief, u)
    advised, cost = judged(air, path, sd, u)
    u[:, zones : 2 * zones] = advised
    nothing = np.zeros_like(u)
    without = judged(air, free.mean, sd, nothing, advise=False)[1]
    full = np.tile(every, (horizon, 1))
    bound = judged(air, followed(domain, belief, full), sd, nothing, advise=False)[1]
    protects = max([one.number("advice_protects") for one in air.zones], default=0.0)
    return Plan(u, cost, (1 - protects) * bound, "feasible", told(air, u, path, sd, free.mean), without)


def best_stretch(domain: "Domain", belief: Belief, u: Floats, measure: int, sd: Floats) -> Floats:
    """(T,) of one control: in full from a to b, or never."""
    T, top = len(u), most(domain.air)[measure]
    marks = np.unique(np.linspace(0, T, min(T, STARTS) + 1).astype(np.int64)).tolist()
    candidates = [np.zeros(T)]
    # An end later than the need only costs; so first the begin with the whole rest, then the end for that begin.
    candidates += [np.where(np.arange(T) >= a, top, 0.0) for a in marks[:-1]]
    first = cheapest(domain, belief, u, measure, candidates, sd)
    if not first.any():
        return first
    a = int(np.argmax(first > 0))
    ends = [np.where((np.arange(T) >= a) & (np.arange(T) < b), top, 0.0) for b in marks if b > a]
    return cheapest(domain, belief, u, measure, [np.zeros(T), *ends], sd)


def cheapest(
    domain: "Domain", belief: Belief, u: Floats, measure: int, candidates: Sequence[Floats], sd: Floats
) -> Floats:
    found = []
    for one in candidates:
        tried = u.copy()
        tried[:, measure] = one
        found.append(judged(domain.air, followed(domain, belief, tried), sd, tried)[1])
    return candidates[int(np.argmin(found))]


def followed(domain: "Domain", belief: Belief, u: Floats) -> Floats:
    """(T, n) the expected path when u is carried out."""
    x, path = belief.x[:, None], np.empty((len(u), belief.n))
    for t, row in enumerate(u):
        k = belief.k + 1 + t
        x = domain.f(x, domain.steer(domain.exogenous(k), row, k), k)
        path[t] = x[:, 0]
    return path


def judged(air: Air, path: Floats, sd: Floats, u: Floats, advise: bool = True) -> tuple[Floats, float]:
    """Advice (T, zones) 0 or 1 by cost and loss, and what all of u then costs, expected harm included."""
    zones, hours = len(air.zones), air.number("step_s") / 3600
    p = chances(air, path, sd)
    harm = p * air.harm
    advised = np.zeros((len(path), zones))
    cost = float(harm.sum() + hours * (u / most(air)).sum(axis=0) @ _without_advice(air))
    for z in range(zones if advise else 0):
        averted = air.zones[z].number("advice_protects") * (harm @ air.within(z))
        price = hours * air.zones[z].number("advice_cost")
        advised[:, z] = averted > price
        cost -= float(np.maximum(averted - price, 0.0).sum())
    return advised, cost


def _without_advice(air: Air) -> Floats:
    """Costs of an hour; advice is counted where it is given."""
    found, zones = costs(air), len(air.zones)
    found[zones : 2 * zones] = 0.0
    return found


def chances(air: Air, path: Floats, sd: Floats) -> Floats:
    """(T, p) of being above a limit."""
    z = (path[:, : air.values] - air.limits) / np.maximum(sd, 1e-9)
    found: Floats = ndtr(z).reshape(len(path), len(air.pollutants), air.p).max(axis=1)
    return found


def told(air: Air, u: Floats, path: Floats, sd: Floats, free: Floats) -> str:
    """Which measures, in which steps, for what."""
    said = [stretch(f"{one[0]} {what}", column) for what, one, column in _named(air, u) if column.any()]
    with_, without = (float((chances(air, one, sd) * air.people).max(axis=0).sum()) for one in (path, free))
    if not said:
        return f"nothing pays: at most {without:.0f} people are expected above a limit, and measures cost more"
    return f"{'; '.join(said)}: {with_:.0f} people expected above a limit at worst, {without:.0f} without"


def _named(air: Air, u: Floats) -> list[tuple[str, tuple[str, str, str], Floats]]:
    words = ["restricted"] * len(air.zones) + ["advised"] * len(air.zones) + ["runs"] * len(air.fans)
    return list(zip(words, handles(air), u.T, strict=True))


def stretch(what: str, column: Floats) -> str:
    steps: Ints = np.flatnonzero(column)
    return f"{what} in steps {steps[0] + 1} to {steps[-1] + 1}"


def drive_at(air: Air, taken: dict[str, Floats]) -> Drive:
    """What is given, with no measure on."""
    none = np.zeros(len(air.zones))
    pm25, nox, wind, towards, warmth = (
        taken[name] for name in ("source_pm25", "source_nox", "wind_speed", "wind_direction", "temperature")
    )
    return Drive(pm25, nox, wind, towards, warmth, none, none, np.zeros(len(air.fans)))
