"""The city file: assets, what joins them, points, couplings. All faults at once; nothing of a faulty file is used.

    [city]            name
    [traffic]         settings of the domain, and of its twin
    [[traffic.link]]  an asset of a kind that the domain has; `from` and `to` where it is an edge
    [[point]]         what measures an asset, or sets it
    [[feed]]          a point that is an input of a domain, as a weather station's wind
    [[coupling]]      what one domain gives to another

`aggregator city keys` prints every key with its unit, made from the same tables that are checked against here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from aggregator.city.coupling import Coupling, End, Place, by_pairs, circle, from_nearest, order, to_nearest
from aggregator.city.sheet import Sheet
from aggregator.domains import DOMAINS, module_of
from aggregator.twin import BadModel
from aggregator.twin.domain import Domain
from aggregator.twin.part import Asset, Flow, Key, Kind, Part, Wire
from protos.lines import KeyPath
from protos.units import UNITS, spelled
from protos.vocabulary import QUANTITIES

TWIN: Mapping[str, Key] = {  # of every domain, beside its own SETTINGS
    "scheme": Key("how uncertainty is kept", default="auto", words=("auto", "exact", "low-rank", "ensemble")),
    "members": Key("of the ensemble", default=50, low=2, high=1000),
    "rank": Key("of the low-rank covariance", default=64, low=1, high=1000),
    "radius": Key("how far a reading reaches along the graph, in its lengths; 0: eight edges", default=0.0, low=0),
    "lag_s": Key("how late readings may come and still change the state", "s", 3600.0, 1, 7 * 86_400),
    "horizon_s": Key("of forecasts and risks", "s", 3600.0, 1, 7 * 86_400),
}
ASSET = ("id", "name", "at", "from", "to", "path")
POINT = ("point", "asset", "quantity", "sd", "scale", "offset", "sets")
FEED = ("point", "takes", "asset", "scale", "offset")
COUPLING = ("gives", "takes", "map", "pairs", "factor", "late")
MAPS: Mapping[str, Callable[..., Any]] = {"to nearest": to_nearest, "from nearest": from_nearest}
FACTOR = Key("what is given is multiplied by it", default=1.0)
SCALE = Key("y = value · scale + offset, in the quantity's unit", default=1.0)
OFFSET = Key("y = value · scale + offset, in the quantity's unit", default=0.0)


@dataclass(frozen=True, slots=True)
class Feed:
    """A point whose readings are an input of a domain: of one asset, or of all that take it."""

    point: str
    takes: End
    asset: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class City:
    """What a city file says. Domains stand in an order in which each may take what those before it give."""

    name: str
    parts: Mapping[str, Part]
    twins: Mapping[str, Mapping[str, float | str]]  # of each domain: the keys of TWIN
    couplings: Sequence[Coupling] = ()
    feeds: Sequence[Feed] = ()

    def domains(self) -> dict[str, Domain]:
        """Fresh ones, in order."""
        return {name: module_of(name).build(part) for name, part in self.parts.items()}


def load(path: Path) -> City:
    """Raises CityError."""
    sheet = Sheet.read(path)
    sheet.strangers((), sheet.content, ["city", "point", "feed", "coupling", *DOMAINS])
    head = sheet.content.get("city", {})
    sheet.strangers(("city",), head, ["name"])
    name = sheet.text(("city",), head, "name", None)
    modules = {one: module_of(one) for one in DOMAINS if one in sheet.content}
    if not modules:
        sheet.fault((), None, f"no domain in it; write [{next(iter(DOMAINS))}] or another of {', '.join(DOMAINS)}")
    places: dict[str, KeyPath] = {}  # of every asset
    parts = {domain: _part(sheet, domain, module, places) for domain, module in modules.items()}
    twins = {one: {key: sheet.value((one,), sheet.content[one], key, TWIN[key]) for key in TWIN} for one in modules}
    _points(sheet, parts, modules)
    couplings = [one for each in _tables(sheet, "coupling") if (one := _coupling(sheet, *each, parts))]
    feeds = [feed for each in _tables(sheet, "feed") if (feed := _feed(sheet, *each, parts))]
    if round_ := circle(list(parts), couplings):
        sheet.fault(("coupling",), None, f"{' → '.join(round_)} is a circle; write late = true in one of them")
    sheet.check()
    for domain, module in modules.items():
        _built(sheet, domain, module, parts[domain], places)
    sheet.check()
    return City(name, {one: parts[one] for one in order(list(parts), couplings)}, twins, couplings, feeds)


def _tables(sheet: Sheet, name: str) -> list[tuple[KeyPath, Mapping[str, Any]]]:
    return sheet.tables((name,), sheet.content.get(name, []))


def _part(sheet: Sheet, domain: str, module: ModuleType, places: dict[str, KeyPath]) -> Part:
    table = sheet.content[domain]
    if not isinstance(table, dict):
        sheet.fault((domain,), table, f"write [{domain}] and its keys below")
        return Part(domain)
    sheet.strangers((domain,), table, [*module.SETTINGS, *TWIN, *module.KINDS])
    settings = {name: sheet.value((domain,), table, name, key) for name, key in module.SETTINGS.items()}
    found: list[tuple[KeyPath, Asset]] = []
    for kind in module.KINDS:
        for at, one in sheet.tables((domain, kind), table.get(kind, [])):
            asset = _asset(sheet, at, one, kind, module.KINDS[kind])
            if asset.id in places:
                sheet.fault((*at, "id"), asset.id, f"there is another on line {sheet.lines[places[asset.id]]}")
            places.setdefault(asset.id, at)
            found.append((at, asset))
    _ends(sheet, found, module.KINDS)
    return Part(domain, _drawn([asset for _, asset in found]), [], settings)


def _drawn(assets: Sequence[Asset]) -> list[Asset]:
    """Edges without a path lead straight from end to end."""
    places = {one.id: one.place for one in assets}
    ends = [[place for end in one.ends if (place := places.get(end)) is not None] for one in assets]
    return [
        replace(one, path=tuple(known)) if len(known) == 2 and not one.path else one
        for one, known in zip(assets, ends, strict=True)
    ]


def _asset(sheet: Sheet, at: KeyPath, table: Mapping[str, Any], kind: str, of: Kind) -> Asset:
    sheet.strangers(at, table, [*(one for one in ASSET if of.ends or one not in ("from", "to", "path")), *of.keys])
    where = _place(sheet, (*at, "at"), table["at"]) if "at" in table else None
    return Asset(
        sheet.text(at, table, "id", None),
        kind,
        {name: sheet.value(at, table, name, key) for name, key in of.keys.items()},
        (sheet.text(at, table, "from", None), sheet.text(at, table, "to", None)) if of.ends else (),
        where[0] if where else None,
        where[1] if where else None,
        sheet.text(at, table, "name"),
        tuple(_place(sheet, (*at, "path"), one) for one in table.get("path", [])),
    )


def _place(sheet: Sheet, at: KeyPath, value: Any) -> Place:
    numbers = isinstance(value, list) and len(value) == 2 and all(isinstance(one, int | float) for one in value)
    if numbers and -180 <= value[0] <= 180 and -90 <= value[1] <= 90:
        return float(value[0]), float(value[1])
    sheet.fault(at, value, "write [longitude, latitude] in degrees")
    return 0.0, 0.0


def _ends(sheet: Sheet, found: list[tuple[KeyPath, Asset]], kinds: Mapping[str, Kind]) -> None:
    """Every edge leads from and to an asset that there is, of a kind that it may."""
    known = {asset.id: asset for _, asset in found}
    for at, asset in found:
        for key, end in zip(("from", "to"), asset.ends, strict=False):
            if not end:
                continue
            wanted = kinds[asset.kind].ends
            if end not in known:
                sheet.fault(
                    (*at, key), end, _unknown("asset", end, [one for one in known if known[one].kind in wanted])
                )
            elif known[end].kind not in wanted:
                sheet.fault((*at, key), end, f"is a {known[end].kind}; write the id of a {' or '.join(wanted)}")


def _points(sheet: Sheet, parts: dict[str, Part], modules: Mapping[str, ModuleType]) -> None:
    """Put every wire into its part."""
    owners = {asset.id: (domain, asset) for domain, part in parts.items() for asset in part.assets}
    wires: dict[str, list[Wire]] = {domain: [] for domain in parts}
    seen: set[tuple[str, str]] = set()
    for at, table in _tables(sheet, "point"):
        sheet.strangers(at, table, POINT)
        point, name = _point(sheet, at, table), sheet.text(at, table, "asset", None)
        if name and name not in owners:
            sheet.fault((*at, "asset"), name, _unknown("asset", name, list(owners)))
        if name not in owners:
            continue
        domain, asset = owners[name]
        wire = _wire(sheet, at, table, point, asset, modules[domain].KINDS[asset.kind])
        if (wire.point, wire.does) in seen:
            sheet.fault((*at, "point"), wire.point, f"{wire.does} another asset already; leave one out")
        seen.add((wire.point, wire.does))
        wires[domain].append(wire)
    for domain, found in wires.items():
        parts[domain] = replace(parts[domain], wires=found)


def _wire(sheet: Sheet, at: KeyPath, table: Mapping[str, Any], point: str, asset: Asset, kind: Kind) -> Wire:
    sets = table.get("sets", False)
    if not isinstance(sets, bool):
        sheet.fault((*at, "sets"), sets, "write true for a point that sets the asset, false for one that measures it")
    may = kind.commanded if sets is True else kind.measured
    quantity = sheet.text(at, table, "quantity", None)
    if quantity and quantity not in may:
        can = f"what can be {'set' if sets is True else 'measured'} there: {', '.join(may) or 'nothing'}"
        sheet.fault((*at, "quantity"), quantity, f"not of a {asset.kind}; {can}")
    if sets is True:
        error = 0.0
    else:
        error = float(sheet.value(at, table, "sd", Key("standard deviation of the sensor's error", unit_of(quantity))))
        if error <= 0:
            sheet.fault((*at, "sd"), table.get("sd"), "a sensor without error does not exist; write its data sheet's")
    scale, offset = (float(sheet.value(at, table, name, key)) for name, key in (("scale", SCALE), ("offset", OFFSET)))
    return Wire(point, asset.id, quantity, error, scale, offset, "sets" if sets is True else "measures")


def unit_of(quantity: str) -> str:
    return QUANTITIES[quantity].unit if quantity in QUANTITIES else "1"


def _point(sheet: Sheet, at: KeyPath, table: Mapping[str, Any]) -> str:
    point = sheet.text(at, table, "point", None)
    if point and (point.count("/") != 2 or not all(point.split("/"))):
        sheet.fault((*at, "point"), point, "write gateway/device/point")
    return point


def _feed(sheet: Sheet, at: KeyPath, table: Mapping[str, Any], parts: Mapping[str, Part]) -> Feed | None:
    sheet.strangers(at, table, FEED)
    point, takes = _point(sheet, at, table), _end(sheet, (*at, "takes"), table.get("takes"), "TAKES", parts)
    if takes is None:
        return None
    asset, ids = sheet.text(at, table, "asset"), [one.id for one in assets_of(parts, takes, "TAKES")]
    if asset and asset not in ids:
        sheet.fault((*at, "asset"), asset, _unknown("asset", asset, ids))
    scale, offset = (float(sheet.value(at, table, name, key)) for name, key in (("scale", SCALE), ("offset", OFFSET)))
    return Feed(point, takes, asset, scale, offset)


def _coupling(sheet: Sheet, at: KeyPath, table: Mapping[str, Any], parts: Mapping[str, Part]) -> Coupling | None:
    sheet.strangers(at, table, COUPLING)
    gives = _end(sheet, (*at, "gives"), table.get("gives"), "GIVES", parts)
    takes = _end(sheet, (*at, "takes"), table.get("takes"), "TAKES", parts)
    factor, late = float(sheet.value(at, table, "factor", FACTOR)), table.get("late", False)
    if not isinstance(late, bool):
        sheet.fault((*at, "late"), late, "write true or false")
    if gives is None or takes is None:
        return None
    given, taken = (UNITS[spelled(flow_of(*one).unit)] for one in ((gives, "GIVES"), (takes, "TAKES")))
    if given.dimension != taken.dimension and "factor" not in table:
        units = [flow_of(*one).unit for one in ((gives, "GIVES"), (takes, "TAKES"))]
        sheet.fault(
            at, None, f"{gives.flow} is in {units[0]}, {takes.flow} in {units[1]}; write the factor between them"
        )
    elif given.dimension == taken.dimension:
        factor *= float(given.scale / taken.scale)
    matrix = _map(sheet, at, table, assets_of(parts, gives, "GIVES"), assets_of(parts, takes, "TAKES"))
    return None if matrix is None else Coupling(gives, takes, matrix * factor, late is True)


def assets_of(parts: Mapping[str, Part], end: End, table: str) -> list[Asset]:
    return parts[end.domain].of(flow_of(end, table).kind)


def _map(
    sheet: Sheet, at: KeyPath, table: Mapping[str, Any], givers: Sequence[Asset], takers: Sequence[Asset]
) -> Any | None:
    if ("map" in table) == ("pairs" in table):
        sheet.fault(at, None, f"write either pairs = [[giver, taker], …] or map = one of {', '.join(MAPS)}")
        return None
    if "pairs" in table:
        pairs = dict(_pairs(sheet, (*at, "pairs"), table["pairs"], givers, takers))
        return by_pairs(pairs, [one.id for one in givers], [one.id for one in takers])
    if table["map"] not in MAPS:
        sheet.fault((*at, "map"), table["map"], f"write one of {', '.join(MAPS)}")
        return None
    placed = [[one.place for one in some if one.place is not None] for some in (givers, takers)]
    if [len(one) for one in placed] != [len(givers), len(takers)] or not all(placed):
        lost = [one.id for one in (*givers, *takers) if one.place is None][:5]
        sheet.fault(
            (*at, "map"), table["map"], f"without a place: {', '.join(lost) or 'all'}; write `at`, or use pairs"
        )
        return None
    return MAPS[table["map"]](*placed)


def _pairs(
    sheet: Sheet, at: KeyPath, value: object, givers: Sequence[Asset], takers: Sequence[Asset]
) -> Iterator[tuple[tuple[str, str], float]]:
    ids = [[one.id for one in some] for some in (givers, takers)]
    for number, pair in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(pair, list) or len(pair) not in (2, 3) or not all(isinstance(one, str) for one in pair[:2]):
            sheet.fault((*at, number), pair, 'write ["giver", "taker"], or with a weight as third')
            continue
        lost = [(one, among) for one, among in zip(pair[:2], ids, strict=True) if one not in among]
        for one, among in lost:
            sheet.fault((*at, number), one, _unknown("asset", one, among))
        if not lost:
            yield (pair[0], pair[1]), float(pair[2]) if len(pair) == 3 else 1.0


def _end(sheet: Sheet, at: KeyPath, value: object, table: str, parts: Mapping[str, Part]) -> End | None:
    domain, _, flow = str(value).partition(".")
    known = [f"{one}.{name}" for one in parts for name in getattr(module_of(one), table)]
    if value in known:
        return End(domain, flow)
    sheet.fault(at, value, _unknown("flow", str(value), known))
    return None


def flow_of(end: End, table: str) -> Flow:
    found: Flow = getattr(module_of(end.domain), table)[end.flow]
    return found


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, 1)
    listed = f"{', '.join(known[:8])}{' …' if len(known) > 8 else ''}" if known else "none"
    return f"no such {what}; " + (f"did you mean {near[0]}?" if near else f"there are: {listed}")


def _built(sheet: Sheet, domain: str, module: ModuleType, part: Part, places: Mapping[str, KeyPath]) -> None:
    """What only the domain knows of how things fit together."""
    try:
        module.build(part)
    except BadModel as error:
        for line in str(error).splitlines():
            asset = line.partition(":")[0]
            sheet.fault(places.get(asset, (domain,)), None, line)
