"""A scenario is run: an ensemble of every domain, stepped together in the order of time and of what takes from what.

Members are drawn from what is believed, moved by f and shaken by Q, each with chance of its own; the chance depends on
seed, domain and step alone, so that two scenarios of one seed differ by what was changed and by nothing else (common
random numbers). Couplings carry the mean over members, as the live city's carry its mean: what one domain does not know
does not spread into the next, so spreads of coupled domains are lower bounds.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from aggregator.city.coupling import Coupling
from aggregator.decisions import ScenarioError
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.imagined import Exceedance, Imagined, Indicator, Track
from aggregator.decisions.scenario import AssetChange, InputChange, Scenario, Watch, changed, row_of
from aggregator.domains import module_of
from aggregator.twin import BadModel, Flags, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.domain import Domain, Plan

STEPS_MAX = 100_000  # of all domains together: a week of minutes of five domains is half of it
CELLS_MAX = 200_000_000  # states × members of all domains: 1.6 GB
KEPT_MAX = 4_000_000  # states × times that are kept of one domain: four numbers each, 64 MB
PLAN_STEPS = 48  # a domain's own plan is made for so many steps, and again when they are over
PLAN_S = 5.0  # what a plan may take
FLOW_MEMBERS = 20  # in which a watched flow is looked at: a power flow or a hydraulic run for each, at every step
SOURCE = "scenario"  # of what is put into inputs


class Progress(NamedTuple):
    done: int
    total: int  # steps of all domains
    t_ns: int  # UTC: the end of the last step


@dataclass(eq=False)
class Lane:
    """One domain on its way. `domains` are the same one with the values that count in different spans."""

    name: str
    domains: Mapping[tuple[AssetChange, ...], Domain]
    scenario: Scenario
    begun_ns: int
    X: Floats  # (n, N)
    k: int
    until: int  # the last step
    q_scale: float
    gives: Sequence[Coupling]
    changes: Sequence[InputChange]
    watched: Sequence[tuple[int, Watch]]  # the place among states, or among the flow's assets
    rows: Floats  # (T, inputs) the plan from step `since` on
    since: int = 0
    plan: str = ""
    t_ns: list[int] = field(default_factory=list)
    judged: list[Mapping[str, Floats]] = field(default_factory=list)
    beyond: list[list[Flags]] = field(default_factory=list)
    kept: dict[int, Floats] = field(default_factory=dict)  # step → mean, sd, low, high (4, n)
    keep: frozenset[int] = frozenset()
    notes: dict[str, None] = field(default_factory=dict)  # in the order they came up
    moments: list[tuple[Floats, Floats]] | None = None  # mean and variance of every step, where they are asked for

    def __post_init__(self) -> None:
        self.seed = int.from_bytes(sha256(f"{self.scenario.seed} {self.name}".encode()).digest()[:8], "big")
        last = np.linspace(self.k + 1, self.until, min(self.scenario.times, self.until - self.k))
        self.keep = frozenset(int(k) for k in np.round(last))

    @property
    def dt_ns(self) -> int:
        return next(iter(self.domains.values())).dt_ns

    def domain(self, k: int) -> Domain:
        """As it is in step k."""
        active = self.scenario.assets_at(k * self.dt_ns - self.begun_ns)
        return self.domains[tuple(one for one in active if one.domain == self.name)]

    def put(self, k: int) -> None:
        """What the scenario says of the inputs of step k: the difference from what all others put."""
        for flow in dict.fromkeys(one.flow for one in self.changes):
            inputs, assets = self.domain(k).inputs, self.domain(k).inputs.assets(flow)
            inputs.put(flow, k, np.full(len(assets), np.nan), SOURCE)
            wanted = known = inputs.at(flow, k).copy()
            for one in self.changes:
                if one.flow == flow and one.span.has(k * self.dt_ns - self.begun_ns):
                    other = one.on(wanted, assets)
                    wanted = np.where(np.isnan(other), wanted, other)
                    if one.how != "value" and np.isnan(known).all():
                        nothing = f"nothing gives {self.name}.{flow}: a {one.how} changes nothing, write a value"
                        self.notes[nothing] = None
            touched = (wanted != known) & ~np.isnan(wanted)
            inputs.put(flow, k, np.where(touched, 0.0, np.nan), SOURCE)
            inputs.put(flow, k, np.where(touched, wanted - inputs.at(flow, k), np.nan), SOURCE)

    def step(self) -> None:
        """One more: inputs, the plan's row, f, chance; then what it shows."""
        k = self.k = self.k + 1
        self.put(k)
        domain = self.domain(k)
        u = domain.exogenous(k)
        if self.scenario.steers(self.name):
            u = domain.steer(u, self._row(domain, k), k)
        noise = np.random.Generator(np.random.Philox(key=[self.seed, k]))
        diag, factor = domain.Q(self.X.mean(axis=1), k)
        count = self.X.shape[1]
        self.X = domain.f(self.X, u, k)
        self.X += np.sqrt(self.q_scale * diag)[:, None] * noise.standard_normal((len(diag), count))
        self.X += np.sqrt(self.q_scale) * factor @ noise.standard_normal((factor.shape[1], count))
        if not np.isfinite(self.X).all():
            raise ScenarioError(
                f"{self.scenario.name}: {self.name} gives numbers that are none at step {k}; change less"
            )
        self._show(domain, u, k)

    def _row(self, domain: Domain, k: int) -> Floats:
        if self.name in self.scenario.planned and k >= self.since + len(self.rows):
            self._make_plan(domain, k)
        row = self.rows[min(k - self.since, len(self.rows) - 1)]
        since_ns = k * self.dt_ns - self.begun_ns
        named = [one for one in self.scenario.controls if one.domain == self.name and one.span.has(since_ns)]
        return row_of(domain, named, row)

    def _make_plan(self, domain: Domain, k: int) -> None:
        horizon = min(PLAN_STEPS, self.until - k + 1)
        for later in range(k, k + horizon):
            self.put(later)
        made = domain.plan(Belief.of_members(k - 1, self.X), horizon, PLAN_S)
        self.rows, self.since = made.u, k
        self.plan = self.plan or told(made)

    def _show(self, domain: Domain, u: Floats, k: int) -> None:
        self.t_ns.append(k * self.dt_ns)
        self.judged.append(domain.indicators(self.X, u, k))
        self.beyond.append(self._beyond(domain, k))
        if k in self.keep:
            low, high = np.quantile(self.X, (0.05, 0.95), axis=1)
            self.kept[len(self.t_ns) - 1] = np.array([self.X.mean(axis=1), self.X.std(axis=1, ddof=1), low, high])
        if self.moments is not None:
            self.moments.append((self.X.mean(axis=1), self.X.var(axis=1, ddof=1)))

    def _beyond(self, domain: Domain, k: int) -> list[Flags]:
        """Of each watch the members that are beyond its limit."""
        flows = any(one.flow for _, one in self.watched)
        given = [domain.gives(one, k) for one in self.X.T[:FLOW_MEMBERS]] if flows else []
        found = []
        for i, one in self.watched:
            values = np.array([each[one.quantity][i] for each in given]) if one.flow else self.X[i]
            found.append(values > one.limit if one.above else values < one.limit)
        return found

    def track(self) -> Track:
        numbers = np.array([*self.kept.values()], np.float32)  # (K, 4, n)
        mean, sd, low, high = (numbers[:, i] for i in range(4))
        judged = {name: np.array([each[name] for each in self.judged], np.float32) for name in self.judged[0]}
        beyond = {one.name: np.array([each[i] for each in self.beyond]) for i, (_, one) in enumerate(self.watched)}
        return Track(
            np.array(self.t_ns, np.int64),
            [Indicator(*one) for one in judged.items()],
            [Exceedance(*one) for one in beyond.items()],
            list(self.domain(self.k).states),
            np.array([*self.kept], np.int64),
            mean,
            sd,
            low,
            high,
            self.plan,
        )


