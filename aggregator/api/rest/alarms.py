"""Alarms after ISA-18.2: as they stand, what happened, and what operators do about them, several at once."""

from typing import Annotated

import msgspec

from aggregator.access.roles import OPERATORS, VIEWERS
from aggregator.api.atlas import Atlas
from aggregator.api.items import Items, Paged, Time, utc
from aggregator.api.parts import time_of
from aggregator.api.problem import Fault, Invalid
from aggregator.api.rest.city import number
from aggregator.api.route import Call, Route
from aggregator.stores.city import AlarmRow

HIDDEN = ("normal", "shelved", "out of service")
ACTS = ("acknowledge", "shelve", "unshelve", "out-of-service", "in-service")
REASONED = ("shelve", "out-of-service")  # what hides an alarm says why
SHELF_MAX_NS = 24 * 3_600 * 1_000_000_000
AT_ONCE = 500


class AlarmItem(msgspec.Struct, frozen=True):
    """`priority` 1 is the most urgent. `place` is where on the map: the asset itself, or what its point is at."""

    asset: str
    condition: str
    domain: str
    state: str
    priority: int
    since: str
    value: float | None
    limit: float | None
    action: str
    why: str
    place: str


class Wanted(msgspec.Struct, frozen=True):
    """`state` empty: those that stand; all: each that there ever was."""

    state: str = ""
    domain: str = ""


class TransitionItem(msgspec.Struct, frozen=True):
    number: int
    at: str
    asset: str
    condition: str
    before: str
    after: str
    why: str


class Name(msgspec.Struct, frozen=True):
    asset: str
    condition: str


class Act(msgspec.Struct, frozen=True):
    """`until` is for shelving: RFC 3339, at most a day ahead."""

    alarms: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=AT_ONCE)]
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    until: Time = ""


class Answer(msgspec.Struct, frozen=True):
    """`wrong` empty: the server does it within a second."""

    asset: str
    condition: str
    wrong: str


class Answers(msgspec.Struct, frozen=True):
    answers: list[Answer]


def alarms(call: Call) -> Items[AlarmItem]:
    asked = call.query
    with call.parts.city_store() as store:
        rows = store.alarms()
    items = [item_of(row, call.parts.atlas) for row in rows]
    if asked.state != "all":
        items = [one for one in items if (one.state == asked.state if asked.state else one.state not in HIDDEN)]
    return Items([one for one in items if asked.domain in ("", one.domain)])


def item_of(row: AlarmRow, atlas: Atlas) -> AlarmItem:
    place = row.asset if row.asset in atlas.assets else atlas.at.get(row.asset, "")
    domain = atlas.assets[place][0] if place else row.asset.partition(" ")[0]
    return AlarmItem(
        row.asset,
        row.condition,
        domain if domain in atlas.columns else "",
        row.state,
        row.priority,
        utc(row.since_ns),
        number(row.value),
        number(row.limit),
        row.action,
        row.why,
        place,
    )


def journal(call: Call) -> Items[TransitionItem]:
    with call.parts.city_store() as store:
        rows = store.transitions(call.query.limit, call.query.place or 0)
    items = [
        TransitionItem(one.number, utc(one.at_ns), one.asset, one.condition, one.before, one.after, one.why)
        for one in rows
    ]
    return Items(items, str(rows[-1].number) if rows else None)


def act(call: Call) -> Answers:
    """Into the server's hands, and into the audit; each alarm is answered for alone."""
    what, wish, now = call.path["act"], call.body, call.parts.clock.wall_ns()
    if what not in ACTS:
        raise Invalid(f"{what}: no act; there are {', '.join(ACTS)}")
    if what in REASONED and not wish.why.strip():
        raise Invalid("why: say why; everybody is shown it", [Fault("$.why", "is missing")])
    until = shelf_end(wish.until, now) if what == "shelve" else 0
    answers = []
    with call.parts.city_store(write=True) as store, call.parts.catalogue() as catalogue:
        known = {(row.asset, row.condition): row for row in store.alarms()}
        for one in wish.alarms:
            row = known.get((one.asset, one.condition))
            wrong = "no such alarm" if row is None else ""
            if row is not None and what == "acknowledge" and row.state not in ("unacknowledged", "returned"):
                wrong = f"is {row.state}: there is nothing to acknowledge"
            if not wrong:
                detail = f"{one.condition} {wish.why}".strip()
                catalogue.note(now, call.who.name, f"alarm {what}", one.asset, detail)
                store.ask(what, one.asset, one.condition, call.who.name, wish.why, now, until)
            answers.append(Answer(one.asset, one.condition, wrong))
    return Answers(answers)


def shelf_end(until: str, now_ns: int) -> int:
    """Raises Invalid."""
    end = time_of("until", until) or 0
    if not now_ns < end <= now_ns + SHELF_MAX_NS:
        raise Invalid("until: a shelf ends, at most a day from now", [Fault("$.until", "within a day", until)])
    return end


ROUTES = (
    Route("GET", "/api/v1/alarms", alarms, VIEWERS, "Alarms, worst first", query=Wanted, answer=Items[AlarmItem]),
    Route(
        "GET", "/api/v1/alarms/journal", journal, VIEWERS, "What happened", query=Paged, answer=Items[TransitionItem]
    ),
    Route("POST", "/api/v1/alarms/{act}", act, OPERATORS, "Acknowledge, shelve, …", body=Act, answer=Answers),
)
