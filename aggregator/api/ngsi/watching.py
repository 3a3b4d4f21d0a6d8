"""Which subscriptions a change concerns, and what they are told (5.8.6). Without IO."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aggregator.api.ngsi import geo, selection, times
from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.contexts import Contexts
from aggregator.api.ngsi.evolution import null_of
from aggregator.api.ngsi.linked import Linking
from aggregator.api.ngsi.matching import Lookup
from aggregator.api.ngsi.merging import Change
from aggregator.api.ngsi.subscription import DEFAULT_TRIGGERS, selector_of, status
from aggregator.api.ngsi.times import NS
from aggregator.api.ngsi.view import FORMATS, View, projection
from aggregator.api.ngsi.words import PREVIOUS, VALUE, Json

OF_ENTITY = {"entityUpdated": {"attributeCreated", "attributeUpdated", "attributeDeleted"}}


@dataclass(frozen=True, eq=False)
class Watch:
    """One subscription, made ready to be asked."""

    kept: Json
    triggers: frozenset[str]
    watched: frozenset[str]
    chosen: selection.Selection
    view: View
    linking: Linking
    changes: bool  # showChanges

    @classmethod
    def of(cls, kept: Json, contexts: Contexts, lookup: Lookup) -> "Watch":
        """Raises Problem where the subscription can no longer be read (a context that is gone)."""
        spoken: Context = contexts.of(kept.get("context") or [])
        given = {key: kept[key] for key in ("q", "scopeQ", "expandValues") if key in kept} | kept.get("geoQ", {})
        asked = selection.selection(given, spoken, lookup)
        selectors = tuple(selector_of(one) for one in kept.get("entities", ()))
        notice = kept["notification"]
        told = contexts.of(kept["jsonldContext"]) if kept.get("jsonldContext") else spoken
        shows = View(
            told,
            FORMATS[notice.get("format", "normalized")],
            bool(notice.get("sysAttrs")),
            kept.get("lang", ""),
            frozenset(notice.get("attributes", ())),
            projection(notice.get("pick"), "pick"),
            projection(notice.get("omit"), "omit"),
            frozenset(kept.get("datasetId", ())),
        )
        named = set(kept.get("notificationTrigger", DEFAULT_TRIGGERS))
        triggers = named | {one for name in named for one in OF_ENTITY.get(name, ())}
        return cls(
            kept,
            frozenset(triggers),
            frozenset(kept.get("watchedAttributes", ())),
            selection.Selection(selectors, frozenset(), asked.query, asked.geo, asked.scope),
            shows,
            Linking(lookup, notice.get("join", "@none"), notice.get("joinLevel", 1)),
            bool(notice.get("showChanges")),
        )

    def concerned(self, before: Json | None, after: Json | None, changed: Sequence[Change], now: int) -> list[Change]:
        """Of what happened to an entity, what triggers this one; an empty one stands for the entity itself."""
        one = after or before
        if one is None or "timeInterval" in self.kept or status(self.kept, now) != "active":
            return []
        if not self.chosen.selects(one["id"], one["type"]):
            return []
        found = [
            change
            for change in changed
            if change.trigger in self.triggers and (not self.watched or change.name in self.watched)
        ]
        whole = "entityCreated" if before is None else "entityDeleted" if after is None else ""
        if whole in self.triggers and (not self.watched or any(name in self.watched for name in one["attrs"])):
            found.append(Change("", None, None))
        return found if found and self.fits(one) else []

    def fits(self, one: Json) -> bool:
        """Query, geoquery and scope query."""
        chosen = self.chosen
        return selection.Selection((), frozenset(), chosen.query, chosen.geo, chosen.scope).matches(one)

    def throttled(self, now: int) -> bool:
        last = times.instant(self.kept.get("books", {}).get("lastNotification"))
        return "throttling" in self.kept and last is not None and now < last + int(self.kept["throttling"] * NS)

    def data(self, before: Json | None, after: Json | None, found: Sequence[Change], now: str) -> list[Json]:
        """The entity as the subscriber is told it, and those linked to it."""
        if after is None:
            return [self._deleted(before or {}, found, now)]
        attrs = dict(after["attrs"])
        for change in found:
            if change.name and change.after is None and change.before is not None:
                attrs[change.name] = [*attrs.get(change.name, []), self._gone(change.before, now)]
            elif self.changes and change.before is not None and change.after is not None:
                member = VALUE[change.before["type"]]
                told = change.after | {PREVIOUS[member]: change.before.get(member)}
                attrs[change.name] = [told if one is change.after else one for one in attrs.get(change.name, [])]
        return self.linking.show([after | {"attrs": attrs}], self.view)

    def _deleted(self, before: Json, found: Sequence[Change], now: str) -> Json:
        """5.8.6: of a deleted entity its deletedAt; Attributes where they were watched, or changes are to be shown."""
        names = {change.name for change in found if change.name and (self.watched or self.changes)}
        names |= set(before["attrs"]) if self.changes else set()
        attrs = {
            name: [self._gone(one, now) for one in some] for name, some in before["attrs"].items() if name in names
        }
        head = self.view.entity(before | {"attrs": attrs})
        return {key: one for key, one in head.items() if key != "scope"} | {"deletedAt": now}

    def _gone(self, before: Json, now: str) -> Json:
        kind = before["type"]
        made: Json = {"type": kind, VALUE[kind]: null_of(kind)}
        if "datasetId" in before:
            made["datasetId"] = before["datasetId"]
        if self.changes:
            made[PREVIOUS[VALUE[kind]]] = before.get(VALUE[kind])
        if self.view.system:
            made |= {"createdAt": before["createdAt"], "modifiedAt": before["modifiedAt"], "deletedAt": now}
        return made


def features(entities: Sequence[Json], shown: Sequence[Json]) -> Json:
    """A FeatureCollection for who accepts application/geo+json."""
    where = {one["id"]: one["attrs"].get(geo.LOCATION, []) for one in entities}
    made: list[Any] = []
    for one in shown:
        values = [each.get("value") for each in where.get(one["id"], ()) if "datasetId" not in each]
        rest = {key: value for key, value in one.items() if key != "id"}
        made.append({"id": one["id"], "type": "Feature", "geometry": next(iter(values), None), "properties": rest})
    return {"type": "FeatureCollection", "features": made}
