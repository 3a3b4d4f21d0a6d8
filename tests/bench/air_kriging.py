"""PM2.5 in Beijing: each of twelve stations held out in turn, over the last quarter of four years; forecasts.

What is judged is the environment domain's filter without the station's readings, its covariance, pace and widening
from the first three quarters only. Beside it the nearest other station, the mean of the others, inverse distances,
kriging of one time alone, and the domain for a place that nobody has ever measured at. Forecasts know the wind up to
their own hour and no further; persistence and climatology stand beside them.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from aggregator.domains.environment import Domain
from aggregator.twin import Flags, Floats, Ints
from aggregator.twin.belief import Belief
from aggregator.twin.calibration import Z90
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.observation import Observation
from aggregator.twin.series import forecast
from tests.bench import Figure
from tests.bench.prsa import SENSOR_SD, Beijing, available, load

GOAL = "each station held out in turn: RMSE ≤ 22.6 µg/m³"
COVERS = "90 % interval covers 87–93 %"
HORIZONS = (1, 6, 24)
ISSUES_EVERY = 12  # hours between forecasts
WEEK_H = 168
WEEKS = {"ci": 10, "full": 1}  # of the judged ones, every so many-th
WARM_UP = 48  # hours before the judged ones in which the filter forgets its prior
WIND_LASTS_H = 8.0  # what is known of the wind is worth half after some five hours


def run(scale: str) -> Iterator[Figure]:
    if missing := available():
        yield Figure("air-kriging", float("nan"), "µg/m³", f"{GOAL}: {missing}", False)
        return
    city = load()
    hours = judged(city, WEEKS[scale])
    yield from held_out(city, hours, elsewhere=scale == "full")
    yield forecasts(city, hours)


def judged(city: Beijing, every: int) -> Flags:
    """(T,) of the last quarter every so many-th week."""
    k = np.arange(len(city.pm25)) - city.cut
    found: Flags = (k >= 0) & (k // WEEK_H % every == 0)
    return found


def held_out(city: Beijing, hours: Flags, elsewhere: bool) -> Iterator[Figure]:
    """`elsewhere`: also for places without history, which takes as long again."""
    domain = city.domain()
    y = np.where(hours[:, None], city.pm25, np.nan)
    mean, sd, new = (np.full_like(y, np.nan) for _ in range(3))
    for station in range(y.shape[1]):
        others = np.arange(y.shape[1]) != station
        mean[:, station], sd[:, station] = guessed(domain, city, hours, station, others)
        if elsewhere:
            new[:, station] = guessed(city.domain(unknown=station), city, hours, station, others)[0]
    beside = {name: rmse(guess, y) for name, guess in partners(domain, y).items()}
    found = rmse(mean, y)
    beside |= {"a place that nobody has measured": rmse(new, y)} if elsewhere else {}
    beside |= {city.stations[i][0]: rmse(mean[:, [i]], y[:, [i]]) for i in range(y.shape[1])}
    yield Figure("air-kriging", found, "µg/m³", GOAL, found <= 22.6, beside)
    widening = ratio(domain, city)
    inside = {name: 100 * covered(y, mean, wide * sd) for name, wide in (("", widening), ("not widened, %", 1.0))}
    covers = inside.pop("")
    yield Figure("air-kriging, coverage", covers, "%", COVERS, 87 <= covers <= 93, inside | {"widening": widening})


def guessed(domain: Domain, city: Beijing, hours: Flags, station: int, others: Flags) -> tuple[Floats, Floats]:
    """(T,) what the filter believes that `station` reads, hearing only the others; its standard deviation."""
    mean, sd = np.full(len(hours), np.nan), np.full(len(hours), np.nan)
    for k, belief in filtered(domain, city, hours, others):
        mean[k], sd[k] = belief.x[station], np.sqrt(belief.variance[station] + SENSOR_SD**2)
    return mean, sd


def filtered(domain: Domain, city: Beijing, hours: Flags, heard: Flags) -> Iterator[tuple[int, Belief]]:
    """The analysis of each of `hours` from readings of the stations in `heard` alone."""
    near = np.convolve(hours, np.ones(WARM_UP + 1))  # hours from which a judged one is at most WARM_UP away
    scheme, belief = Gaussian(), domain.prior(0)
    for k in np.flatnonzero(near[WARM_UP:] > 0).tolist():
        domain.inputs.put("wind_speed", k, np.array([city.wind[k]]))
        belief = scheme.forecast(domain, belief if belief.k == k - 1 else domain.prior(k - 1), k, 1.0)
        channel: Ints = np.flatnonzero(np.isfinite(city.pm25[k]) & heard)
        if len(channel):
            errors, slope = np.full(len(channel), SENSOR_SD**2), domain.H(belief.x, channel, k)
            heard_now = Observation(k, channel, city.pm25[k, channel], errors, slope)
            belief, _ = scheme.analyse(domain, belief, heard_now)
        if hours[k]:
            yield k, belief


def partners(domain: Domain, y: Floats) -> Mapping[str, Floats]:
    """(T, 12) each from the other stations of the same hour."""
    far = domain.air.distance
    seen = np.isfinite(y)
    guesses = {name: np.full_like(y, np.nan) for name in ("nearest station", "mean of the others", "inverse distance")}
    for i in range(y.shape[1]):
        others = np.arange(y.shape[1]) != i
        for name, weight in (
            ("nearest station", (far[i] == far[i][others].min()).astype(np.float64)),
            ("mean of the others", np.ones(len(far))),
            ("inverse distance", 1 / np.maximum(far[i], 1.0) ** 2),
        ):
            share = seen * weight * others
            total = share.sum(axis=1)
            guess = np.nansum(np.where(seen, y, 0.0) * share, axis=1)
            guesses[name][:, i] = np.divide(guess, total, out=np.full(len(y), np.nan), where=total > 0)
    return {**guesses, "kriging of one time": at_one_time(domain, y)[0]}


def at_one_time(domain: Domain, y: Floats) -> tuple[Floats, Floats]:
    """(T, 12) the virtual reference of each reading, and its standard deviation."""
    mean, sd = np.full_like(y, np.nan), np.full_like(y, np.nan)
    for t, row in enumerate(y):
        channel: Ints = np.flatnonzero(np.isfinite(row))
        found = domain.reference(channel, row[channel])
        mean[t, channel], sd[t, channel] = found.mean, np.sqrt(found.variance + SENSOR_SD**2)
    return mean, sd


def ratio(domain: Domain, city: Beijing) -> float:
    """Conformal, from the part that is not judged: what to widen 90 % intervals by (Vovk et al. 2005)."""
    y = city.pm25[: city.cut]
    mean, sd = at_one_time(domain, y)
    z = np.abs(y - mean) / sd
    return float(np.quantile(z[np.isfinite(z)], 0.9)) / Z90


def forecasts(city: Beijing, hours: Flags) -> Figure:
    """Of all stations together, without the hours that follow in any form."""
    domain, horizon = city.domain(), max(HORIZONS)
    usual = float(np.nanmean(city.wind[: city.cut]))
    off: dict[str, list[Floats]] = {}
    for k, belief in filtered(domain, city, hours, np.ones(city.pm25.shape[1], np.bool_)):
        if k % ISSUES_EVERY or k + horizon >= len(city.pm25):
            continue
        wind = city.wind[k] if np.isfinite(city.wind[k]) else usual
        known = domain.inputs
        domain.inputs = known.copied()
        for h in range(1, horizon + 1):
            domain.inputs.put("wind_speed", k + h, np.array([usual + (wind - usual) * np.exp(-h / WIND_LASTS_H)]))
        series = forecast(domain, Gaussian(), belief, horizon)
        domain.inputs = known
        for h in HORIZONS:
            y = city.pm25[k + h]
            for name, guess in (
                (f"{h} h", series.mean[h - 1, : domain.air.p]),
                (f"persistence {h} h", city.pm25[k]),
                (f"climatology {h} h", domain.field.mean),
            ):
                off.setdefault(name, []).append(np.where(np.isfinite(city.pm25[k]), guess - y, np.nan))
    error = {name: float(np.sqrt(np.nanmean(np.square(rows)))) for name, rows in off.items()}
    skill = {f"skill {h} h": 1 - error[f"{h} h"] / error[f"persistence {h} h"] for h in HORIZONS}
    goal = "forecasts with honest skill, persistence beside them: better than it at 1, 6 and 24 h"
    return Figure("air-kriging, forecast", error["24 h"], "µg/m³", goal, min(skill.values()) > 0, {**error, **skill})


def rmse(guess: Floats, y: Floats) -> float:
    return float(np.sqrt(np.nanmean((guess - y) ** 2)))


def covered(y: Floats, mean: Floats, sd: Floats) -> float:
    known = np.isfinite(y) & np.isfinite(mean)
    return float(np.mean(np.abs(y - mean)[known] <= Z90 * sd[known]))
