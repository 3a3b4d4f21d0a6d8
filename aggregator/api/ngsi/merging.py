"""How what comes changes what is there: append, update, partial update, merge, replace, delete (5.5.8, 5.5.12, 5.6).

Pure: every function gives a new entity and leaves the old one as it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aggregator.api.ngsi.entity import fresh, same_dataset, stamped
from aggregator.api.ngsi.errors import BadRequest, ResourceNotFound
from aggregator.api.ngsi.words import NULL, VALUE, Json

Attrs = dict[str, list[Json]]
BOOKS = ("createdAt", "modifiedAt")  # what the broker writes itself is no change


class Change(NamedTuple):
    """What happened to one instance of an Attribute."""

    name: str  # URI
    before: Json | None
    after: Json | None

    @property
    def trigger(self) -> str:
        if self.before is None:
            return "attributeCreated"
        return "attributeDeleted" if self.after is None else "attributeUpdated"


class Appended(NamedTuple):
    entity: Json
    left: list[str]  # URIs of Attributes that stayed as they were


def changes(before: Json | None, after: Json | None) -> list[Change]:
    """What is different, instance by instance."""
    old: Mapping[str, list[Json]] = before["attrs"] if before else {}
    new: Mapping[str, list[Json]] = after["attrs"] if after else {}
    return [change for name in {**old, **new} for change in differences(name, old.get(name, []), new.get(name, []))]


def differences(name: str, old: Sequence[Json], new: Sequence[Json]) -> Iterator[Change]:
    for one in new:
        before = same_dataset(list(old), one)
        if before is not one and (before is None or bare(before) != bare(one)):
            yield Change(name, before, one)
    for one in old:
        if same_dataset(list(new), one) is None:
            yield Change(name, one, None)


def bare(one: Any) -> Any:
    """Without the broker's own times, at any depth."""
    if isinstance(one, dict):
        return {key: bare(value) for key, value in one.items() if key not in BOOKS}
    return [bare(each) for each in one] if isinstance(one, list) else one


def append(target: Json, given: Json, now: str, *, overwrite: bool = True) -> Appended:
    """5.6.3: what is new is added; what is there is replaced, or left where `overwrite` is off."""
    attrs: Attrs = dict(target["attrs"])
    left: list[str] = []
    for name, some in given["attrs"].items():
        if not overwrite and any(same_dataset(attrs.get(name, []), one) for one in some):
            left.append(name)
            some = [one for one in some if same_dataset(attrs.get(name, []), one) is None]
        attrs[name] = placed(attrs.get(name, []), some, now)
    head = target | with_types(target, given)
    if "scope" in given:
        both = given["scope"] if overwrite else list(dict.fromkeys([*target.get("scope", []), *given["scope"]]))
        head = head | {"scope": both}
    return Appended(finished(head, given, attrs, now), left)


def update(target: Json, given: Json, now: str) -> Json:
    """5.6.2: whole Attributes are replaced, added, or deleted by an NGSI-LD Null."""
    attrs: Attrs = dict(target["attrs"])
    for name, some in given["attrs"].items():
        kept = [one for one in attrs.get(name, []) if not deleted_by(one, some)]
        attrs[name] = placed(kept, [one for one in some if "null" not in one], now)
    head = target | with_types(target, given)
    if "scope" in given and "scope" in target:
        head = head | {"scope": given["scope"]}
    return finished(head, given, attrs, now)


def partial(target: Json, name: str, given: Json, now: str) -> Json:
    """5.6.4: members of one instance are replaced, others stay. Raises ResourceNotFound, BadRequest."""
    some = target["attrs"].get(name, [])
    before = same_dataset(some, given)
    if before is None:
        raise ResourceNotFound(f"{target['id']} has no {name}" + dataset_of(given))
    if "null" in given:
        return without(target, name, given.get("datasetId"), now)
    if given.get("type", before["type"]) != before["type"]:
        raise BadRequest(f"{name} is a {before['type']}; its type cannot become {given['type']}")
    member = next((one for one in VALUE.values() if one in given), None)
    if member and member != VALUE[before["type"]]:
        raise BadRequest(f"{name} is a {before['type']}; it has {VALUE[before['type']]!r} and no {member!r}")
    made = before | {key: value for key, value in given.items() if key not in ("attrs", "type")}
    made["attrs"] = placed_subs(before.get("attrs", {}), given.get("attrs", {}), now)
    return put_back(target, name, stamped(trimmed(made), now, before), now)


def merge(target: Json, given: Json, now: str, lang: str = "", observed: str = "") -> Json:
    """5.6.17 by 5.5.12: to any depth, also into values. `lang`, `observed`: those of the request."""
    attrs: Attrs = dict(target["attrs"])
    for name, some in given["attrs"].items():
        kept = [one for one in attrs.get(name, []) if not deleted_by(one, some)]
        for one in some:
            if "null" in one:
                continue
            before = same_dataset(kept, one)
            made = stamped(merged(before, one, name, now, lang, observed), now, before)
            kept = [made if each is before else each for each in kept] if before else [*kept, made]
        attrs[name] = kept
    head = target | with_types(target, given)
    if "scope" in given:
        head = head | {"scope": given["scope"]}
    return finished(head, given, attrs, now)


