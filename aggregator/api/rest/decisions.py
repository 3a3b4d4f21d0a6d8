"""Decisions and orders: what is proposed and why, who agreed, what became of it; and what people do about it."""

from typing import Annotated

import msgspec

from aggregator.access.roles import OPERATORS, VIEWERS
from aggregator.api.items import Items, utc
from aggregator.api.problem import Conflict, Unknown
from aggregator.api.rest.city import number
from aggregator.api.route import Call, Route
from aggregator.decisions import Refused
from aggregator.decisions.decision import Decision, unpacked
from aggregator.decisions.wishes import ACTS, change
from aggregator.stores import StoreError
from aggregator.stores.decisions import SHOWN_MAX, DecisionRow, Decisions, Told
from aggregator.stores.orders import Orders

WHY_MAX = 500
NOT_GIVEN = Told("", "", "")


class Gain(msgspec.Struct, frozen=True):
    """Of one indicator, per step: without the decision, with it, and between what the difference lies (5 … 95 %)."""

    domain: str
    name: str
    without: float | None
    planned: float | None
    low: float | None
    high: float | None


class ActItem(msgspec.Struct, frozen=True):
    """`fate` empty: not ordered yet."""

    gateway: str
    point: str
    quantity: str
    value: float | None
    start: str
    end: str
    order: str
    fate: str
    reason: str


class Approved(msgspec.Struct, frozen=True):
    person: str
    at: str


class DecisionItem(msgspec.Struct, frozen=True):
    """`digest` is of the state that it rests on, `model` of what foresaw it; `gained` is measured afterwards."""

    id: str
    domain: str
    state: str
    reason: str
    why: str
    plan: str
    proposed: str
    proposer: str
    decide_by: str
    end: str
    persons: int
    persons_why: str
    approvals: list[Approved]
    expects: list[Gain]
    gained: float | None
    gateways: list[str]
    digest: str
    model: str
    acts: list[ActItem]


class Newest(msgspec.Struct, frozen=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=SHOWN_MAX)] = 50


class Why(msgspec.Struct, frozen=True):
    why: Annotated[str, msgspec.Meta(max_length=WHY_MAX)] = ""


class Stop(msgspec.Struct, frozen=True):
    """`gateway` empty: the whole city."""

    why: Annotated[str, msgspec.Meta(min_length=1, max_length=WHY_MAX, pattern=r"\S")]
    gateway: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Stopped(msgspec.Struct, frozen=True):
    gateways: list[str]


class OrderItem(msgspec.Struct, frozen=True):
    """Without a point it is an all-stop."""

    id: str
    gateway: str
    point: str
    value: float | None
    issued: str
    until: str
    by: str
    why: str
    fate: str
    reason: str
    set_to: float | None


def decisions(call: Call) -> Items[DecisionItem]:
    with call.parts.catalogue() as catalogue:
        store = Decisions(catalogue)
        rows = store.newest(call.query.limit)
        return Items([item(unpacked(row.content), store.told(row.id)) for row in rows])


def decision(call: Call) -> DecisionItem:
    with call.parts.catalogue() as catalogue:
        store = Decisions(catalogue)
        row = found(store, call.path["id"])
        return item(unpacked(row.content), store.told(row.id))


def act(call: Call) -> DecisionItem:
    what = call.path["act"]
    if what not in ACTS:
        raise Unknown(f"{what}: no act; there are {', '.join(ACTS)}")
    with call.parts.catalogue() as catalogue:
        store = Decisions(catalogue)
        found(store, call.path["id"])
        try:
            now = call.parts.clock.wall_ns()
            one = change(store, catalogue, call.path["id"], what, call.who.name, call.body.why, now)
        except Refused as error:
            raise Conflict(str(error)) from error
        return item(one, store.told(one.id))


def found(store: Decisions, name: str) -> DecisionRow:
    """Raises Unknown."""
    try:
        return store.get(name)
    except StoreError as error:
        raise Unknown(str(error)) from error


def item(one: Decision, told: dict[int, Told]) -> DecisionItem:
    basis = one.basis
    acts = [
        ActItem(
            each.gateway,
            each.point,
            each.quantity,
            number(each.value),
            utc(each.start_ns),
            utc(each.end_ns),
            *told.get(place, NOT_GIVEN),
        )
        for place, each in enumerate(one.acts[:SHOWN_MAX])
    ]
    return DecisionItem(
        one.id,
        basis.domain,
        one.state.value,
        one.reason,
        basis.why,
        basis.plan,
        utc(one.proposed_ns),
        one.proposer,
        utc(one.decide_by_ns),
        utc(one.end_ns),
        one.needs.persons,
        one.needs.why,
        [Approved(each.person, utc(each.at_ns)) for each in one.approvals],
        [
            Gain(g.domain, g.name, number(g.without), number(g.planned), number(g.low), number(g.high))
            for g in basis.expects
        ],
        number(one.gained),
        list(one.gateways),
        basis.digest,
        basis.model,
        acts,
    )


def orders(call: Call) -> Items[OrderItem]:
    with call.parts.catalogue() as catalogue:
        rows = Orders(catalogue).newest("", call.query.limit)
    return Items(
        [
            OrderItem(
                row.id,
                row.gateway,
                f"{row.device}/{row.point}" if row.point else "",
                number(row.value),
                utc(row.issued_ns),
                utc(row.not_after_ns) if not row.stops else "",
                row.issuer,
                row.why,
                row.fate,
                row.reason,
                number(row.decided),
            )
            for row in rows
        ]
    )


def all_stop(call: Call) -> Stopped:
    """Every order of the centre is revoked at once; the gateways' own controllers take over."""
    wish = call.body
    with call.parts.catalogue() as catalogue:
        enrolled = [one.id for one in catalogue.gateways() if one.state == "enrolled"]
        if wish.gateway and wish.gateway not in enrolled:
            raise Unknown(f"{wish.gateway}: no enrolled gateway")
        reached = [wish.gateway] if wish.gateway else enrolled
        now = call.parts.clock.wall_ns()
        rows = Orders(catalogue).stop(reached, call.who.name, now, wish.why)
    return Stopped([row.gateway for row in rows])


ROUTES = (
    Route("GET", "/api/v1/decisions", decisions, VIEWERS, "The newest", query=Newest, answer=Items[DecisionItem]),
    Route("GET", "/api/v1/decisions/{id}", decision, VIEWERS, "One, with its orders", answer=DecisionItem),
    Route(
        "POST", "/api/v1/decisions/{id}/{act}", act, OPERATORS, "Approve, reject, stop", body=Why, answer=DecisionItem
    ),
    Route(
        "GET",
        "/api/v1/orders",
        orders,
        VIEWERS,
        "The newest, with their fates",
        query=Newest,
        answer=Items[OrderItem],
    ),
    Route("POST", "/api/v1/orders/all-stop", all_stop, OPERATORS, "Revoke every order", body=Stop, answer=Stopped),
)
