"""Which points and which time a verb is asked for: the options that points, query and export share."""

import argparse
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial

from aggregator import config
from aggregator.projections.query import Query
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.history import PointName, Window
from aggregator.stores.log import SqliteLog

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")  # of today, UTC
SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|min|h|d)")
UNIT_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
ALWAYS = (-(1 << 63), (1 << 63) - 1)  # everything, impossible times too


class Selection:
    """The points of a verb: name patterns, and what the catalogue knows of them."""

    def __init__(self, args: argparse.Namespace, catalogue: Catalogue) -> None:
        """Raises StoreError when a district or domain is asked for that no gateway or point has."""
        self.patterns = [pattern if "/" in pattern else f"{pattern}/*" for pattern in args.points]
        self.known = {PointName(one.gateway, one.device, one.name): one for one in catalogue.points()}
        self.districts = {one.id: one.district for one in catalogue.gateways()}
        self._checks: list[Callable[[PointName], bool]] = []
        self._option("district", args.district, set(self.districts.values()), lambda n: self.districts.get(n.gateway))
        for name in ("domain", "quantity"):
            have = {str(getattr(one, name)) for one in self.known.values()}
            self._option(name, getattr(args, name), have, partial(self._known_as, name))

    def __call__(self, point: PointName) -> bool:
        named = not self.patterns or any(fnmatchcase(str(point), pattern) for pattern in self.patterns)
        return named and all(check(point) for check in self._checks)

    def point(self, name: PointName) -> Point | None:
        return self.known.get(name)

    def _known_as(self, field: str, point: PointName) -> str | None:
        return getattr(self.known.get(point), field, None)

    def _option(self, name: str, wanted: str, have: set[str], of: Callable[[PointName], str | None]) -> None:
        if wanted:
            if wanted not in have:
                known = ", ".join(sorted(have - {""})) or "none yet"
                raise StoreError(f"--{name} {wanted}: nothing has it; there are: {known}")
            self._checks.append(lambda point: of(point) == wanted)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "points", nargs="*", metavar="PATTERN", help="gateway/device/point with * and ?; a bare word is a gateway"
    )
    parser.add_argument("--district", default="", help="only points of its gateways")
    parser.add_argument("--domain", default="", help="traffic, energy, environment, services, safety")
    parser.add_argument("--quantity", default="", help="as in the vocabulary: active_power, ...")
    config.argument(parser)


def time_arguments(parser: argparse.ArgumentParser, last: str) -> None:
    when = "ISO 8601 (UTC unless it has a zone), now, or a span before now such as 90min, 2h, 7d"
    parser.add_argument("--from", dest="first", default=last, metavar="TIME", help=f"{when} (%(default)s)")
    parser.add_argument("--until", default="now", metavar="TIME", help="the same; not included (%(default)s)")
    parser.add_argument("--as-of", default="", metavar="TIME", help="only what had arrived by then")


def window(args: argparse.Namespace, keys: bool = False) -> Window:
    """Raises StoreError naming the option that is wrong."""
    now_ns = time.time_ns()
    first = moment("--from", args.first, now_ns)
    until = ALWAYS[1] if args.until == "now" and args.first == "ever" else moment("--until", args.until, now_ns)
    if first >= until:
        raise StoreError(f"--from {args.first} is not before --until {args.until}: nothing can be there")
    return Window(first, until, moment("--as-of", args.as_of, now_ns) if args.as_of else None, keys)


def moment(option: str, text: str, now_ns: int) -> int:
    """UTC ns. Raises StoreError."""
    if text == "now":
        return now_ns
    if text == "ever":
        return ALWAYS[0]
    if span := SPAN.fullmatch(text.removeprefix("-")):
        return now_ns - int(float(span[1]) * UNIT_S[span[2]] * 1e9)
    if CLOCK.fullmatch(text):
        text = f"{iso(now_ns)[:10]}T{text}"
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise StoreError(
            f"{option} {text}: no time; write 2026-01-31T12:00, 12:00, now, or 90min, 2h, 7d before now"
        ) from error
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1) * 1000


def iso(utc_ns: int) -> str:
    """To the millisecond, for people; years beyond 9999 do not occur in 64 bits."""
    return (EPOCH + timedelta(microseconds=utc_ns // 1000)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def opened(settings: config.Config) -> Query:
    """History with the log over it, read-only, beside the server. Raises StoreError."""
    if not settings.log.exists():
        raise StoreError(f"{settings.log}: no log yet; start `aggregator serve` first")
    return Query(settings.history, SqliteLog(settings.log, read_only=True))