def merged(before: Json | None, given: Json, name: str, now: str, lang: str, observed: str) -> Json:
    """One instance into another. Raises BadRequest where its type would change."""
    if before is None:
        return without_nulls(given)
    given = recast(before, given, lang) if given.get("simplified") else given
    if given["type"] != before["type"]:
        raise BadRequest(f"{name} is a {before['type']}; a merge cannot make it a {given['type']}")
    member = VALUE[before["type"]]
    made = before | {key: value for key, value in given.items() if key not in ("attrs", "simplified")}
    if member in given and before["type"] != "GeoProperty":
        made[member] = patched(before.get(member), given[member])
    if observed and "observedAt" in before and "observedAt" not in given:
        made["observedAt"] = observed
    subs: Attrs = dict(before.get("attrs", {}))
    for key, some in given.get("attrs", {}).items():
        kept = [one for one in subs.get(key, []) if not deleted_by(one, some)]
        for one in (each for each in some if "null" not in each):
            old = same_dataset(kept, one)
            new = stamped(merged(old, one, f"{name}.{key}", now, lang, ""), now, old)
            kept = [new if each is old else each for each in kept] if old else [*kept, new]
        subs[key] = kept
    made["attrs"] = {key: some for key, some in subs.items() if some}
    return trimmed(made)


def recast(before: Json, given: Json, lang: str) -> Json:
    """A bare value takes the type of what is there (5.6.17)."""
    member = VALUE[before["type"]]
    value = given.get("value", given.get(member))
    if before["type"] == "LanguageProperty" and not isinstance(value, dict):
        value = {lang or "@none": value}
    rest = {key: one for key, one in given.items() if key not in ("value", "type", "simplified")}
    return rest | {"type": before["type"], member: value}


def patched(target: Any, patch: Any) -> Any:
    """RFC 7396 with NGSI-LD Null in the place of null."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value == NULL:
            made.pop(key, None)
        else:
            made[key] = patched(made.get(key), value)
    return made


def without_nulls(one: Json) -> Json:
    member = VALUE[one["type"]]
    return one | {member: patched({}, one[member])} if isinstance(one.get(member), dict) else one


def replace(target: Json, given: Json, now: str) -> Json:
    """5.6.18: all anew but when it was created."""
    made = fresh(given, now)
    return made | {"id": target["id"], "type": given.get("type", target["type"]), "createdAt": target["createdAt"]}


def replace_attr(target: Json, name: str, given: Json, now: str) -> Json:
    """5.6.19. Raises ResourceNotFound."""
    before = same_dataset(target["attrs"].get(name, []), given)
    if before is None:
        raise ResourceNotFound(f"{target['id']} has no {name}" + dataset_of(given))
    return put_back(target, name, stamped(given, now, before), now)


def without(target: Json, name: str, dataset: str | None, now: str, *, every: bool = False) -> Json:
    """5.6.5: one instance less, the default one unless another is named, or all. Raises ResourceNotFound."""
    some = target["attrs"].get(name, [])
    kept = [] if every else [one for one in some if one.get("datasetId") != dataset]
    if len(kept) == len(some):
        raise ResourceNotFound(f"{target['id']} has no {name}" + dataset_of({"datasetId": dataset}))
    return finished(target, {}, target["attrs"] | {name: kept}, now)


def put_back(target: Json, name: str, made: Json, now: str) -> Json:
    some = [made if one.get("datasetId") == made.get("datasetId") else one for one in target["attrs"][name]]
    return finished(target, {}, target["attrs"] | {name: some}, now)


def placed(kept: Sequence[Json], some: Sequence[Json], now: str) -> list[Json]:
    """Instances put in the place of those of the same dataset, new ones behind."""
    found = list(kept)
    for one in some:
        before = same_dataset(found, one)
        made = stamped(one, now, before)
        found = [made if each is before else each for each in found] if before else [*found, made]
    return found


def placed_subs(old: Attrs, new: Attrs, now: str) -> Attrs:
    made = dict(old)
    for name, some in new.items():
        kept = [one for one in made.get(name, []) if not deleted_by(one, some)]
        made[name] = placed(kept, [one for one in some if "null" not in one], now)
    return {name: some for name, some in made.items() if some}


def deleted_by(one: Json, some: Sequence[Json]) -> bool:
    return any("null" in each and each.get("datasetId") == one.get("datasetId") for each in some)


def with_types(target: Json, given: Json) -> Json:
    return {"type": list(dict.fromkeys([*target["type"], *given.get("type", [])]))}


def finished(head: Json, given: Json, attrs: Attrs, now: str) -> Json:
    made = head | {"attrs": {name: some for name, some in attrs.items() if some}, "modifiedAt": now}
    if "expiresAt" in given:
        made["expiresAt"] = given["expiresAt"]
    for key in ("scope", "expiresAt"):
        if made.get(key) in (NULL, [NULL]):
            del made[key]
    return made


def trimmed(one: Json) -> Json:
    """Without members that an NGSI-LD Null has deleted."""
    return {key: value for key, value in one.items() if value != NULL and (key != "attrs" or value)}


def dataset_of(given: Json) -> str:
    return f" with datasetId {given['datasetId']}" if given.get("datasetId") else ""
