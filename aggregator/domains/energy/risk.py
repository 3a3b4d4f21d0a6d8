"""What may go wrong: overloads and voltages outside of their band as forecast, and the loss of any one branch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from aggregator.domains.energy import restore
from aggregator.domains.energy.dynamics import Drive
from aggregator.domains.energy.grid import Grid
from aggregator.domains.energy.network import Flows, rows_of
from aggregator.domains.energy.observe import injected
from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.risk import Risk, ranked
from aggregator.twin.series import Series

if TYPE_CHECKING:
    from aggregator.domains.energy import Domain

YEAR_H = 8760.0
LIKELY = 1e-3  # less is not worth a line in a list
DISTURBED = 0.1  # share of the value of lost load that devices at a wrong voltage cost


def indicators(
    grid: Grid, settings: Mapping[str, float | str], X: Floats, flows: Flows, drive: Drive
) -> Mapping[str, Floats]:
    """(N,) of one step."""
    hours = float(settings["step_s"]) / 3600
    rated = grid.values("bus", "rated_v")[:, None] / 100
    band = [rated * grid.values("bus", key)[:, None] for key in ("lowest", "highest")]
    outside = np.maximum(np.maximum(band[0] - flows.voltage, flows.voltage - band[1]), 0.0) * flows.supplied / rated
    over = [np.maximum(one - 100.0, 0.0).sum(axis=0) for one in (flows.line_loading, flows.transformer_loading)]
    drawn = flows.source["active_power"]
    kwh = np.maximum(drawn, 0.0) * hours / 1e3
    back = np.maximum(-drawn, 0.0) * hours / 1e3
    return {
        "not served, kWh": ((~flows.supplied) * wanted(grid, X)).sum(axis=0) * hours / 1e3,
        "overload, %": over[0] + over[1],
        "voltage outside, %": outside.sum(axis=0),
        "cost": drive.price @ kwh - float(settings["feed_in"]) * back.sum(axis=0),
        "CO2, kg": drive.carbon @ kwh / 1e3,
        "drawn, kW": np.maximum(drawn.sum(axis=0), 0.0) / 1e3,
    }


def wanted(grid: Grid, X: Floats) -> Floats:
    """(b, N) W that customers want."""
    found = np.zeros((grid.count("bus"), X.shape[1]))
    for kind in ("load", "charger"):
        np.add.at(found, grid.bus_of(kind), np.maximum(X[grid.layout[kind, "active_power"]], 0.0))
    return found


@dataclass(frozen=True, eq=False, slots=True)
class Screening:
    """What the loss of each line, then of each transformer, would do (l + t,)."""

    lost_w: Floats  # without supply, that has it now
    overload_w: Floats  # that would have to be shed from what is left, so that no branch is above its rating
    loading: Floats  # the worst that is left, %


def screened(domain: "Domain", x: Floats, k: int) -> Screening:
    """N-1: a full power flow for every line and transformer."""
    grid = domain.grid
    network = domain.network(domain.standing(k))
    P, Q = (one[:, 0] for one in injected(grid, x[:, None], domain.inputs.at("pumping", k)))
    volts = x[grid.layout["source", "voltage"]]
    takes = wanted(grid, x[:, None])[:, 0] * ~grid.dark(network.standing)
    rated = grid.rated_va
    found = []
    for kind in ("line", "transformer"):
        if not grid.count(kind):
            continue
        flows = network.without(kind, P, Q, volts)
        loading = np.vstack([flows.line_loading, flows.transformer_loading])
        shed = (np.maximum(loading / 100 - 1, 0.0) * rated[:, None]).max(axis=0)
        found.append((takes @ ~flows.supplied, shed, loading.max(axis=0)))
    return Screening(*(np.concatenate(column) for column in zip(*found, strict=True)))


def contingencies(domain: "Domain", belief: Belief, series: Series) -> list[Risk]:
    """Each line and transformer: energy not served until it is switched back or repaired, and what must be shed."""
    grid, k = domain.grid, belief.k
    found = screened(domain, belief.x, k)
    hours = series.horizon * series.dt_ns / 3.6e12
    rates = np.concatenate([grid.values(kind, "fails_per_year") for kind in ("line", "transformer")])
    chance = -np.expm1(-rates * hours / YEAR_H)
    assets = [(kind, place) for kind in ("line", "transformer") for place in range(grid.count(kind))]
    return ranked(
        lost(domain, belief, kind, place, float(p), float(found.lost_w[row]), float(found.overload_w[row]))
        for row, ((kind, place), p) in enumerate(zip(assets, chance, strict=True))
    )


def lost(domain: "Domain", belief: Belief, kind: str, place: int, p: float, dark_w: float, shed_w: float) -> Risk:
    settings, one = domain.settings, domain.grid.assets[kind][place]
    repair, value = float(settings["repair_h"]), float(settings["lost_load"]) / 1e3
    if dark_w <= 0:
        action = f"shed {shed_w / 1e3:.0f} kW while {one.id} is out" if shed_w else "none needed: the rest carries it"
        return Risk(one.id, f"{kind} lost", p, value * repair * shed_w, action)
    standing = domain.standing(belief.k)
    out = {"line": domain.inputs.at("line_out", belief.k).copy(), "moved": domain.inputs.at("moved", belief.k)}
    out["transformer"] = domain.inputs.at("transformer_out", belief.k).copy()
    out[kind][place] = 1.0
    standing = domain.grid.standing(out["line"], out["transformer"], out["moved"])
    found = restore.restored(domain, standing, belief.x, belief.k)
    moved = domain.grid.values("switch", "switching_h")[list(found.switches)].sum() if found.switches else repair
    wh = (found.dark_w - found.left_w) * min(float(moved), repair) + found.left_w * repair
    action = found.told(domain.grid) if found.switches else f"repair {one.id} first: no switch brings its load back"
    return Risk(one.id, f"{kind} lost", p, value * (wh + repair * shed_w), action)


def risks(domain: "Domain", series: Series) -> list[Risk]:
    """Overloads and voltages at their worst step, what is without supply already, and what nothing can carry."""
    grid = domain.grid
    try:
        z, worst = margins(domain, series)
    except BadModel:
        return ranked([*_collapse(domain, series), *_dark(domain, series)])
    x = series.mean[int(worst)]
    rows = rows_of(grid)
    slope = domain.sensitivities(x, series.k + 1 + int(worst))
    return ranked(
        [
            *_overloads(domain, series, z, slope, x),
            *_voltages(domain, z, slope[rows["bus", "voltage"]], x),
            *_dark(domain, series),
        ]
    )


def margins(domain: "Domain", series: Series) -> tuple[Mapping[str, Floats], int]:
    """How many standard deviations each limit is exceeded by at its worst step, and the step that draws most."""
    grid, habits = domain.grid, domain.habits
    rows, T = rows_of(grid), series.horizon
    flows = [domain.flows(series.mean[[t]].T, series.k + 1 + t) for t in range(T)]
    value = np.hstack([one.stacked() for one in flows])
    worst = int(np.argmax([one.source["active_power"].sum() for one in flows]))
    slope = domain.sensitivities(series.mean[worst], series.k + 1 + worst)
    sd = np.empty_like(value)
    for t in range(T):
        each = slope * series.sd[t]
        sd[:, t] = np.sqrt(((each @ habits.factor) ** 2).sum(axis=1) + (each**2) @ habits.rest)
    rated = grid.values("bus", "rated_v")[:, None] / 100
    dark = np.hstack([~one.supplied for one in flows])
    volts, spread = value[rows["bus", "voltage"]], np.maximum(sd[rows["bus", "voltage"]], 1e-6)
    low = np.where(dark, -np.inf, (rated * grid.values("bus", "lowest")[:, None] - volts) / spread)
    high = (volts - rated * grid.values("bus", "highest")[:, None]) / spread
    found = {"low": low.max(axis=1), "high": high.max(axis=1)}
    for kind in ("line", "transformer"):
        at = rows[kind, "loading"]
        found[kind] = ((value[at] - 100.0) / np.maximum(sd[at], 1e-6)).max(axis=1)
    return found, worst


def _collapse(domain: "Domain", series: Series) -> Iterator[Risk]:
    """The forecast has no power flow: everything may go dark."""
    takes = wanted(domain.grid, series.mean.T).max(axis=1).sum()
    value = float(domain.settings["lost_load"]) / 1e3 * float(domain.settings["repair_h"])
    source = domain.grid.assets["source"][0].id
    yield Risk(source, "voltage collapse", 1.0, value * float(takes), "shed load: more is wanted than can be carried")


def _overloads(domain: "Domain", series: Series, z: Mapping[str, Floats], slope: Floats, x: Floats) -> Iterator[Risk]:
    """An overload that lasts trips the branch: it costs what the loss of the branch costs."""
    grid, rows = domain.grid, rows_of(domain.grid)
    value = float(domain.settings["lost_load"]) / 1e3 * float(domain.settings["repair_h"])
    likely = {kind: ndtr(z[kind]) for kind in ("line", "transformer")}
    if not any((one > LIKELY).any() for one in likely.values()):
        return
    found = screened(domain, x, series.k + 1)
    harm = dict(
        zip(("line", "transformer"), np.split(found.lost_w + found.overload_w, [grid.count("line")]), strict=True)
    )
    for kind, probability in likely.items():
        for place in np.flatnonzero(probability > LIKELY).tolist():
            row = slope[rows[kind, "loading"]][place]
            action = relief(domain, row, x)
            yield Risk(
                grid.assets[kind][place].id,
                "overload",
                float(probability[place]),
                value * float(harm[kind][place]),
                action,
            )


def _voltages(domain: "Domain", z: Mapping[str, Floats], slope: Floats, x: Floats) -> Iterator[Risk]:
    grid = domain.grid
    takes = wanted(grid, x[:, None])[:, 0]
    value = DISTURBED * float(domain.settings["lost_load"]) / 1e3 * float(domain.settings["step_s"]) / 3600
    for what, sign in (("low", -1.0), ("high", 1.0)):
        probability = ndtr(z[what])
        for bus in np.flatnonzero(probability > LIKELY).tolist():
            action = relief(domain, sign * slope[bus], x)
            yield Risk(
                grid.assets["bus"][bus].id,
                f"voltage too {what}",
                float(probability[bus]),
                value * float(takes[bus]),
                action,
            )


def _dark(domain: "Domain", series: Series) -> Iterator[Risk]:
    grid, k = domain.grid, series.k + 1
    standing = domain.standing(k)
    dark = grid.dark(standing)
    if not dark.any():
        return
    x = series.mean[0]
    found = restore.restored(domain, standing, x, k)
    takes = wanted(grid, x[:, None])[:, 0]
    value = float(domain.settings["lost_load"]) / 1e3 * float(domain.settings["repair_h"])
    for bus in np.flatnonzero(dark).tolist():
        yield Risk(grid.assets["bus"][bus].id, "no supply", 1.0, value * float(takes[bus]), found.told(grid))


def relief(domain: "Domain", slope: Floats, x: Floats) -> str:
    """The handle that lowers a row most; slope (n,) of it by the states."""
    grid = domain.grid
    best = (0.0, "nothing here can be steered: strengthen it, or move load away")
    words = {"battery": ("discharge", "charge"), "charger": ("hold back", ""), "pv": ("", "cut")}
    for kind, (less, more) in words.items():
        at = grid.layout[kind, "active_power"]
        takes = slope[at]  # of what the asset takes, or of what a plant gives
        for place, one in enumerate(grid.assets[kind]):
            gain = float(takes[place])
            span = one.number("rated_w") if kind == "battery" else max(0.0, float(x[at][place]))
            word = (less if gain > 0 else more) if kind != "pv" else (more if gain > 0 else less)
            if word and abs(gain) * span > best[0]:
                best = abs(gain) * span, f"{word} {one.id}"
    return best[1]
