"""A decision: what is to be set where and when, why, from which state, by which model, and how far it has come.

    proposed → approved → dispatched → acknowledged → effective       gained: measured when it is over
        └──────────┴───────────┴────────────┴─────────────┴──→ expired | rejected(reason)

Rules without IO. Every method gives a new decision or raises Refused; `course.py` says what time and gateways do to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from math import ceil
from typing import Any, NamedTuple

from aggregator.decisions import Refused
from aggregator.decisions.policy import Needs, person

REASON_MAX = 500


class State(Enum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    DISPATCHED = "dispatched"  # orders are given, to more gateways from stage to stage
    ACKNOWLEDGED = "acknowledged"  # every gateway concerned has accepted
    EFFECTIVE = "effective"  # … and carries it out
    EXPIRED = "expired"
    REJECTED = "rejected"


RUNNING = (State.DISPATCHED, State.ACKNOWLEDGED, State.EFFECTIVE)
ENDED = (State.EXPIRED, State.REJECTED)


class Act(NamedTuple):
    """An order to be given: `point` device/point of `gateway` = `value` (its internal unit) from start to end, UTC."""

    gateway: str
    point: str
    quantity: str
    value: float
    start_ns: int
    end_ns: int


class Expected(NamedTuple):
    """One indicator over the plan's time, means over steps and members; lower is better."""

    domain: str
    name: str
    without: float
    planned: float
    low: float  # of the gain: without - planned, 5 %
    high: float  # 95 %


class Approval(NamedTuple):
    person: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Basis:
    """Why, from which state, by which model. `expects` begins with the indicator that it is judged by, `forecast` is
    that one without the decision, step by step."""

    domain: str
    why: str  # what the plan says
    t_ns: int  # UTC: the moment of the state
    digest: str  # SHA-256 of what was believed
    model: str  # fingerprint
    plan: str  # optimal or feasible
    cost: float
    without: float  # what it costs without, by the plan's own measure
    expects: Sequence[Expected]
    dt_ns: int
    forecast: Sequence[float]

    @property
    def gain(self) -> float:
        return self.without - self.cost


@dataclass(frozen=True, slots=True)
class Decision:
    """Made by proposal.py from a plan for the city as it is; a scenario's result cannot become one."""

    id: str
    basis: Basis
    acts: tuple[Act, ...]
    needs: Needs
    proposer: str
    proposed_ns: int
    decide_by_ns: int  # approved and begun before, or never
    state: State = State.PROPOSED
    reason: str = ""
    approvals: tuple[Approval, ...] = ()
    changed_ns: int = 0
    stage: int = 0  # of the blast radius
    stage_ns: int = 0  # since when
    begun_ns: int = 0  # 0: nothing was ordered yet
    calibrated: bool = False  # the domain was, when it began
    accepted: frozenset[int] = frozenset()  # acts, by their place, that a gateway has once accepted
    applied: frozenset[int] = frozenset()  # … and carried out
    gained: float | None = None  # of the first indicator, against the forecast without it; None: cannot be told
    settled: bool = False  # measured, or given up: it is over

    @property
    def end_ns(self) -> int:
        return max(one.end_ns for one in self.acts)

    @property
    def gateways(self) -> tuple[str, ...]:
        """In the order of the blast radius."""
        return tuple(dict.fromkeys(one.gateway for one in self.acts))

    @property
    def over(self) -> bool:
        """Nothing will happen to it any more."""
        return self.state in ENDED or self.settled

    def agreed(self, needs: Needs) -> bool:
        """Whether as many persons have approved as are needed."""
        return len({one.person for one in self.approvals}) >= needs.persons

    def reach(self, share: float) -> tuple[str, ...]:
        """The gateways of the present stage: one, a share of them, all."""
        return self.gateways[: stages(len(self.gateways), share)[self.stage]]

    def approve(self, by: str, now_ns: int) -> "Decision":
        """A person agrees; with enough of them it is approved. Raises Refused."""
        who = person(by)
        if self.state is not State.PROPOSED:
            raise Refused(f"{self.id} is {self.state.value}; only what is proposed can be approved")
        if now_ns >= self.decide_by_ns:
            raise Refused(f"{self.id}: too late, the state that it rests on is too old; propose it again")
        if who in (one.person for one in self.approvals):
            raise Refused(
                f"{self.id}: {who} has approved it already; {self.needs.why} takes {self.needs.persons} persons"
            )
        agreed = replace(self, approvals=(*self.approvals, Approval(who, now_ns)), changed_ns=now_ns)
        return agreed.now(State.APPROVED, "", now_ns) if agreed.agreed(self.needs) else agreed

    def reject(self, by: str, why: str, now_ns: int) -> "Decision":
        """A person says no, or takes back what is under way: the caller withdraws its orders. Raises Refused."""
        who = person(by)
        if self.over or (self.state is State.EFFECTIVE and now_ns >= self.end_ns):
            raise Refused(f"{self.id} is over ({self.state.value}); there is nothing to take back")
        return self.now(State.REJECTED, f"{who}: {why or 'no reason given'}", now_ns)

    def settle(self, gained: float | None, now_ns: int) -> "Decision":
        """What it gained was measured, or cannot be."""
        return replace(self, gained=gained, settled=True, changed_ns=now_ns)

    def now(self, state: State, reason: str, now_ns: int) -> "Decision":
        return replace(self, state=state, reason=reason[:REASON_MAX], changed_ns=now_ns)


def stages(gateways: int, share: float) -> tuple[int, ...]:
    """How many gateways each stage reaches: 1, a share, all; without those that would reach no more."""
    return tuple(dict.fromkeys((min(1, gateways), max(1, ceil(share * gateways)), gateways)))


def packed(one: Decision) -> str:
    """As JSON."""
    told = asdict(one)
    told |= {"state": one.state.value, "accepted": sorted(one.accepted), "applied": sorted(one.applied)}
    return json.dumps(told)


def unpacked(text: str) -> Decision:
    told: dict[str, Any] = json.loads(text)
    basis: Mapping[str, Any] = told["basis"]
    parts = {
        "basis": Basis(**{**basis, "expects": [Expected(*one) for one in basis["expects"]]}),
        "acts": tuple(Act(*one) for one in told["acts"]),
        "needs": Needs(*told["needs"]),
        "state": State(told["state"]),
        "approvals": tuple(Approval(*one) for one in told["approvals"]),
        "accepted": frozenset(told["accepted"]),
        "applied": frozenset(told["applied"]),
    }
    return Decision(**{**told, **parts})
