"""Which pumps run when, for the least money within the levels of the tanks; which containers are emptied by whom.

Pumps: a mixed-integer program over the hours ahead (HiGHS), the levels linear in what runs. A pump that runs adds its
flow at usual levels, so the plan is right to a few per cent of a pump's flow, and the margin covers that.
"""

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, milp

from aggregator.domains.services.collection import Tours, tours
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Limits, Plan

if TYPE_CHECKING:
    from aggregator.domains.services import Domain

MARGIN_SD = 1.5  # kept from the lowest level
PENALTY = 1e4  # for a m below or above, against money
DAY_BEGINS_H, NIGHT_BEGINS_H = 6, 22
WORTH = 0.2  # probability to overflow before the next tour from which a container is emptied on this one
EARTH_M = 111_194.9


def limits(n: int, pumps: int) -> Limits:
    """0 ≤ running ≤ 1."""
    one = sp.eye_array(pumps)
    L = sp.csr_array(sp.vstack([one, -one]))
    return Limits(
        sp.csr_array((2 * pumps, n)), L, np.concatenate([np.ones(pumps), np.zeros(pumps)]), np.ones(2 * pumps, np.bool_)
    )


def price(domain: "Domain", k: int) -> float:
    """Of a kWh in step k."""
    hour = (k * domain.dt_ns / 3.6e12 + domain.number("utc_offset_h")) % 24
    return domain.number("price_high" if DAY_BEGINS_H <= hour < NIGHT_BEGINS_H else "price_low")


def plan(domain: "Domain", belief: Belief, horizon: int, deadline_s: float) -> Plan:
    """u (T, pumps): 1 runs, 0 stands."""
    pumps, tanks, T = len(domain.water.pumps), domain.sizes.tanks, horizon
    if not pumps or not tanks:
        return Plan(np.ones((T, pumps)), 0.0, 0.0, "fallback", "there is no pump that fills a tank: nothing to plan")
    step_h = domain.number("step_s") / 3600
    rest, gain = rises(domain, belief, T)
    kwh = np.array([one.number("power_w") for one in domain.pumps]) / 1e3 * step_h
    prices = np.array([price(domain, belief.k + 1 + t) for t in range(T)])
    low, high = (np.array([one.number(key) for one in domain.water.tanks]) for key in ("low_m", "high_m"))
    sd = np.sqrt(belief.variance[domain.sizes.level])
    start = belief.x[domain.sizes.level]
    free = start + np.cumsum(rest, axis=0)  # (T, t) with no pump
    late = sp.csr_array(np.tril(np.ones((T, T))))
    effect = sp.csr_array(sp.kron(late, sp.csr_array(gain)))  # (T t, T p)
    slack = sp.eye_array(T * tanks)
    A = sp.vstack([sp.hstack([effect, slack, 0 * slack]), sp.hstack([effect, 0 * slack, -slack])])
    floor, roof = (low + MARGIN_SD * sd - free).ravel(), (high - free).ravel()
    c = np.concatenate([(prices[:, None] * kwh).ravel(), np.full(2 * T * tanks, PENALTY * step_h)])
    found = milp(
        c,
        constraints=[
            LinearConstraint(
                sp.csr_array(A),
                np.concatenate([floor, np.full(T * tanks, -np.inf)]),
                np.concatenate([np.full(T * tanks, np.inf), roof]),
            )
        ],
        bounds=Bounds(0.0, np.concatenate([np.ones(T * pumps), np.full(2 * T * tanks, np.inf)])),
        integrality=(np.arange(len(c)) < T * pumps).astype(int),
        options={"time_limit": deadline_s},
    )
    always = np.ones(T * pumps)
    without = cost_of(c, np.asarray(effect @ always), always, floor, roof)
    if found.x is None:
        return Plan(np.ones((T, pumps)), without, 0.0, "fallback", f"pumps run on: {found.message}", without)
    running = np.round(found.x[: T * pumps])
    cost = cost_of(c, np.asarray(effect @ running), running, floor, roof)
    share = running.mean()
    why = f"pumps run {share:.0%} of the time, when a kWh costs least and no tank runs low"
    done = found.status == 0 and cost <= without + 1e-9
    if cost > without:
        running, cost, why = always, without, "pumps run on: no plan found that costs less"
    bound = min(float(found.mip_dual_bound or 0.0), cost)
    return Plan(running.reshape(T, pumps), cost, bound, "optimal" if done else "feasible", why, without)


def cost_of(c: Floats, raised: Floats, running: Floats, floor: Floats, roof: Floats) -> float:
    """Money, and what is missing below or too much above."""
    count = len(running)
    missing, over = np.maximum(floor - raised, 0.0), np.maximum(raised - roof, 0.0)
    return float(c[:count] @ running + c[count] * (missing.sum() + over.sum()))


def rises(domain: "Domain", belief: Belief, T: int) -> tuple[Floats, Floats]:
    """(T, t) m each step with no pump, (t, p) m more for each that runs; unusual demand fades."""
    count, step_h = len(domain.water.pumps), domain.number("step_s") / 3600
    level = domain.water.usual_level[:, None]
    on, off = domain.hour(np.ones(count, np.bool_)), domain.hour(np.zeros(count, np.bool_))
    rest = np.empty((T, domain.sizes.tanks))
    unusual = belief.x[domain.sizes.unusual]
    for t in range(T):
        unusual = domain.a * unusual
        demand = (domain.usual(belief.k + 1 + t) + unusual)[:, None]
        rest[t] = off.rise(level, demand)[:, 0] * step_h
    mean = domain.water.mean[:, None]
    each = (on.rise(level, mean) - off.rise(level, mean)) * step_h / count
    return rest, np.repeat(each, count, axis=1)


def tour(domain: "Domain", belief: Belief, hours: float, seconds: float, seed: int = 0) -> tuple[Tours, list[str]]:
    """Containers that may overflow within `hours`, emptied by the trucks of the first depot; distances as the crow
    flies, a third longer. Raises BadModel where nothing has a place."""
    fill, rate = belief.x[domain.sizes.fill], belief.x[domain.sizes.rate]
    sd = np.sqrt(belief.variance[domain.sizes.fill])
    expected = fill + rate * hours / 24
    chosen = [i for i, one in enumerate(expected + sd) if one >= 100.0 * (1 - WORTH)]
    depot = domain.depots[0]
    places = [depot.place, *(domain.containers[i].place for i in chosen)]
    degrees = np.array([one or (0.0, 0.0) for one in places])
    metres = degrees * EARTH_M * np.array([np.cos(np.radians(degrees[:, 1].mean())), 1.0])
    distance = 1.33 * np.hypot(*(metres[:, None] - metres[None]).transpose(2, 0, 1))
    load = np.array([domain.containers[i].number("litres") * min(expected[i], 100.0) / 100 for i in chosen])
    found = tours(distance, load, depot.number("litres"), int(depot.number("trucks")), seconds, seed)
    return found, [domain.containers[i].id for i in chosen]
