"""From a plan for the city as it is to a decision: orders with their times, and what they are expected to gain.

The expectation is an ensemble with the plan against one without, of the same chance (run.py): all domains, coupled, so
that what one gains and another loses shows. It is not the plan's own cost, which is what the solver minimised.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from aggregator.decisions import Refused
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.comparison import Line, compare
from aggregator.decisions.decision import Act, Basis, Decision, Expected
from aggregator.decisions.imagined import Imagined
from aggregator.decisions.policy import Policy
from aggregator.decisions.run import finished, run
from aggregator.decisions.scenario import NS, Scenario
from aggregator.twin.domain import Control, Domain, Plan
from aggregator.twin.part import Wire

MEMBERS = 50
ACTS_MAX = 20_000  # of one decision: a thousand actuators, twenty changes each
CHANGED = 1e-6  # share of an indicator: less is rounding
SLACK = 1e-9  # numbers that differ by less are the same order


def propose(
    city: Checkpointed, domain: str, plan: Plan, policy: Policy, proposer: str, now_ns: int, enrolled: int
) -> Decision:
    """Raises Refused for what is no plan, gains nothing, sets nothing, or rests on a state that is too old.

    `enrolled`: gateways of the city, which says what is city-wide.
    """
    if isinstance(plan, Imagined) or not isinstance(plan, Plan):
        raise Refused(f"{type(plan).__name__} is no plan: what was imagined is never sent; plan for the city as it is")
    if plan.status == "fallback":
        raise Refused(f"{domain}: {plan.why}; there is nothing to carry out")
    model, belief = city.standing[domain]
    acts = tuple(acts_of(model, plan, belief.k, actuators(city, domain), policy, now_ns))
    if not 0 < len(acts) <= ACTS_MAX:
        remedy = "plan for fewer steps" if acts else "give its assets points that `sets` them"
        raise Refused(f"{domain}: the plan has {len(acts)} orders from now on, 1 to {ACTS_MAX} can be; {remedy}")
    fresh_ns = (belief.k + 1) * model.dt_ns + int(policy.approve_s * NS)  # a state counts until the next one is due
    if now_ns >= fresh_ns:
        raise Refused(f"{domain}: the state is too old, by {(now_ns - fresh_ns) // NS} s; plan again from a fresh one")
    basis = judged(city, domain, plan)
    first = basis.expects[0]
    if not policy.worth(first.without - first.planned, first.without):
        raise Refused(
            f"{domain}: {first.name} would be {first.planned:.4g}, without it {first.without:.4g}; not worth it"
        )
    identity = sha256(f"{domain} {basis.digest} {now_ns} {acts}".encode()).hexdigest()[:10]
    decide_by_ns = min(fresh_ns, max(one.end_ns for one in acts))
    needs = policy.needs(domain, acts, enrolled)
    ordered = spread(acts, identity)
    return Decision(f"d-{identity}", basis, ordered, needs, proposer, now_ns, decide_by_ns, changed_ns=now_ns)


def actuators(city: Checkpointed, domain: str) -> Mapping[str, Wire]:
    return {one.point: one for one in city.city.parts[domain].actuators}


def acts_of(model: Domain, plan: Plan, k: int, wires: Mapping[str, Wire], policy: Policy, now_ns: int) -> Iterator[Act]:
    """One for each stretch of steps in which a point has one value, no longer than an order may last."""
    longest = max(1, int(policy.order_s * NS) // model.dt_ns)
    for column, control in enumerate(model.controls):
        if not control.point:
            continue  # people carry it out
        values = [float(one) for one in plan.u[:, column]]
        for first, last in stretches(values, longest):
            start_ns, end_ns = ((k + step) * model.dt_ns for step in (first, last))
            if end_ns > now_ns + NS:
                yield _act(control, values[first], wires.get(control.point), start_ns, end_ns)


def stretches(values: Sequence[float], longest: int) -> Iterator[tuple[int, int]]:
    """[first, last) of equal values, at most `longest` steps."""
    first = 0
    for i in range(1, len(values) + 1):
        if i == len(values) or i - first >= longest or abs(values[i] - values[first]) > SLACK * abs(values[first]):
            yield first, i
            first = i


def _act(control: Control, value: float, wire: Wire | None, start_ns: int, end_ns: int) -> Act:
    if not math.isfinite(value):
        raise Refused(f"{control.point}: the plan says {value}; that is no value that can be set")
    gateway, _, point = control.point.partition("/")
    own = value if wire is None else (value - wire.offset) / wire.scale
    return Act(gateway, point, control.quantity, own, start_ns, end_ns)


def spread(acts: Sequence[Act], identity: str) -> tuple[Act, ...]:
    """In the order of the blast radius: another gateway goes first each time, or the same one bears every risk."""
    ranks = {one.gateway: sha256(f"{identity} {one.gateway}".encode()).digest() for one in acts}
    return tuple(sorted(acts, key=lambda one: (ranks[one.gateway], one.start_ns, one.point)))


def judged(city: Checkpointed, domain: str, plan: Plan) -> Basis:
    """What the city becomes with it and without, over the plan's time."""
    model, belief = city.standing[domain]
    end_ns = (belief.k + len(plan.u)) * model.dt_ns
    plain = Scenario("without", end_ns - city.t_ns, members=MEMBERS, times=1)
    steered = Scenario("planned", end_ns - city.t_ns, members=MEMBERS, times=1, rows={domain: plan.u})
    without, planned = (finished(run(city, one)) for one in (plain, steered))
    lines = compare(without, planned).indicators
    own = [one for one in lines if one.domain == domain]
    first = next((one for one in own if changes(one)), own[0])
    lines = sorted(lines, key=lambda one: (one is not first, one.domain != domain))
    forecast = next(one.mean for one in without.tracks[domain].indicators if one.name == first.what)
    return Basis(
        domain,
        plan.why,
        belief.k * model.dt_ns,
        city.digest(domain),
        city.fingerprint(domain),
        plan.status,
        plan.cost,
        plan.without,
        [Expected(one.domain, one.what, one.first, one.second, -one.high, -one.low) for one in lines],
        model.dt_ns,
        [float(one) for one in forecast],
    )


def changes(one: Line) -> bool:
    """A domain names what matters most first; the first of these that the plan changes is what it is judged by."""
    return abs(one.second - one.first) > CHANGED * max(abs(one.first), abs(one.second))
