"""Two results side by side: what differs, by how much, and how surely. Member by member, of the same chance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aggregator.decisions import ScenarioError
from aggregator.decisions.imagined import Imagined, Track
from aggregator.twin import Floats

LARGEST = 20  # states whose difference is shown


@dataclass(frozen=True, slots=True)
class Line:
    """One number of both. `lower` is the probability that the second is below the first, ties counting half."""

    domain: str
    what: str
    first: float
    second: float
    difference: float  # second - first, mean
    low: float  # 5 % quantile of the difference over members
    high: float  # 95 %
    lower: float


@dataclass(frozen=True, slots=True)
class StateLine:
    """A state at the moment where it differs most, in the unit of the state."""

    domain: str
    asset: str
    quantity: str
    unit: str
    t_ns: int
    first: float
    second: float
    sigmas: float  # the difference over the first's standard deviation


@dataclass(frozen=True, slots=True)
class Comparison:
    first: str
    second: str
    indicators: list[Line]  # means over the whole time
    exceedances: list[Line]  # at any step: probabilities
    states: list[StateLine]  # the largest differences first


def compare(first: Imagined, second: Imagined) -> Comparison:
    """Raises ScenarioError for results that had another beginning, or another chance."""
    if first.pairing != second.pairing:
        names = ("beginning", "seed", "members", "state")
        other = [name for name, a, b in zip(names, first.pairing, second.pairing, strict=True) if a != b]
        raise ScenarioError(
            f"{first.name} and {second.name} have not the same {', '.join(other)}; run them together, with one seed"
        )
    shared = [name for name in first.tracks if name in second.tracks]
    pairs = [(name, first.tracks[name], second.tracks[name]) for name in shared]
    return Comparison(
        first.name,
        second.name,
        [line for pair in pairs for line in _indicators(*pair)],
        [line for pair in pairs for line in _exceedances(*pair)],
        sorted((line for pair in pairs for line in _states(*pair)), key=lambda one: -one.sigmas)[:LARGEST],
    )


def _line(domain: str, what: str, a: Floats, b: Floats) -> Line:
    d = b - a
    low, high = np.quantile(d, (0.05, 0.95))
    lower = float(np.mean((d < 0) + 0.5 * (d == 0)))
    return Line(domain, what, float(a.mean()), float(b.mean()), float(d.mean()), float(low), float(high), lower)


def _indicators(domain: str, a: Track, b: Track) -> Iterator[Line]:
    others = {one.name: one for one in b.indicators}
    for one in a.indicators:
        if one.name in others and one.members.shape == others[one.name].members.shape:
            yield _line(domain, one.name, one.per_member, others[one.name].per_member)


def _exceedances(domain: str, a: Track, b: Track) -> Iterator[Line]:
    others = {one.name: one for one in b.exceedances}
    for one in a.exceedances:
        if one.name in others:
            yield _line(domain, one.name, one.ever, others[one.name].ever)


def _states(domain: str, a: Track, b: Track) -> Iterator[StateLine]:
    """The largest few, each at its worst moment of those that both have kept."""
    both = np.intersect1d(a.t_ns[a.kept], b.t_ns[b.kept])
    here, there = np.isin(a.t_ns[a.kept], both), np.isin(b.t_ns[b.kept], both)
    if not len(both) or a.mean.shape[1] != b.mean.shape[1]:
        return
    mean, other = a.mean[here].astype(np.float64), b.mean[there].astype(np.float64)
    sigmas = np.abs(other - mean) / np.maximum(a.sd[here], 1e-12 + 1e-6 * np.abs(mean))
    worst = sigmas.argmax(axis=0)
    for i in np.argsort(-sigmas.max(axis=0), kind="stable")[:LARGEST]:
        t, name = worst[i], a.states[i]
        if other[t, i] != mean[t, i]:
            numbers = int(both[t]), float(mean[t, i]), float(other[t, i]), float(sigmas[t, i])
            yield StateLine(domain, name.asset, name.quantity, name.unit, *numbers)
