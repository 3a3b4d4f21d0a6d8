"""What may be done: the handles, their limits, what power costs when, and the plan."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from aggregator.domains.energy import outlook, program, restore
from aggregator.domains.energy.dynamics import Drive
from aggregator.domains.energy.grid import Grid
from aggregator.domains.energy.habits import Clock
from aggregator.domains.energy.network import rows_of
from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Limits, Plan

if TYPE_CHECKING:
    from aggregator.domains.energy import Domain

NOON_H, NOON_WIDTH_H = 12.5, 3.0  # of the sun in the mix of a country
DAY_BEGINS_H, NIGHT_BEGINS_H = 6, 22  # of the two tariffs


def handles(grid: Grid) -> list[tuple[str, str, str]]:
    """(asset, quantity, unit) of each control: stores, chargers, plants, switches that normally stand open."""
    found = [(one.id, "active_power", "W") for kind in ("battery", "charger") for one in grid.assets[kind]]
    found += [(one.id, "power_limit", "%") for one in grid.assets["pv"]]
    return found + [(grid.assets["switch"][at].id, "switch", "1") for at in np.flatnonzero(~grid.normal).tolist()]


def columns(grid: Grid) -> tuple[slice, slice, slice, slice]:
    """Of a plan: stores, chargers, plants, switches."""
    ends = np.cumsum([0, *(grid.count(kind) for kind in ("battery", "charger", "pv")), int((~grid.normal).sum())])
    battery, charger, pv, ring = (slice(int(a), int(b)) for a, b in pairwise(ends))
    return battery, charger, pv, ring


def steered(grid: Grid, drive: Drive, row: Floats) -> Drive:
    battery, charger, pv, ring = (row[one] for one in columns(grid))
    order, cap, moved = drive.order.copy(), drive.cap.copy(), drive.moved.copy()
    at = grid.layout
    order[at["battery", "active_power"]], order[at["charger", "active_power"]] = battery, charger
    cap[at["pv", "active_power"]] = pv / 100 * grid.values("pv", "rated_w")
    open_ = np.flatnonzero(~grid.normal)
    moved[open_] = np.where(np.nan_to_num(ring) > 0.5, 1.0, moved[open_])
    return replace(drive, order=order, cap=cap, moved=moved)


def prices(
    grid: Grid, clock: Clock, settings: Mapping[str, float | str], k: int, price: Floats, carbon: Floats
) -> tuple[Floats, Floats]:
    """Of a kWh, and g of CO2 with it, at each source; what is not given by the tariff and the hour."""
    hour = float(clock.hours()[int(clock.slot(np.array(k)))])
    day = DAY_BEGINS_H <= hour < NIGHT_BEGINS_H
    tariff = float(settings["price_high" if day else "price_low"])
    low, high = float(settings["carbon_low"]), float(settings["carbon_high"])
    mix = high - (high - low) * np.exp(-(((hour - NOON_H) / NOON_WIDTH_H) ** 2))
    return np.where(np.isnan(price), tariff, price), np.where(np.isnan(carbon), mix, carbon)


def limits(domain: "Domain", x: Floats, k: int) -> Limits:
    """Handles within their range, always; voltages and loadings within theirs, if they can be, around x."""
    grid = domain.grid
    n, handles_ = grid.n, len(domain.controls)
    low, high = ranges(grid)
    L = sp.vstack([sp.eye_array(handles_), -sp.eye_array(handles_)])
    rows = rows_of(grid)
    volts, loads = rows["bus", "voltage"], (rows["line", "loading"], rows["transformer", "loading"])
    slope, value = domain.sensitivities(x, k), domain.flows(x[:, None], k).stacked()[:, 0]
    rated = grid.values("bus", "rated_v") / 100
    parts = [
        (slope[volts], rated * grid.values("bus", "highest") - value[volts]),
        (-slope[volts], value[volts] - rated * grid.values("bus", "lowest")),
        *((slope[one], 100.0 - value[one]) for one in loads),
    ]
    S, left = np.vstack([one for one, _ in parts]), np.concatenate([one for _, one in parts])
    set_ = np.r_[grid.layout["battery", "active_power"], grid.layout["charger", "active_power"]]
    G, of_handles = S.copy(), np.zeros((len(S), handles_))
    G[:, set_], of_handles[:, : len(set_)] = 0.0, S[:, set_]
    return Limits(
        sp.vstack([sp.csr_array((2 * handles_, n)), sp.csr_array(G)], format="csr"),
        sp.vstack([L, sp.csr_array(of_handles)], format="csr"),
        np.concatenate([high, -low, left + S @ x]),
        np.arange(2 * handles_ + len(S)) < 2 * handles_,
    )


def ranges(grid: Grid) -> tuple[Floats, Floats]:
    """The least and the most of each handle."""
    store, charger = grid.values("battery", "rated_w"), grid.values("charger", "rated_w")
    plants, rings = grid.count("pv"), int((~grid.normal).sum())
    high = np.concatenate([store, charger, np.full(plants, 100.0), np.ones(rings)])
    return np.concatenate([-store, np.zeros(len(high) - len(store))]), high


def plan(domain: "Domain", belief: Belief, horizon: int, deadline_s: float) -> Plan:
    """Stores, chargers and plants by HiGHS; switches by restoration, where buses are without supply."""
    grid, settings = domain.grid, domain.settings
    try:
        seen = outlook.seen(domain, belief, horizon)
    except BadModel as error:
        rest = np.zeros((horizon, len(domain.controls)))
        rest[:, columns(grid)[2]] = 100.0
        return Plan(rest, 0.0, -np.inf, "fallback", f"stores rest and vehicles wait: {error}", 0.0)
    store, charger, pv, _ = columns(grid)
    at_once = np.vstack(
        [
            np.zeros((grid.count("battery"), horizon)),
            seen.charging(grid.count("charger"), grid.values("charger", "rated_w")),
            np.zeros((grid.count("pv"), horizon)),
        ]
    )
    without = program.cost_of(grid, settings, seen, at_once)
    u = at_once.T.copy()
    u[:, pv] = 100.0
    steps, why = switching(domain, belief)
    u = np.hstack([u, np.tile(steps, (horizon, 1))])
    built = program.built(grid, settings, seen)
    found = domain.solver.solve(built, deadline_s)
    if found.v is None:
        return Plan(u, without, -np.inf, "fallback", f"stores rest, vehicles charge at once: {found.why}", without)
    stores, vehicles, cut = built.handles(found.v)
    u[:, store], u[:, charger] = stores.T, vehicles.T
    if len(cut):
        left = np.clip(100 * (seen.sun - cut).T / grid.values("pv", "rated_w"), 0.0, 100.0)
        u[:, pv] = np.where(cut.T > program.TINY_W, left, 100.0)
    said = "; ".join(one for one in (why, told(built, found.v, seen)) if one)
    return Plan(u, found.cost, found.bound, found.status, said, without)


def told(built: program.Program, v: Floats, seen: outlook.Outlook) -> str:
    peak, before = float(built.of("peak", v)[0, 0]) / 1e3, float(seen.drawn.max()) / 1e3
    breach = built.of("breach", v)
    percent = float((breach / seen.places.unit[:, None]).max(initial=0.0))
    kept = f"limits would be missed by {percent:.1f} %" if percent > 1e-6 else "all limits are kept"
    cut = float(built.of("cut", v).sum()) * seen.hours / 1e3
    shed = f"; {cut:.1f} kWh of sun are cut" if cut > 1e-3 else ""
    return f"{kept}; at most {peak:.1f} kW are drawn, {before:.1f} kW with stores and vehicles at rest{shed}"


def switching(domain: "Domain", belief: Belief) -> tuple[Floats, str]:
    """(switches that normally stand open,) 1 for those to close now, and why."""
    open_ = np.flatnonzero(~domain.grid.normal)
    standing = domain.standing(belief.k + 1)
    if not domain.grid.dark(standing).any():
        return np.zeros(len(open_)), ""
    found = restore.restored(domain, standing, belief.x, belief.k + 1)
    return np.isin(open_, found.switches).astype(np.float64), found.told(domain.grid)
