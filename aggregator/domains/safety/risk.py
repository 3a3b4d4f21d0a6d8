"""What may go wrong: levels above their limits; a unit, a watch or a road that is lost when it is needed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from aggregator.domains.safety.dynamics import Drive
from aggregator.domains.safety.events import exceedance, threshold
from aggregator.domains.safety.ground import Ground
from aggregator.twin import Floats
from aggregator.twin.belief import Belief
from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

if TYPE_CHECKING:
    from aggregator.domains.safety import Domain

UNIT_HOURS, WATCH_HOURS = 1_000.0, 4_000.0  # mean time between failures
HOUR_NS = 3_600_000_000_000
REMEDY = {
    "flood": "warn, close the roads in its reach, run pumps",
    "crowd": "warn, open exits, stop the inflow",
    "smoke": "warn, send the fire brigade",
    "gas": "warn, cut the gas off, keep sparks away",
    "slope": "warn, clear what lies below",
    "tilt": "warn, keep people away",
}


def indicators(ground: Ground, X: Floats, drive: Drive) -> Mapping[str, Floats]:
    """(N,) of one step."""
    over = X[: ground.w] > ground.values("limit")[:, None]
    unwarned = 1 - ground.values("averts") * drive.warned
    return {
        "harm": (ground.values("harm") * unwarned) @ over,
        "levels above a limit": over.sum(axis=0).astype(np.float64),
        "cost of warnings": np.full(X.shape[1], float(ground.values("warning_cost") @ drive.warned)),
    }


def risks(domain: "Domain", series: Series) -> list[Risk]:
    """Each watch at its worst step."""
    ground = domain.ground
    worst = exceedance(ground, series).max(axis=0)
    return ranked(
        Risk(one.id, ground.hazards[i], float(worst[i]), one.number("harm"), f"{REMEDY[ground.hazards[i]]} at {one.id}")
        for i, one in enumerate(ground.watches)
    )


def contingencies(domain: "Domain", belief: Belief, series: Series) -> list[Risk]:
    """N-1. A watch that is blind warns nobody; a unit that is out leaves its minutes to the next one."""
    ground = domain.ground
    hours = series.horizon * series.dt_ns / HOUR_NS
    p, limit = exceedance(ground, series).max(axis=0), threshold(ground)
    averted = np.where(p > limit, ground.values("averts") * ground.values("harm") - ground.values("warning_cost"), 0.0)
    blind = -float(np.expm1(-hours / WATCH_HOURS))
    found = [
        Risk(one.id, "watch blind", blind, float(p[i] * max(averted[i], 0.0)), f"look at {one.id} in person")
        for i, one in enumerate(ground.watches)
    ]
    out = -float(np.expm1(-hours / UNIT_HOURS))
    base = domain.dispatched(belief, p).cost
    for i, one in enumerate(ground.units):
        lost = max(domain.dispatched(belief, p, without=i).cost - base, 0.0)
        found.append(Risk(one.id, "unit out", out, lost, f"keep a crew ready beside {one.id}"))
    return ranked(found)
