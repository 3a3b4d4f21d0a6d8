"""A city with seeded incidents: sensors that fail in five ways, and a world that does so in four. Truth is simulated.

The air over six stations and nine watches of safety, in steps of five minutes: days without anything, from which the
detectors learn what is usual, then incidents one after another in places and sizes drawn from the seed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aggregator.domains import environment, safety
from aggregator.domains.safety.kinds import HAZARDS
from aggregator.twin import Floats, Ints
from aggregator.twin.domain import Domain
from aggregator.twin.part import Asset, Key, Part, Wire

STEP_S = 300
QUIET = 1400  # steps before the first incident: the usual pattern is learned from a thousand of them
EVERY = 110  # steps from one incident to the next: each is over before the next
SMALL, LARGE = 0.25, 1.25  # sizes are drawn between: the small ones hide in the noise, or pass no limit
FAULTS = ("spike", "noise", "drift", "stuck", "gateway")
WORLD = ("flood", "gas", "crowd", "plume")
WATCHES = (
    *(("flood", 1.0, 2.5, 0.1, 0.2), ("flood", 0.2, 0.8, 0.05, 0.1), ("flood", 0.5, 1.5, 0.08, 0.15)),
    *(("crowd", 0.5, 4.0, 0.3, 0.4), ("crowd", 0.8, 4.0, 0.3, 0.4), ("gas", 1.0, 20.0, 1.0, 1.0)),
    *(("gas", 1.0, 20.0, 1.0, 1.0), ("smoke", 2.0, 15.0, 1.0, 0.5), ("slope", 0.0, 0.05, 0.004, 0.002)),
)


@dataclass(frozen=True, slots=True)
class Incident:
    """Steps `begin` to `end`; channels of `domain` that are touched. `over`: when a limit is passed, where one is."""

    kind: str
    domain: str
    channels: tuple[int, ...]
    begin: int
    end: int
    over: int | None = None
    size: float = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class Course:
    """y (steps, C) of one domain's channels, from step 1."""

    domain: Domain
    y: Floats
    sd: Floats


def settings(keys: Mapping[str, Key], **changed: float | str) -> dict[str, float | str]:
    return {name: key.default for name, key in keys.items() if key.default is not None} | changed


def air() -> environment.Domain:
    usual = {name: float(key.default or 0) for name, key in environment.KINDS["station"].keys.items()}
    spots = [(8.50, 47.36), (8.52, 47.36), (8.54, 47.365), (8.50, 47.38), (8.52, 47.385), (8.54, 47.39)]
    stations = [Asset(f"station-{i}", "station", usual, lon=lon, lat=lat) for i, (lon, lat) in enumerate(spots)]
    wires = [Wire(f"air-{i // 3}/station/{i}", f"station-{i}", "pm25", 1.0) for i in range(len(spots))]
    chosen = settings(
        environment.SETTINGS, step_s=STEP_S, pollutants="pm25", steady=1.0, spread=0.4, drift_per_day=0.02
    )
    return environment.build(Part("environment", stations, wires, chosen))


