"""The simplest domain there is, to copy: ponds that drain one into the next, some with a gauge, all with a pump.

    state      level of each pond, m
    input      inflow per step: rain as forecast, less what the pumps have been ordered to take
    readings   the level, where there is a gauge
    plan       pump rates that keep every pond below its rim at the least energy

To make a domain of it: copy the folder, put your physics into `dynamics`, your sensors into `observe`, what matters
into `risk` and `decide`, and one line into DOMAINS. The battery says what is still missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aggregator.domains._blueprint import decide, dynamics, observe, risk
from aggregator.twin import BadModel, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Limits, Plan, Sparse
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Pond:
    """`into` is the place of the pond below, None for the river."""

    name: str
    drains_per_step: float  # share of the level, 0 … 1
    rim_m: float
    pump_m: float  # at most, per step
    into: int | None = None
    gauge: str | None = None  # point, gateway/device/point
    distance_m: float = 100.0  # to the pond below


@dataclass(eq=False)
class Domain:
    """Implements `aggregator.twin.domain.Domain`."""

    ponds: Sequence[Pond]
    rain_m: Floats = field(repr=False)  # (T, n) inflow per step, repeated: a forecast would come from weather
    name: str = "blueprint"
    dt_ns: int = MINUTE_NS
    noise_m: float = 0.02  # of a step, that f does not know

    def __post_init__(self) -> None:
        faults = [
            f"pond {one.name}: {what}"
            for one in self.ponds
            for what, wrong in {
                f"drains {one.drains_per_step} per step; 0 … 1": not 0 <= one.drains_per_step <= 1,
                f"rim {one.rim_m} m, pump {one.pump_m} m; above 0, and from 0 on": one.rim_m <= 0 or one.pump_m < 0,
                f"drains into {one.into}; there are 0 … {len(self.ponds) - 1}": one.into is not None
                and not 0 <= one.into < len(self.ponds),
            }.items()
            if wrong
        ]
        if self.rain_m.ndim != 2 or self.rain_m.shape[1] != len(self.ponds) or not len(self.rain_m):
            faults.append(f"rain is {self.rain_m.shape}; one column for each of {len(self.ponds)} ponds")
        if faults:
            raise BadModel("\n".join(faults))

    @property
    def n(self) -> int:
        return len(self.ponds)

    @cached_property
    def F(self) -> Sparse:
        return dynamics.transition(self.ponds)

    @cached_property
    def graph(self) -> Sparse:
        return dynamics.distances(self.ponds)

    @property
    def channels(self) -> Sequence[str]:
        return [one.gauge for one in self.ponds if one.gauge is not None]

    @cached_property
    def places(self) -> Ints:
        return np.array([i for i, one in enumerate(self.ponds) if one.gauge is not None], np.int64)

    def prior(self, k: int) -> Belief:
        """Half full, and anything between empty and full possible."""
        rim = np.array([one.rim_m for one in self.ponds])
        return Belief(k, rim / 2, (rim / 4) ** 2, np.zeros((self.n, 0)))

    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return dynamics.f(self.F, X, u)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return dynamics.Q(self.n, self.noise_m)

    def h(self, X: Floats, channel: Ints, k: int) -> Floats:
        return observe.h(X, self.places[channel])

    def H(self, x: Floats, channel: Ints, k: int) -> Sparse | None:
        return observe.H(self.n, self.places[channel])

    def exogenous(self, k: int) -> Floats:
        inflow: Floats = self.rain_m[k % len(self.rain_m)]
        return inflow

    def edge_view(self, gateway: str) -> Ints:
        own = [name.startswith(gateway + "/") for name in self.channels]
        return self.places[np.array(own, np.bool_)]

    def limits(self, x: Floats, k: int) -> Limits:
        return decide.limits(self.ponds)

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan:
        inflow = np.array([self.exogenous(belief.k + 1 + i) for i in range(horizon)])
        return decide.plan(self.F, inflow, self.noise_m, self.limits(belief.x, belief.k), belief, deadline_s)

    def risks(self, series: Series) -> list[Risk]:
        return risk.risks(self.ponds, series)


def example() -> Domain:
    """Six ponds in two rows, half of them with a gauge, in steady rain."""
    into = [1, 2, None, 4, 5, 2]
    ponds = [
        Pond(f"pond-{i}", 0.1, 2.0, 0.2, below, f"gw-{i // 3}/gauge/level-{i}" if i % 2 == 0 else None)
        for i, below in enumerate(into)
    ]
    return Domain(ponds, np.full((1, len(ponds)), 0.05))
