"""What may go wrong in the whole city, in one list and one unit, and which plan lowers each most, by how much.

Every domain says what a forecast makes probable and what the loss of one asset would do. Forecasts are ensembles of
the coupled city (run.py), once as it is and once with each domain's plan, of the same chance: so a plan is credited
with what it does to others, and a risk that no plan lowers keeps the action that its domain names.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.criticality import Critical, criticality
from aggregator.decisions.run import PLAN_S, Lane, Progress, advance, begin, left_out
from aggregator.decisions.scenario import Scenario
from aggregator.twin.domain import Plan
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series

MEMBERS = 100
STEPS_MAX = 96  # that a plan is made for: a day of quarters of an hour
NOTHING = 1e-9  # of an expectation: less is rounding

Name = tuple[str, str, str, str]  # domain, kind, asset, what


@dataclass(frozen=True, slots=True)
class Ranked:
    """`lowered` is the expectation with the plan that lowers it most, `plan` whose that is; None where none does."""

    domain: str
    kind: str  # "forecast", or "N-1"
    asset: str
    what: str
    probability: float
    consequence: float
    expected: float  # probability × consequence, in the city's unit
    action: str
    plan: str = ""
    lowered: float | None = None

    @property
    def name(self) -> Name:
        return self.domain, self.kind, self.asset, self.what


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that was tried: what it costs by its own measure, and the sum of all expectations with it."""

    domain: str
    status: str
    why: str
    cost: float
    without: float
    expected: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """Of one moment. `expected` is the sum over `risks` as it is."""

    t_ns: int
    horizon_ns: int
    digest: str
    risks: list[Ranked]  # the largest expectation first
    critical: list[Critical]  # the largest loss first
    plans: list[Planned]
    notes: list[str]

    @property
    def expected(self) -> float:
        return sum(one.expected for one in self.risks)


def assess(city: Checkpointed, horizon_ns: int, seed: int = 0) -> Generator[Progress, None, Assessment]:
    """Yields after every step of every run. Raises ScenarioError for a horizon that is too short or too long."""
    base = Scenario("as it is", horizon_ns, members=MEMBERS, seed=seed, times=1)
    plans = dict(_plans(city, horizon_ns))
    runs = 1 + len(plans)
    lanes = yield from _run(city, base, 0, runs)
    found = {one.name: one for one in _risks(city, lanes)}
    planned = []
    for number, (name, plan) in enumerate(plans.items(), 1):
        steered = yield from _run(city, replace(base, rows={name: plan.u}), number, runs)
        others = {one.name: one for one in _risks(city, steered)}
        found = {key: _lowered(one, name, others) for key, one in found.items()}
        total = sum(one.expected for one in others.values())
        planned.append(Planned(name, plan.status, plan.why, plan.cost, plan.without, total))
    ranked = sorted(found.values(), key=lambda one: (-one.expected, one.name))
    notes = [*city.notes, *left_out(city, lanes)]
    return Assessment(city.t_ns, horizon_ns, city.digest(), ranked, _critical(city, lanes), planned, notes)


def _plans(city: Checkpointed, horizon_ns: int) -> Iterator[tuple[str, Plan]]:
    """Of every domain that can do something."""
    for name, domain in city.fresh().items():
        belief = city.standing[name][1]
        steps = min(STEPS_MAX, (city.t_ns + horizon_ns) // domain.dt_ns - belief.k)
        if domain.controls and steps > 0:
            plan = domain.plan(belief, steps, PLAN_S)
            if plan.status != "fallback":
                yield name, plan


def _run(
    city: Checkpointed, scenario: Scenario, number: int, runs: int
) -> Generator[Progress, None, Mapping[str, Lane]]:
    lanes = begin(city, scenario)
    for one in lanes.values():
        one.moments = []
    for step in advance(lanes):
        yield Progress(number * step.total + step.done, runs * step.total, step.t_ns)
    return lanes


def _series(city: Checkpointed, lane: Lane) -> Series:
    mean, variance = (np.array(each) for each in zip(*(lane.moments or []), strict=True))
    return Series(city.standing[lane.name][1].k, lane.dt_ns, mean, variance)


def _risks(city: Checkpointed, lanes: Mapping[str, Lane]) -> Iterator[Ranked]:
    for name, lane in lanes.items():
        domain, belief, series = lane.domain(lane.k), city.standing[name][1], _series(city, lane)
        for kind, some in (("forecast", domain.risks(series)), ("N-1", domain.contingencies(belief, series))):
            for one in some:
                if one.expected > NOTHING:
                    yield _ranked(name, kind, one)


def _ranked(name: str, kind: str, one: Risk) -> Ranked:
    return Ranked(name, kind, one.asset, one.what, one.probability, one.consequence, one.expected, one.action)


def _lowered(one: Ranked, plan: str, others: Mapping[Name, Ranked]) -> Ranked:
    """With this plan, if none so far lowers it more."""
    expected = others[one.name].expected if one.name in others else 0.0
    best = one.expected if one.lowered is None else one.lowered
    return replace(one, plan=plan, lowered=expected) if expected < best - NOTHING else one


def _critical(city: Checkpointed, lanes: Mapping[str, Lane]) -> list[Critical]:
    found: list[Critical] = []
    for name, lane in lanes.items():
        domain = lane.domain(lane.k)
        found += criticality(name, domain, domain.contingencies(city.standing[name][1], _series(city, lane)))
    return sorted(found, key=lambda one: (-one.loss, -one.betweenness, one.domain, one.asset))
