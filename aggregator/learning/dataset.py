"""From readings to stretches on a model's grid: by quality, gaps and drift marked, with a card of what was left out.

A grid time takes the last usable reading of the period before it, the last `HOLD` periods for inputs; a channel without
one is a gap and ends a stretch, nothing is made up. Drift: a tenth of the time in which a channel's one-step error has
a mean that its scatter does not explain; it is marked, and a person decides.

    NoDataset       nothing usable, said by point
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aggregator.learning.bundling import Linear
from aggregator.learning.identify import filtered
from aggregator.learning.recipe import Recipe, Site
from aggregator.learning.stretch import Stretch
from aggregator.stores.history import Readings
from protos import quality
from protos.quality import Quality, Reason

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HOLD = 10  # periods that an input counts for: what is reported on change stays what it is
DRIFT_PARTS = 10
DRIFT_SDS = 6.0  # of the mean of a tenth: whiteness of the error is assumed, so it is wide
USABLE_DOUBTS = (Reason.SIMULATED, Reason.HISTORICAL, Reason.TIMING)  # uncertain, but measured
KNOWN = np.array([one >> 6 < Quality.BAD and (one >> 6 == 0 or one & 63 in USABLE_DOUBTS) for one in range(256)])
STEPS_MAX = 2_000_000  # of one site: what fits into memory twice


class NoDataset(ValueError):
    """The message says what is missing."""


@dataclass(eq=False)
class PointCard:
    """One point of one site, as it came."""

    point: str
    readings: int = 0
    used: int = 0
    low: float = float("nan")
    high: float = float("nan")
    excluded: Counter[str] = field(default_factory=Counter)  # why → how many


@dataclass(eq=False)
class Card:
    """What the data are: rows, ranges, coverage, what is left out and why."""

    points: list[PointCard] = field(default_factory=list)
    steps: int = 0  # of the grid, all sites
    covered: int = 0  # where every channel and input is there
    gaps: list[tuple[str, int, int]] = field(default_factory=list)  # site, from, steps
    drifts: list[str] = field(default_factory=list)

    @property
    def coverage(self) -> float:
        return self.covered / self.steps if self.steps else 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    stretches: tuple[Stretch, ...]
    card: Card


def collect(recipe: Recipe, found: Mapping[str, Readings], first_ns: int, until_ns: int) -> Dataset:
    """The dataset of first ≤ source time < until from the readings by gateway/device/point. Raises NoDataset."""
    card, stretches = Card(), []
    known = [(int(one.source_ns[0]), int(one.source_ns[-1])) for one in found.values() if len(one)]
    if not known:
        raise NoDataset(f"{recipe.name}: no readings of any of its points in this time; `aggregator points` lists them")
    first_ns, until_ns = max(first_ns, min(a for a, _ in known)), min(until_ns, max(b for _, b in known) + 1)
    for site in recipe.sites:
        stretches += _of_site(recipe, site, found, (first_ns, until_ns), card)
    if not stretches:
        why = "; ".join(f"{one.point}: {one.readings} readings, {one.used} usable" for one in card.points)
        raise NoDataset(f"{recipe.name}: no step at which every channel and input is there ({why})")
    return Dataset(tuple(stretches), card)


def _of_site(
    recipe: Recipe, site: Site, found: Mapping[str, Readings], span: tuple[int, int], card: Card
) -> list[Stretch]:
    period = recipe.period_ns
    k0, k1 = -(-span[0] // period), span[1] // period + 1
    if k1 - k0 > STEPS_MAX:
        raise NoDataset(f"{recipe.name}: {k1 - k0} steps, at most {STEPS_MAX}: a shorter time, or a longer period")
    columns = []
    names = [(one.name, 1) for one in recipe.channels] + [(one.name, HOLD) for one in recipe.inputs]
    for name, hold in names:
        point = PointCard(site.points[name])
        card.points.append(point)
        readings = found.get(site.points[name])
        columns.append(_on_grid(readings, point, k0, k1, period, hold))
    values = np.stack(columns, axis=1)
    there: Bools = np.asarray(np.isfinite(values).all(axis=1))
    card.steps += len(there)
    card.covered += int(there.sum())
    p, stretches = len(recipe.channels), []
    for begin, end, whole in _spans(there):
        if whole:
            stretches.append(Stretch(site.name, k0 + begin, values[begin:end, :p], values[begin:end, p:]))
        else:
            card.gaps.append((site.name, (k0 + begin) * period, end - begin))
    return stretches


def _on_grid(one: Readings | None, card: PointCard, k0: int, k1: int, period: int, hold: int) -> Floats:
    """The last usable value not older than `hold` periods at each grid time, NaN where there is none."""
    grid = np.arange(k0, k1, dtype=np.int64) * period
    if one is None or not len(one):
        return np.full(len(grid), np.nan)
    usable: Bools = KNOWN[one.codes] & np.isfinite(one.values)
    card.readings, card.used = len(one), int(usable.sum())
    for code, count in zip(*np.unique(one.codes[~usable], return_counts=True), strict=True):
        card.excluded[quality.text(int(code)) if code else "not a number"] += int(count)
    t_ns, values = one.source_ns[usable], one.values[usable]
    if not len(t_ns):
        return np.full(len(grid), np.nan)
    card.low, card.high = float(values.min()), float(values.max())
    place = np.searchsorted(t_ns, grid, side="right") - 1
    last = np.maximum(place, 0)
    fresh = (place >= 0) & (grid - t_ns[last] < hold * period)
    return np.where(fresh, values[last], np.nan)


def _spans(there: Bools) -> list[tuple[int, int, bool]]:
    """Begin, end, and whether everything is there."""
    edges = np.flatnonzero(np.diff(there.astype(np.int8))) + 1
    bounds = [0, *(int(one) for one in edges), len(there)]
    return [(a, b, bool(there[a])) for a, b in pairwise(bounds)]


def mark_drift(recipe: Recipe, linear: Linear, stretches: Sequence[Stretch], card: Card) -> None:
    """Tenths of each stretch in which the mean of the one-step error is beyond what its scatter explains."""
    for one in stretches:
        if len(one) < 10 * DRIFT_PARTS:
            continue
        d = filtered(linear, one)[1]
        for part, piece in enumerate(np.array_split(d, DRIFT_PARTS)):
            mean, sd = piece.mean(axis=0), np.maximum(piece.std(axis=0), 1e-12)
            for channel, far in zip(recipe.channels, np.abs(mean) / sd * len(piece) ** 0.5, strict=True):
                if far > DRIFT_SDS:
                    card.drifts.append(f"{one.site}: {channel.name}, tenth {part + 1}: {far:.0f} standard errors off")
