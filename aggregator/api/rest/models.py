"""How models reach the gateways: rollouts, their waves, what each gateway made of it; and what people do about it."""

import msgspec

from aggregator.access.roles import ENGINEERS, VIEWERS
from aggregator.api.items import Items, utc
from aggregator.api.problem import Conflict, Unknown
from aggregator.api.rest.decisions import Newest, Why
from aggregator.api.route import Call, Route
from aggregator.rollout import RolloutError
from aggregator.rollout.course import ABORT_ALPHA, PROMOTE_ALPHA, Course
from aggregator.rollout.plan import Rollout, Stage, unpacked
from aggregator.rollout.sequential import Comparison
from aggregator.rollout.wishes import ACTS, change
from aggregator.stores import StoreError
from aggregator.stores.rollouts import RolloutRow, Rollouts

CAPITAL_MAX = 1e6  # of a bet, as told: beyond it is certain


class Evidence(msgspec.Struct, frozen=True):
    """Of a figure against the old model: capital won against "worse than the margin" and "within it" after so many
    looks, and how much decides."""

    looks: int
    not_worse: float
    not_worse_needs: float
    worse: float
    worse_needs: float


class MemberItem(msgspec.Struct, frozen=True):
    """`stage`: asked, shadow, probation, good, failed, back, cleared; `may_apply` false: no further than the shadow."""

    gateway: str
    cluster: str
    stage: str
    may_apply: bool
    told: bool
    away: bool
    tries: int
    why: str


class RolloutItem(msgspec.Struct, frozen=True):
    """`state`: running, paused, aborting, aborted, done, superseded; `wave`: shadow, first, second, all."""

    id: str
    twin: str
    model: str
    digest: str
    state: str
    wave: str
    begun: str
    wave_since: str
    by: str
    reason: str
    waits_for: str
    good: int
    back: int
    failed: int
    error: Evidence
    kpi: Evidence
    gateways: list[MemberItem]


def rollouts(call: Call) -> Items[RolloutItem]:
    with call.parts.catalogue() as catalogue:
        return Items([item(call, unpacked(row.content)) for row in Rollouts(catalogue).newest(call.query.limit)])


def rollout(call: Call) -> RolloutItem:
    with call.parts.catalogue() as catalogue:
        return item(call, unpacked(found(Rollouts(catalogue), call.path["id"]).content))


def act(call: Call) -> RolloutItem:
    what = call.path["act"]
    if what not in ACTS:
        raise Unknown(f"{what}: no act; there are {', '.join(ACTS)}")
    with call.parts.catalogue() as catalogue:
        table = Rollouts(catalogue)
        row = found(table, call.path["id"])
        try:
            return item(call, change(table, what, row, call.who.name, call.body.why, call.parts.clock.wall_ns()))
        except (RolloutError, StoreError) as error:
            raise Conflict(str(error)) from error


def found(table: Rollouts, name: str) -> RolloutRow:
    try:
        return table.get(name)
    except StoreError as error:
        raise Unknown(str(error)) from error


def item(call: Call, one: Rollout) -> RolloutItem:
    course = Course(call.parts.config.rollout)
    return RolloutItem(
        id=one.id,
        twin=one.twin,
        model=one.title,
        digest=one.digest,
        state=one.state.value,
        wave=one.wave_name,
        begun=utc(one.made_ns),
        wave_since=utc(one.began_ns),
        by=one.person,
        reason=one.reason,
        waits_for=course.waits_for(one, call.parts.clock.wall_ns()) if one.state == "running" else "",
        good=one.count(Stage.GOOD),
        back=one.count(Stage.BACK),
        failed=one.count(Stage.FAILED),
        error=evidence(one.error),
        kpi=evidence(one.kpi),
        gateways=[
            MemberItem(name, m.cluster, m.stage.value, m.apply, m.given, m.away, m.tries, m.why)
            for name, m in sorted(one.members.items())
        ],
    )


def evidence(test: Comparison) -> Evidence:
    fine, worse = (min(bet.capital, CAPITAL_MAX) for bet in (test.fine, test.worse))
    return Evidence(test.seen, fine, 1 / PROMOTE_ALPHA, worse, 1 / ABORT_ALPHA)


ROUTES = (
    Route("GET", "/api/v1/rollouts", rollouts, VIEWERS, "The newest", query=Newest, answer=Items[RolloutItem]),
    Route("GET", "/api/v1/rollouts/{id}", rollout, VIEWERS, "One, with its gateways", answer=RolloutItem),
    Route(
        "POST",
        "/api/v1/rollouts/{id}/{act}",
        act,
        ENGINEERS,
        "Approve, pause, resume, abort",
        body=Why,
        answer=RolloutItem,
    ),
)
