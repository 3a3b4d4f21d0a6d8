"""A scenario as a TOML file. Every fault at once, with its line; nothing of a faulty file is run.

    [scenario]   name, from ("now" or UTC), horizon, members, seed, times
    [weather]    temperature = 35               in every domain that takes it; or { factor = 2 }, { add = 5 }
    [demand]     traffic = 1.3                  a factor for each domain, or all = 1.3
    [[input]]    flow, assets, one of value, factor, add          any flow that a domain takes
    [[closure]]  assets                         links and the like are blocked
    [[outage]]   assets                         lines, transformers, pumps, signals are out of order, or without supply
    [[asset]]    id, set = { key = value }      any value of the city file
    [[plan]]     domain, use = "own", or rows = [[…], …]
    [[control]]  asset, quantity, value         one column of a plan
    [[watch]]    asset, quantity, above or below; a quantity is a state, or a flow that its domain gives

Every [[…]] but plan and watch may have `from` and `until`, spans of time from the beginning on.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aggregator.city import CityError
from aggregator.city.file import City
from aggregator.city.sheet import Sheet
from aggregator.decisions import ScenarioError
from aggregator.decisions.scenario import (
    ALWAYS_NS,
    NS,
    AssetChange,
    ControlChange,
    InputChange,
    Scenario,
    Span,
    Watch,
    changed,
)
from aggregator.domains import module_of
from aggregator.twin import BadModel, Floats
from aggregator.twin.domain import Domain
from aggregator.twin.part import Asset, Flow, Key
from protos.lines import KeyPath

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = ("scenario", "weather", "demand", "input", "closure", "outage", "asset", "plan", "control", "watch")
HEAD: Mapping[str, Key] = {
    "horizon": Key("how long it runs", "s", 3600.0, 1, 7 * 86_400),
    "members": Key("of the ensemble", default=50, low=2, high=10_000),
    "seed": Key("of all that is drawn; the same for scenarios that are to be compared", default=0, low=0, high=2**53),
    "times": Key("moments whose states are kept", default=12, low=1, high=200),
}
HOURS = Key("from the beginning on", "s", 0.0, 0, 7 * 86_400)
WEATHER = ("temperature", "irradiance", "wind_speed", "wind_direction", "rain")
FLAGS = {  # tables that set a flow to 1, where an asset takes one of these
    "closure": ("blocked",),
    "outage": ("outage", "line_out", "transformer_out", "signals_off"),
}
FACTOR = Key("what is there is multiplied by it", low=0)
SPAN = ("from", "until")
How = Literal["value", "factor", "add"]
HOW: tuple[How, ...] = ("value", "factor", "add")
COUNT_MAX = 10_000  # changes of one file; more is another city file


def load(path: Path, city: City) -> Scenario:
    """Raises ScenarioError."""
    try:
        sheet = Sheet.read(path)
        found = Reading(sheet, city).scenario()
        sheet.check()
        changed_city(sheet, city, found)
        sheet.check()
    except CityError as error:
        raise ScenarioError(str(error)) from error
    return found


def changed_city(sheet: Sheet, city: City, found: Scenario) -> None:
    """What only the domains know: whether they can be built with other values."""
    spans = sorted({edge for one in found.assets for edge in one.span if edge < ALWAYS_NS} | {0})
    for since_ns in spans:
        active = found.assets_at(since_ns + 1)
        parts = changed(city.parts, active)
        for name in {one.domain for one in active}:
            try:
                module_of(name).build(parts[name])
            except BadModel as error:
                for line in str(error).splitlines():
                    sheet.fault(("asset",), None, f"{line}; change another value")


class Reading:
    """One file against one city."""

    def __init__(self, sheet: Sheet, city: City) -> None:
        self.sheet = sheet
        self.domains: Mapping[str, Domain] = city.domains()
        self.owners = {asset.id: (name, asset) for name, part in city.parts.items() for asset in part.assets}

    def scenario(self) -> Scenario:
        sheet = self.sheet
        sheet.strangers((), sheet.content, TABLES)
        head = self._table("scenario")
        sheet.strangers(("scenario",), head, ["name", "from", *HEAD])
        numbers = {name: float(sheet.value(("scenario",), head, name, key)) for name, key in HEAD.items()}
        planned, rows = self._plans()
        return Scenario(
            sheet.text(("scenario",), head, "name", None),
            int(numbers["horizon"] * NS),
            self._moment(head.get("from", "now")),
            int(numbers["members"]),
            int(numbers["seed"]),
            int(numbers["times"]),
            [*self._weather(), *self._demand(), *self._inputs(), *self._flags()],
            list(self._assets()),
            planned,
            rows,
            list(self._controls()),
            list(self._watches()),
            sheet.lines.text,
        )

    def _table(self, name: str) -> Mapping[str, Any]:
        table = self.sheet.content.get(name, {})
        if isinstance(table, dict):
            return table
        self.sheet.fault((name,), table, f"write [{name}] and its keys below")
        return {}

    def _tables(self, name: str, keys: Sequence[str]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
        found = self.sheet.tables((name,), self.sheet.content.get(name, []))
        if len(found) > COUNT_MAX:
            self.sheet.fault((name,), None, f"{len(found)} of them, at most {COUNT_MAX}: change the city file instead")
        for at, table in found[:COUNT_MAX]:
            self.sheet.strangers(at, table, keys)
            yield at, table

    def _moment(self, value: object) -> int | None:
        if value == "now":
            return None
        when = value
        if isinstance(value, str):
            try:
                when = datetime.fromisoformat(value)
            except ValueError:
                when = None
        if not isinstance(when, datetime):
            self.sheet.fault(("scenario", "from"), value, 'write "now" or a time as "2026-01-31T08:15:00Z"')
            return None
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return (aware - EPOCH) // timedelta(microseconds=1) * 1000

    def _span(self, at: KeyPath, table: Mapping[str, Any]) -> Span:
        ends = [int(float(self.sheet.value(at, table, key, HOURS)) * NS) if key in table else None for key in SPAN]
        first, last = ends[0] or 0, ALWAYS_NS if ends[1] is None else ends[1]
        if first >= last:
            self.sheet.fault((*at, "until"), table.get("until"), "is not after `from`; write a later one")
        return Span(first, last)

    def _how(self, at: KeyPath, table: Mapping[str, Any], flow: Flow) -> tuple[How, float]:
        """Which of value, factor and add, and the number, in the flow's unit."""
        named = [one for one in HOW if one in table]
        if len(named) != 1:
            self.sheet.fault(at, None, f"write one of {', '.join(HOW)}; there are {', '.join(named) or 'none'}")
            return "factor", 1.0
        key = FACTOR if named[0] == "factor" else Key(flow.doc, flow.unit)
        return named[0], float(self.sheet.value(at, table, named[0], key))

    def _weather(self) -> Iterator[InputChange]:
        table = self._table("weather")
        self.sheet.strangers(("weather",), table, WEATHER)
        for name in (one for one in WEATHER if one in table):
            at, given = ("weather", name), table[name]
            takers = [one for one in self.domains if name in module_of(one).TAKES]
            if not takers:
                self.sheet.fault(at, given, "no domain of this city takes it; leave it out")
            inner: Mapping[str, Any] = given if isinstance(given, dict) else {"value": given}
            if isinstance(given, dict):
                self.sheet.strangers(at, inner, HOW)
            for domain in takers:
                yield InputChange(domain, name, *self._how(at, inner, module_of(domain).TAKES[name]))

    def _demand(self) -> Iterator[InputChange]:
        table = self._table("demand")
        takers = [one for one in self.domains if "demand" in module_of(one).TAKES]
        self.sheet.strangers(("demand",), table, ["all", *takers])
        for name in table:
            factor = float(self.sheet.value(("demand",), table, name, FACTOR))
            for domain in takers if name == "all" else [name]:
                yield InputChange(domain, "demand", "factor", factor)

    def _inputs(self) -> Iterator[InputChange]:
        flows = {f"{name}.{flow}": one for name in self.domains for flow, one in module_of(name).TAKES.items()}
        for at, table in self._tables("input", ("flow", "assets", *HOW, *SPAN)):
            name = self.sheet.text(at, table, "flow", None)
            if name not in flows:
                self.sheet.fault((*at, "flow"), name, unknown("flow", name, list(flows)))
                continue
            domain, _, flow = name.partition(".")
            ids = self._ids(at, table, self.domains[domain].inputs.assets(flow))
            how, amount = self._how(at, table, flows[name])
            yield InputChange(domain, flow, how, amount, ids, self._span(at, table))

    def _flags(self) -> Iterator[InputChange]:
        """Closures and outages: 1 for the assets that take such a flow."""
        for kind, flows in FLAGS.items():
            takers = [(name, flow) for name in self.domains for flow in flows if flow in module_of(name).TAKES]
            assets = {end: self.domains[end[0]].inputs.assets(end[1]) for end in takers}
            known = [one for each in assets.values() for one in each]
            for at, table in self._tables(kind, ("assets", *SPAN)):
                if "assets" not in table:
                    self.sheet.fault((*at, "assets"), None, "is missing: name what is out, as a list of ids")
                ids, span = self._ids(at, table, known), self._span(at, table)
                for (domain, flow), own in assets.items():
                    if here := [one for one in ids if one in own]:
                        yield InputChange(domain, flow, "value", 1.0, here, span)

    def _ids(self, at: KeyPath, table: Mapping[str, Any], known: Sequence[str]) -> list[str]:
        ids = table.get("assets", [])
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            self.sheet.fault((*at, "assets"), ids, "write a list of ids")
            return []
        for number, one in enumerate(ids):
            if one not in known:
                self.sheet.fault((*at, "assets", number), one, unknown("asset that takes it", one, list(known)))
        return [one for one in ids if one in known]

    def _assets(self) -> Iterator[AssetChange]:
        for at, table in self._tables("asset", ("id", "set", *SPAN)):
            found, given = self._owner((*at, "id"), table.get("id")), table.get("set")
            if not isinstance(given, dict) or not given:
                self.sheet.fault((*at, "set"), given, "write set = { key = value }")
            elif found:
                domain, asset = found
                keys = module_of(domain).KINDS[asset.kind].keys
                self.sheet.strangers((*at, "set"), given, keys)
                for name in (one for one in given if one in keys):
                    value = self.sheet.value((*at, "set"), given, name, keys[name])
                    yield AssetChange(domain, asset.id, name, value, self._span(at, table))

    def _owner(self, at: KeyPath, name: object) -> tuple[str, Asset] | None:
        found = self.owners.get(str(name))
        if found is None:
            self.sheet.fault(at, name, unknown("asset", str(name), list(self.owners)))
        return found

    def _plans(self) -> tuple[list[str], dict[str, Floats]]:
        planned: list[str] = []
        rows: dict[str, Floats] = {}
        for at, table in self._tables("plan", ("domain", "use", "rows")):
            name = self.sheet.text(at, table, "domain", None)
            if name not in self.domains:
                self.sheet.fault((*at, "domain"), name, unknown("domain of this city", name, list(self.domains)))
            elif "rows" in table:
                rows[name] = self._rows((*at, "rows"), table["rows"], self.domains[name])
            elif table.get("use") == "own":
                planned.append(name)
            else:
                self.sheet.fault((*at, "use"), table.get("use"), 'write use = "own", or rows = [[…], …]')
        return planned, rows

    def _rows(self, at: KeyPath, value: object, domain: Domain) -> Floats:
        width = len(domain.controls)
        lists = isinstance(value, list) and value and all(isinstance(row, list) and len(row) == width for row in value)
        try:
            u = np.array(value if lists else [], np.float64)
        except (ValueError, TypeError):
            u = np.zeros(0)
        if not u.size or not np.isfinite(u).all():
            named = ", ".join(f"{one.asset} {one.quantity}" for one in domain.controls)
            self.sheet.fault(at, None, f"write lists of {width} finite numbers each, for: {named or 'nothing'}")
            return np.zeros((1, width))
        return u

    def _controls(self) -> Iterator[ControlChange]:
        for at, table in self._tables("control", ("asset", "quantity", "value", *SPAN)):
            owner, quantity = self._owner((*at, "asset"), table.get("asset")), self._quantity(at, table)
            if owner is None:
                continue
            domain, asset = owner
            units = {one.quantity: one.unit for one in self.domains[domain].controls if one.asset == asset.id}
            if quantity not in units:
                self.sheet.fault((*at, "quantity"), quantity, unknown("control of it", quantity, list(units)))
                continue
            value = float(self.sheet.value(at, table, "value", Key(f"{quantity} of it", units[quantity])))
            yield ControlChange(domain, asset.id, quantity, value, self._span(at, table))

    def _watches(self) -> Iterator[Watch]:
        for at, table in self._tables("watch", ("asset", "quantity", "above", "below")):
            owner, quantity = self._owner((*at, "asset"), table.get("asset")), self._quantity(at, table)
            if owner is None:
                continue
            domain, asset = owner
            states = {one.quantity: one.unit for one in self.domains[domain].states if one.asset == asset.id}
            flows = {name: one.unit for name, one in module_of(domain).GIVES.items() if one.kind == asset.kind}
            units = flows | states
            if quantity not in units:
                self.sheet.fault((*at, "quantity"), quantity, unknown("state of it", quantity, list(units)))
            elif ("above" in table) == ("below" in table):
                self.sheet.fault(at, None, "write either above or below, and the limit")
            else:
                key = "above" if "above" in table else "below"
                limit = float(self.sheet.value(at, table, key, Key("limit", units[quantity])))
                yield Watch(domain, asset.id, quantity, limit, key == "above", quantity not in states)

    def _quantity(self, at: KeyPath, table: Mapping[str, Any]) -> str:
        return self.sheet.text(at, table, "quantity", None)


def unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    listed = f"{', '.join(known[:8])}{' …' if len(known) > 8 else ''}" if known else "none"
    return f"no such {what}; " + (f"did you mean {near[0]}?" if near else f"there are: {listed}")
