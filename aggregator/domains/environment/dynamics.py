"""How the air moves: what is in it is carried off and forgotten, what is given off is mixed in. A box per place.

    dc/dt = e + s - λ c,   λ = 1/τ + v/L + fans,   e = μ (1/τ + v̄/L) · heating
    c(k) = φ c(k-1) + (1 - φ)/λ · (e + s),   φ = exp(-λ dt)

At the usual wind v̄ and without sources c returns to its usual level μ; stronger wind v holds it lower. A source acts on
its surroundings, the further away the less, and more down the wind. Every sensor's zero drifts: b(k) = ρ b(k-1) + w.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import minimum_spanning_tree

from aggregator.domains.environment.air import Air
from aggregator.domains.environment.field import Field
from aggregator.twin import Floats
from aggregator.twin.model import Sparse

WARM = 15.0  # degC from which on nobody heats
CALM = 2.0  # m/s: below it smoke goes up rather than away
UG_PER_G = 1e6
DAY_S = 86_400.0
NEIGHBOURS = 4  # in the graph of places
BESIDE_M = 1.0  # in the graph: from a sensor's drift, or another pollutant, to the place


@dataclass(frozen=True, eq=False)
class Drive:
    """The exogenous input u, by its parts."""

    pm25: Floats  # (cells,) g/h
    nox: Floats  # (cells,) g/h
    wind: Floats  # (zones,) m/s
    towards: Floats  # (zones,) deg, where it comes from
    warmth: Floats  # (zones,) degC
    restricted: Floats  # (zones,) 0…1
    advised: Floats  # (zones,) 0…1
    fans: Floats  # (fans,) 0…1

    def u(self) -> Floats:
        return np.concatenate([getattr(self, name) for name in self.__dataclass_fields__])

    @classmethod
    def of(cls, u: Floats, air: Air) -> "Drive":
        cells, zones, fans = len(air.cells), len(air.zones), len(air.fans)
        return cls(*np.split(u, np.cumsum([cells, cells, *[zones] * 5, fans])[:-1]))


@dataclass(frozen=True, eq=False)
class Weather:
    """What a drive does to each place (p,), with the field's λ."""

    air: Air
    field: Field
    drive: Drive

    def _at_places(self, of_zones: Floats, otherwise: float) -> Floats:
        """(p,) of the zone that a place is in, the mean of all where it is in none."""
        if not len(of_zones):
            return np.full(self.air.p, otherwise)
        zone = self.air.zone_of
        return np.where(zone >= 0, of_zones[zone], of_zones.mean())

    @cached_property
    def wind(self) -> Floats:
        return np.maximum(self._at_places(self.drive.wind, self.air.number("wind_usual")), 0.0)

    @cached_property
    def λ(self) -> Floats:
        """(p,) 1/s."""
        return 1 / self.field.memory_s + self.wind / self.field.flushed_m + self.air.fanned @ self.drive.fans

    @cached_property
    def φ(self) -> Floats:
        """(p,) of one step."""
        return np.exp(-self.λ * self.air.number("step_s"))

    def gain(self) -> Floats:
        """(values,) ug/m3 that one step mixes in."""
        cold = np.maximum(WARM - self._at_places(self.drive.warmth, WARM), 0.0)
        usual = 1 / self.field.memory_s + self.air.number("wind_usual") / self.field.flushed_m
        backs = self.field.mean.reshape(-1, self.air.p) * usual * (1 + self.air.number("heating") * cold)
        found: Floats = ((backs + self.sources()) * ((1 - self.φ) / self.λ)).ravel()
        return found

    def sources(self) -> Floats:
        """(pollutants, p) ug/m3/s from what cells give off."""
        one, drive = self.air, self.drive
        if not (drive.pm25.any() or drive.nox.any()):
            return np.zeros((len(one.pollutants), one.p))
        left = 1 - one.restrictable @ drive.restricted
        given = {"pm25": drive.pm25, "no2": one.number("no2_share") * drive.nox}
        area = np.array([one.places[i].number("area_m2") for i in one.cells])
        rate = UG_PER_G / 3600 / (area * one.number("mixing_m"))
        return np.stack([self.reach() @ (rate * left * given[name]) for name in one.pollutants])

    def reach(self) -> Floats:
        """(p, cells) how much a source counts at a place: fading, and lopsided down the wind."""
        one = self.air
        far = one.distance[:, one.cells]
        away = one.xy[:, None, :] - one.xy[None, one.cells, :]
        comes = np.radians(self._at_places(self.drive.towards, 0.0))
        down = -(away[..., 0] * np.sin(comes)[:, None] + away[..., 1] * np.cos(comes)[:, None])
        cosine = np.divide(down, far, out=np.zeros_like(far), where=far > 0)
        lopsided = np.minimum(self.wind / CALM, 1.0)[:, None]
        found: Floats = np.exp(-far / one.number("disperses_m")) * (1 + lopsided * cosine)
        return found


def f(air: Air, field: Field, X: Floats, u: Floats) -> Floats:
    """(n, N)."""
    weather = Weather(air, field, Drive.of(u, air))
    stays = np.concatenate([np.tile(weather.φ, len(air.pollutants)), np.full(air.n - air.values, drift(air)[0])])
    moved = stays[:, None] * X
    moved[: air.values] += weather.gain()[:, None]
    return moved


def Q(air: Air, field: Field, x: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Deviations as wide as usual at the level of x; drifts each alone."""
    φ = np.tile(Weather(air, field, Drive.of(u, air)).φ, len(air.pollutants))
    B = np.zeros((air.n, field.factor.shape[1]))
    B[: air.values] = (np.sqrt(1 - φ**2) * field.level(x[: air.values]))[:, None] * field.factor
    return np.concatenate([np.zeros(air.values), np.full(air.n - air.values, drift(air)[1])]), B


def drift(air: Air) -> tuple[float, float]:
    """ρ and the variance of a step."""
    days = air.number("step_s") / DAY_S
    return float(np.exp(-days / air.number("drift_days"))), air.number("drift_per_day") ** 2 * days


def drift_variance(air: Air) -> float:
    """Of a drift in the long run."""
    ρ, q = drift(air)
    return q / (1 - ρ**2)


def distances(air: Air) -> Sparse:
    """(n, n) m: each place to its nearest and all to each other somehow; a drift, and other pollutants, beside."""
    p, far = air.p, np.maximum(air.distance, BESIDE_M)
    near = np.zeros((p, p), np.bool_)
    ranked = np.argsort(air.distance, axis=1)[:, : NEIGHBOURS + 1]
    near[np.repeat(np.arange(p), ranked.shape[1]), ranked.ravel()] = True
    near |= minimum_spanning_tree(sp.csr_array(far * (1 - np.eye(p)))).toarray() > 0
    near = (near | near.T) & ~np.eye(p, dtype=np.bool_)
    graph = np.zeros((air.n, air.n))
    for q in range(len(air.pollutants)):
        graph[q * p : (q + 1) * p, q * p : (q + 1) * p] = np.where(near, far, 0.0)
        if q:
            graph[np.arange(p), q * p + np.arange(p)] = graph[q * p + np.arange(p), np.arange(p)] = BESIDE_M
    drifts = np.arange(air.values, air.n)
    graph[drifts, air.sensed] = graph[air.sensed, drifts] = BESIDE_M
    return sp.csr_array(graph)