def told(plan: Plan) -> str:
    """A plan in words: what people see of it in a result."""
    return f"{plan.status}: {plan.why}; cost {plan.cost:.6g}, without it {plan.without:.6g}"


def run(city: Checkpointed, scenario: Scenario) -> Generator[Progress, None, Imagined]:
    """Yields after every step; stop asking to cancel. The generator's value is the result. Raises ScenarioError."""
    lanes = begin(city, scenario)
    yield from advance(lanes)
    return Imagined(
        scenario.name,
        city.t_ns,
        scenario.seed,
        scenario.members,
        city.digest(),
        {name: one.track() for name, one in lanes.items()},
        [*city.notes, *left_out(city, lanes), *(note for one in lanes.values() for note in one.notes)],
    )


def left_out(city: Checkpointed, lanes: Mapping[str, Lane]) -> list[str]:
    """Notes about the domains that stand still."""
    return [f"{name}: no step of it ends within the horizon" for name in city.standing if name not in lanes]


def advance(lanes: Mapping[str, Lane]) -> Iterator[Progress]:
    """All steps, whose ends first; of those that end together those first that others take from."""
    total, done = sum(one.until - one.k for one in lanes.values()), 0
    while waiting := [one for one in lanes.values() if one.k < one.until]:
        due = min(waiting, key=lambda one: (one.k + 1) * one.dt_ns)
        due.step()
        give(due, lanes)
        done += 1
        yield Progress(done, total, due.k * due.dt_ns)


