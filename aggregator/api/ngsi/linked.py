"""Linked entities (4.5.23): those that relationships lead to, inside them (inline) or behind them (flat)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aggregator.api.ngsi.errors import TooComplexQuery
from aggregator.api.ngsi.matching import Lookup
from aggregator.api.ngsi.view import View
from aggregator.api.ngsi.words import VALUE, Json

LINKED_MAX = 10_000  # entities that one answer follows


@dataclass(eq=False)
class Linking:
    """`level`: how many relationships are followed. `seen`: entities that the client has already (containedBy)."""

    lookup: Lookup
    how: str = "@none"  # flat, inline
    level: int = 1
    seen: frozenset[str] = frozenset()
    _followed: int = 0

    def show(self, found: Sequence[Json], view: View) -> list[Json]:
        if self.how == "flat":
            return self._flat(found, view)
        if self.how == "inline":
            return [self._inline(one, view, self.level, self.seen | {one["id"]}) for one in found]
        return [view.entity(one) for one in found]

    def _inline(self, one: Json, view: View, level: int, above: frozenset[str]) -> Json:
        def joined(uri: str, name: str) -> Json | None:
            other = self._follow(name) if level > 0 and name not in above else None
            return self._inline(other, view.below(uri), level - 1, above | {name}) if other else None

        return view.entity(one, joined)

    def _flat(self, found: Sequence[Json], view: View) -> list[Json]:
        """Level by level, each entity once."""
        shown = [view.entity(one) for one in found]
        known = self.seen | {one["id"] for one in found}
        layer = [(one, view) for one in found]
        for _ in range(self.level):
            below: list[tuple[Json, View]] = []
            for one, way in layer:
                for uri, name in links(one):
                    if name not in known and way.shows_link(uri) and (other := self._follow(name)) is not None:
                        known |= {name}
                        below.append((other, way.below(uri)))
            shown += [way.entity(one) for one, way in below]
            layer = below
        return shown

    def _follow(self, name: str) -> Json | None:
        self._followed += 1
        if self._followed > LINKED_MAX:
            raise TooComplexQuery(f"more than {LINKED_MAX} linked entities; ask for fewer levels or a smaller page")
        return self.lookup(name)


def links(one: Json) -> Iterator[tuple[str, str]]:
    """(URI of the relationship, id) of everything that an entity points at."""
    for uri, some in one["attrs"].items():
        for each in some:
            if each["type"] in ("Relationship", "ListRelationship"):
                value = each[VALUE[each["type"]]]
                for name in value if isinstance(value, list) else [value]:
                    yield uri, name
