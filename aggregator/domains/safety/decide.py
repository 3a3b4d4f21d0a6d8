"""What may be done: warn where it pays, send who is nearest, ask for green on the way.

A warning is given where p > C/L (Murphy 1977), from the first step at which that is so: its lead time is what is left
until the level is over. Units go by dispatch.py.
"""

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from aggregator.domains.safety.dispatch import Dispatch
from aggregator.domains.safety.events import exceedance, threshold
from aggregator.domains.safety.ground import Ground
from aggregator.twin import Flags, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Control, Limits, Plan
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.series import forecast

if TYPE_CHECKING:
    from aggregator.domains.safety import Domain


def controls(ground: Ground) -> list[Control]:
    """A warning for each watch; for each unit the crossing that it is sent to, from 1, 0 to stay."""
    points = {one.asset: one.point for one in ground.part.actuators}
    return [Control(one.id, "state", "1", points.get(one.id, "")) for one in ground.watches + ground.units]


def most(ground: Ground) -> Floats:
    return np.concatenate([np.ones(ground.w), np.full(len(ground.units), float(len(ground.crossings)))])


def steered(ground: Ground, u: Floats, row: Floats) -> Floats:
    """0 takes a warning back, lets a unit stay; NaN leaves both as they are."""
    out = u.copy()
    last = out[len(u) - len(row) :]
    last[:] = np.where(np.isnan(row), last, np.clip(row, 0.0, most(ground)))
    return out


def limits(ground: Ground) -> Limits:
    """Levels below their limits if they can be; controls within their range, always."""
    high = most(ground)
    count, w = len(high), ground.w
    eye, none = sp.eye_array(count), sp.csr_array((count, 2 * w))
    G = sp.vstack([none, none, sp.eye_array(w, 2 * w)], format="csr")
    L = sp.vstack([eye, -eye, sp.csr_array((w, count))], format="csr")
    c = np.concatenate([high, np.zeros(count), ground.values("limit")])
    return Limits(G, L, c, np.arange(2 * count + w) < 2 * count)


def plan(domain: "Domain", belief: Belief, horizon: int, deadline_s: float) -> Plan:
    """Exact within milliseconds, so `deadline_s` is not felt: warnings are independent, units an assignment."""
    ground = domain.ground
    p = exceedance(ground, forecast(domain, Gaussian(), belief, horizon))
    worst = p.max(axis=0)
    warned = p > threshold(ground)
    warned = np.maximum.accumulate(warned, axis=0)  # once given it stands until the horizon's end
    harm, price = worst * ground.values("harm"), ground.values("warning_cost")
    averted = warned.any(axis=0) * (ground.values("averts") * harm - price)
    sent = domain.dispatched(belief, worst)
    u = np.hstack([warned, np.tile(sent.target + 1, (horizon, 1))]).astype(np.float64)
    without = float(harm.sum()) + sent.without
    cost = float((harm - averted).sum()) + sent.cost
    return Plan(u, cost, cost, "optimal", told(ground, p, warned, sent, domain.dt_ns / 1e9), without)


def told(ground: Ground, p: Floats, warned: Flags, sent: Dispatch, step_s: float) -> str:
    said = [
        f"warn of {ground.hazards[i]} at {ground.watches[i].id}: {p[:, i].max():.0%} likely, "
        f"in {(int(p[:, i].argmax()) + 1) * step_s / 60:.0f} min at worst"
        for i in np.flatnonzero(warned.any(axis=0)).tolist()
    ]
    said += [
        f"{ground.units[i].id} to {ground.crossings[int(sent.target[i])].id} in {sent.minutes[i]:.1f} min"
        for i in np.flatnonzero(sent.target >= 0).tolist()
    ]
    said += [f"nobody for {ground.crossings[int(at)].id}" for at in sent.unserved]
    return "; ".join(said) or "nothing is likelier than what a warning costs against its loss, and nobody calls"