def give(giver: Lane, lanes: Mapping[str, Lane]) -> None:
    """What the members' mean says, to all who take from it."""
    if not giver.gives:
        return
    given = giver.domain(giver.k).gives(giver.X.mean(axis=1), giver.k)
    t_ns = giver.k * giver.dt_ns
    for one in giver.gives:
        taker = lanes.get(one.takes.domain)
        if taker is None:
            continue  # its step ends after the horizon
        step = t_ns // taker.dt_ns + 1 if one.late else -(-t_ns // taker.dt_ns)
        taker.domain(step).inputs.put(
            one.takes.flow, step, one(given[one.gives.flow]), f"{giver.name}.{one.gives.flow}"
        )


def begin(city: Checkpointed, scenario: Scenario) -> dict[str, Lane]:
    """The domains of which a step ends within the horizon. Raises ScenarioError for what is too large, or cannot be."""
    end_ns = city.t_ns + scenario.horizon_ns
    steps = {name: end_ns // domain.dt_ns - belief.k for name, (domain, belief) in city.standing.items()}
    moving = {name: city.standing[name][0] for name, own in steps.items() if own > 0}
    if not moving:
        shortest = min(domain.dt_ns for domain, _ in city.standing.values()) / 1e9
        raise ScenarioError(f"{scenario.name}: the shortest step takes {shortest:g} s; write a longer horizon")
    for what, have, most, remedy in (
        ("steps", sum(steps[name] for name in moving), STEPS_MAX, "a shorter horizon"),
        ("states × members", sum(one.n for one in moving.values()) * scenario.members, CELLS_MAX, "fewer members"),
        ("states × times", max(one.n for one in moving.values()) * scenario.times, KEPT_MAX, "fewer times"),
    ):
        if have > most:
            raise ScenarioError(f"{scenario.name}: {have:,} {what}, at most {most:,}; write {remedy}")
    return {name: _lane(city, scenario, name, end_ns) for name in moving}


def _lane(city: Checkpointed, scenario: Scenario, name: str, end_ns: int) -> Lane:
    domain, belief = city.standing[name]
    return Lane(
        name,
        _variants(city, scenario, name),
        scenario,
        city.t_ns,
        belief.sample(scenario.members, _draw(scenario.seed, name)),
        belief.k,
        end_ns // domain.dt_ns,
        city.q_scale.get(name, 1.0),
        [one for one in city.couplings if one.gives.domain == name],
        [one for one in scenario.inputs if one.domain == name],
        [(place(city, one), one) for one in scenario.watches if one.domain == name],
        scenario.rows.get(name, np.zeros((0 if name in scenario.planned else 1, len(domain.controls)))),
        belief.k + 1,
    )


def place(city: Checkpointed, watch: Watch) -> int:
    """Of what is watched."""
    if watch.flow:
        kind = module_of(watch.domain).GIVES[watch.quantity].kind
        return [one.id for one in city.city.parts[watch.domain].of(kind)].index(watch.asset)
    states = city.standing[watch.domain][0].states
    return [(one.asset, one.quantity) for one in states].index((watch.asset, watch.quantity))


def _draw(seed: int, name: str) -> int:
    """Every domain has a chance of its own, else their first states would be drawn alike."""
    return int.from_bytes(sha256(f"draw {seed} {name}".encode()).digest()[:8], "big")


def _variants(city: Checkpointed, scenario: Scenario, name: str) -> dict[tuple[AssetChange, ...], Domain]:
    """One for each set of changes that count together, all with the same inputs."""
    own = [one for one in scenario.assets if one.domain == name]
    edges = sorted({0} | {edge for one in own for edge in one.span})
    sets = dict.fromkeys(tuple(one for one in own if one.span.has(edge + 1)) for edge in edges)
    made: dict[tuple[AssetChange, ...], Domain] = {}
    try:
        for active in [(), *sets]:
            made[active] = city.fresh({name: changed(city.city.parts, active)[name]})[name]
    except BadModel as error:
        raise ScenarioError(f"{scenario.name}: {error}") from error
    inputs = made[()].inputs
    for each in made.values():
        each.inputs = inputs
    return made


def finished(steps: Generator[Progress, None, Imagined]) -> Imagined:
    """Run to the end, without telling."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Imagined = end.value
            return result
