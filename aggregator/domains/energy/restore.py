"""After a fault: which switches to close so that the most is served again, and what the rest of the grid bears."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aggregator.domains.energy.grid import Grid, Standing
from aggregator.domains.energy.observe import injected
from aggregator.twin import BadModel, Flags, Floats

if TYPE_CHECKING:
    from aggregator.domains.energy import Domain

OVERLOAD_MAX = 120.0  # %: what a cable bears for the hours of a repair (IEC 60853 allows more for short)
VOLTAGE_SLACK = 5.0  # % of rated beyond the usual band while a repair lasts


@dataclass(frozen=True, slots=True)
class Restoration:
    """Places of the `switches` to close, in order; W that is dark before and after; the worst loading then, %."""

    switches: tuple[int, ...]
    dark_w: float
    left_w: float
    loading: float

    def told(self, grid: Grid) -> str:
        if not self.switches:
            return f"{self.dark_w / 1e3:.0f} kW without supply, and no switch can bring it back"
        names = " and ".join(grid.assets["switch"][at].id for at in self.switches)
        back = (self.dark_w - self.left_w) / 1e3
        return f"close {names}: {back:.0f} of {self.dark_w / 1e3:.0f} kW back, loading at most {self.loading:.0f} %"


def restored(domain: "Domain", standing: Standing, x: Floats, k: int) -> Restoration:
    """Switch by switch the one that brings back most without breaking what works; of equals the least loading."""
    grid = domain.grid
    wanted = taken(grid, x)
    dark = float(wanted[grid.dark(standing)].sum())
    chosen: list[int] = []
    left, worst = dark, np.inf
    open_ = [at for at in np.flatnonzero(~closed_of(domain, k)) if closes(grid, standing, int(at)) is not None]
    while left > 0:
        best: tuple[float, float, int, Standing] | None = None
        for at in (int(one) for one in open_ if one not in chosen):
            after = closes(grid, standing, at)
            if after is None or (dark_w := float(wanted[grid.dark(after)].sum())) >= left:
                continue
            loading = bears(domain, after, x, k)
            if loading <= OVERLOAD_MAX and (best is None or (dark_w, loading, at) < best[:3]):
                best = dark_w, loading, at, after
        if best is None:
            break
        left, worst, at, standing = best
        chosen.append(at)
    return Restoration(tuple(chosen), dark, left, worst)


def taken(grid: Grid, x: Floats) -> Floats:
    """(b,) W that customers want, plants not counted."""
    P = np.zeros(grid.count("bus"))
    for kind in ("load", "charger"):
        np.add.at(P, grid.bus_of(kind), np.maximum(x[grid.layout[kind, "active_power"]], 0.0))
    return P


def closed_of(domain: "Domain", k: int) -> Flags:
    """(s,) as switches stand."""
    found: Flags = domain.grid.normal ^ (domain.inputs.at("moved", k) > 0.5)
    return found


def closes(grid: Grid, standing: Standing, switch: int) -> Standing | None:
    """`standing` with the switch closed; None where it stands at a branch that is out of order."""
    for at, kind, place, end in grid.breakers:
        if at == switch:
            ends = standing.lines if kind == "line" else standing.transformers
            if not ends[place, 1 - end]:
                return None
            ends = ends.copy()
            ends[place, end] = True
            return replace(standing, lines=ends) if kind == "line" else replace(standing, transformers=ends)
    couplers = standing.couplers.copy()
    couplers[np.flatnonzero(grid.couplers == switch)] = True
    return replace(standing, couplers=couplers)


def bears(domain: "Domain", standing: Standing, x: Floats, k: int) -> float:
    """The worst loading, %; infinite where a voltage leaves even the wider band, or nothing carries it."""
    grid = domain.grid
    P, Q = injected(grid, x[:, None], domain.inputs.at("pumping", k))
    try:
        flows = domain.network(standing).solve(P, Q, x[grid.layout["source", "voltage"]][:, None])
    except BadModel:
        return np.inf
    percent = 100 * flows.voltage[:, 0] / grid.values("bus", "rated_v")
    low, high = grid.values("bus", "lowest") - VOLTAGE_SLACK, grid.values("bus", "highest") + VOLTAGE_SLACK
    if (flows.supplied[:, 0] & ((percent < low) | (percent > high))).any():
        return np.inf
    return float(max(flows.line_loading.max(initial=0.0), flows.transformer_loading.max(initial=0.0)))