def watched() -> safety.Domain:
    usual = {name: key.default for name, key in safety.KINDS["watch"].keys.items() if key.default is not None}
    assets = [
        Asset(
            f"watch-{i}",
            "watch",
            usual | {"hazard": hazard, "usual": level, "limit": limit, "spread": spread, "trend": trend},
            lon=8.50 + 0.01 * (i % 3),
            lat=47.36 + 0.01 * (i // 3),
        )
        for i, (hazard, level, limit, spread, trend) in enumerate(WATCHES)
    ]
    wires = [
        Wire(f"safety-{i // 3}/watch/{i}", f"watch-{i}", HAZARDS[hazard], 0.2 * spread)
        for i, (hazard, _, _, spread, _) in enumerate(WATCHES)
    ]
    return safety.build(Part("safety", assets, wires, settings(safety.SETTINGS, step_s=STEP_S)))


def planned(rng: np.random.Generator, rounds: int) -> list[Incident]:
    """Each kind once in each round, in an order of its own."""
    found = []
    begin = QUIET
    for _ in range(rounds):
        for kind in rng.permutation([*FAULTS, *WORLD]).tolist():
            found.append(drawn(rng, kind, begin + int(rng.integers(0, 20))))
            begin += EVERY
    return found


def drawn(rng: np.random.Generator, kind: str, begin: int) -> Incident:
    lasts = {"spike": 1, "noise": 36, "drift": 72, "stuck": 48, "gateway": 24, "flood": 36, "gas": 12, "crowd": 24}
    domain = "environment" if kind == "plume" or (kind in FAULTS and rng.random() < 0.5) else "safety"
    channels: tuple[int, ...]
    if kind in WORLD[:3]:
        channels = (int(rng.choice([i for i, one in enumerate(WATCHES) if one[0] == kind])),)
    elif kind == "gateway":
        group = int(rng.integers(2 if domain == "environment" else 3))
        channels = (3 * group, 3 * group + 1, 3 * group + 2)
    else:
        channels = (int(rng.integers(6 if domain == "environment" else len(WATCHES))),)
    size = float(rng.uniform(SMALL, LARGE))
    return Incident(kind, domain, channels, begin, begin + lasts.get(kind, 24), size=size)


def city(seed: int, rounds: int) -> tuple[list[Course], list[Incident]]:
    rng = np.random.default_rng(seed)
    incidents = planned(rng, rounds)
    steps = QUIET + EVERY * len(incidents) + EVERY
    courses, known = [], []
    for domain in (air(), watched()):
        own = [one for one in incidents if one.domain == domain.name]
        truth = simulated(domain, steps, [one for one in own if one.kind in WORLD], rng)
        sd = np.array([one.sd for one in part_of(domain).sensors])
        channel: Ints = np.arange(len(domain.channels))
        exact = np.array([domain.h(x[:, None], channel, k)[:, 0] for k, x in enumerate(truth, 1)])
        y = exact + sd * rng.standard_normal(exact.shape)
        for one in own:
            if one.kind in FAULTS:
                broken(y, one, sd, rng)
        courses.append(Course(domain, y, sd))
        known += [passed(domain, one, exact) for one in own]
    return courses, sorted(known, key=lambda one: one.begin)


def part_of(domain: Domain) -> Part:
    return domain.air.part if isinstance(domain, environment.Domain) else domain.ground.part  # type: ignore[attr-defined]


def simulated(domain: Domain, steps: int, events: list[Incident], rng: np.random.Generator) -> Iterator[Floats]:
    """(n,) each step: the model's own truth, pushed where something happens."""
    x = domain.prior(0).sample(1, seed=int(rng.integers(1 << 30)))[:, 0]
    for k in range(1, steps + 1):
        diag, factor = domain.Q(x, k)
        shaken = np.sqrt(diag) * rng.standard_normal(domain.n) + factor @ rng.standard_normal(factor.shape[1])
        x = domain.f(x[:, None], domain.exogenous(k), k)[:, 0] + shaken
        for one in events:
            if one.begin <= k < one.end:
                x[one.channels[0]] += push(one)
        yield x


def push(one: Incident) -> float:
    """Per step: a flood comes within two hours, gas at once, a crowd in an hour and a half; a plume stays."""
    if one.kind == "plume":
        return 3.0 * one.size
    _, level, limit, _, _ = WATCHES[one.channels[0]]
    share = {"flood": 24, "gas": 4, "crowd": 14}[one.kind]
    return (limit - level) / share * 1.2 * one.size


def passed(domain: Domain, one: Incident, exact: Floats) -> Incident:
    """With the step at which the true level passes its limit."""
    if one.kind not in WORLD[:3]:
        return one
    above = np.flatnonzero(exact[one.begin - 1 : one.end + EVERY // 2, one.channels[0]] > WATCHES[one.channels[0]][2])
    over = one.begin + int(above[0]) if len(above) else None
    return replace(one, over=over)


def broken(y: Floats, one: Incident, sd: Floats, rng: np.random.Generator) -> None:
    """What failing sensors read instead, in y; sizes in what usual readings scatter by."""
    rows = slice(one.begin - 1, one.end - 1)
    for channel in one.channels:
        unit = float(y[: QUIET - 1, channel].std())
        if one.kind == "spike":
            y[rows, channel] += rng.choice([-1.0, 1.0]) * (4 * unit + 10 * sd[channel]) * one.size
        elif one.kind == "noise":
            y[rows, channel] += 5 * one.size * sd[channel] * rng.standard_normal(one.end - one.begin)
        elif one.kind == "drift":
            y[rows, channel] += np.linspace(0, 1, one.end - one.begin) * (2 * unit + 5 * sd[channel]) * one.size
        elif one.kind == "stuck":
            y[rows, channel] = y[one.begin - 2, channel] + unit * one.size  # a little off its last good value
        else:
            y[rows, channel] += (unit + 2 * sd[channel]) * one.size
