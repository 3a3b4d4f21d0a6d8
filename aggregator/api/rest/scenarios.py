"""Scenarios: build, run with progress, cancel, compare side by side. What comes of them can never become an order."""

from typing import Annotated, Any

import msgspec
import numpy as np

from aggregator.access.roles import OPERATORS, VIEWERS
from aggregator.api.items import Items, utc
from aggregator.api.laboratory import Run
from aggregator.api.problem import Conflict, Unknown
from aggregator.api.rest.assets import seconds
from aggregator.api.rest.city import number, numbers
from aggregator.api.route import Call, Route
from aggregator.decisions import ScenarioError
from aggregator.decisions.comparison import Line, compare
from aggregator.decisions.imagined import Imagined, unpack
from aggregator.stores import StoreError

AS_IT_IS = "as it is"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64 << 10, description="TOML: `aggregator whatif --keys`")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class New(msgspec.Struct, frozen=True):
    name: Name
    text: Text


class RunItem(msgspec.Struct, frozen=True):
    """`state`: running, done, failed, cancelled. `done` of `total` steps."""

    id: str
    name: str
    who: str
    begun: str
    state: str
    done: int
    total: int
    error: str


class Kept(msgspec.Struct, frozen=True):
    number: int
    name: str
    run: str
    by: str
    begun: str
    digest: str
    seed: int
    members: int


class Pair(msgspec.Struct, frozen=True):
    """Names of kept scenarios; the newest result of each."""

    second: Name
    first: Name = AS_IT_IS


class LineItem(msgspec.Struct, frozen=True):
    """`low` and `high`: between which nine tenths of the members' differences lie; `lower`: the share that is lower."""

    domain: str
    what: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    lower: float | None


class StateItem(msgspec.Struct, frozen=True):
    domain: str
    asset: str
    quantity: str
    unit: str
    at: str
    first: float | None
    second: float | None
    sigmas: float | None


class Course(msgspec.Struct, frozen=True):
    """One indicator of both, over time: means over members."""

    domain: str
    name: str
    t: list[float]
    first: list[float | None]
    second: list[float | None]


class Compared(msgspec.Struct, frozen=True):
    first: str
    second: str
    begun: str
    members: int
    indicators: list[LineItem]
    exceedances: list[LineItem]
    states: list[StateItem]
    courses: list[Course]
    notes: list[str]


def item(run: Run) -> RunItem:
    return RunItem(run.id, run.name, run.who, utc(run.begun_ns), run.state, run.done, run.total, run.error)


async def start(call: Call) -> RunItem:
    parts, wish = call.parts, call.body
    parts.note(call.who.name, "scenario", wish.name)
    return item(parts.laboratory.start(wish.name, wish.text, call.who.name, parts.clock.wall_ns()))


async def runs(call: Call) -> Items[RunItem]:
    return Items([item(one) for one in reversed(call.parts.laboratory.runs.values())])


async def cancel(call: Call) -> RunItem:
    return item(call.parts.laboratory.cancel(call.path["id"]))


def kept(call: Call) -> Items[Kept]:
    try:
        with call.parts.scenarios() as store:
            rows = store.results()
    except StoreError:  # none was run yet
        return Items([])
    return Items(
        [
            Kept(one.number, one.name, utc(one.run_ns), one.by, utc(one.begun_ns), one.digest, one.seed, one.members)
            for one in rows
        ]
    )


def compared(call: Call) -> Compared:
    """Raises Unknown, and Conflict for two that did not begin together."""
    names = (call.query.first, call.query.second)
    try:
        with call.parts.scenarios() as store:
            first, second = (unpack(store.result(name)) for name in names)
        found = compare(first, second)
    except StoreError as error:
        raise Unknown(str(error)) from error
    except ScenarioError as error:
        raise Conflict(str(error)) from error
    states = [
        StateItem(
            one.domain, one.asset, one.quantity, one.unit, utc(one.t_ns), number(one.first), number(one.second),
            number(one.sigmas),
        )
        for one in found.states[:50]
    ]  # fmt: skip
    return Compared(
        found.first,
        found.second,
        utc(first.begun_ns),
        first.members,
        [line(one) for one in found.indicators],
        [line(one) for one in found.exceedances],
        states,
        courses(first, second),
        [*first.notes, *second.notes],
    )


def line(one: Line) -> LineItem:
    values = (one.first, one.second, one.difference, one.low, one.high, one.lower)
    return LineItem(one.domain, one.what, *map(number, values))


def courses(first: Imagined, second: Imagined) -> list[Course]:
    found = []
    for name, track in first.tracks.items():
        other: Any = {one.name: one for one in second.tracks[name].indicators} if name in second.tracks else {}
        for one in track.indicators:
            if one.name in other and not np.array_equal(one.mean, other[one.name].mean):
                times = seconds(np.asarray(track.t_ns))
                found.append(Course(name, one.name, times, numbers(one.mean), numbers(other[one.name].mean)))
    return found


ROUTES = (
    Route("GET", "/api/v1/scenarios", kept, VIEWERS, "Results that are kept", answer=Items[Kept]),
    Route("POST", "/api/v1/scenarios", start, OPERATORS, "Run one", body=New, answer=RunItem, status=201),
    Route("GET", "/api/v1/scenarios/runs", runs, VIEWERS, "Runs and their progress", answer=Items[RunItem]),
    Route("DELETE", "/api/v1/scenarios/runs/{id}", cancel, OPERATORS, "Cancel one", answer=RunItem),
    Route("GET", "/api/v1/scenarios/compare", compared, VIEWERS, "Side by side", query=Pair, answer=Compared),
)
