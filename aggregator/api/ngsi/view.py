"""How entities are shown: normalized, concise or simplified (4.5.1 … 4.5.4), in one language (4.15), some members only.

A projection (4.21) is a tree: {"name": None, "locatedAt": {"name": None}}; what stands below is for linked entities.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aggregator.api.ngsi.context import Context
from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.words import NULL, PREVIOUS, SYSTEM, VALUE, Json

Tree = Mapping[str, Any]
Joined = Callable[[str, str], Json | None]  # (URI of the relationship, id) → the linked entity as it is shown
FORMATS = {"normalized": "normalized", "concise": "concise", "simplified": "simplified", "keyValues": "simplified"}
PART = re.compile(r"[^{},|]+|[{},|]")
HEAD = ("id", "type", "scope")


@dataclass(frozen=True, eq=False)
class View:
    """`attrs`: URIs; `pick`, `omit`: names as written; `datasets`: "@none" is the default instance."""

    context: Context
    form: str = "normalized"
    system: bool = False
    lang: str = ""
    attrs: frozenset[str] = frozenset()
    pick: Tree | None = None
    omit: Tree | None = None
    datasets: frozenset[str] = frozenset()

    def below(self, name: str) -> "View":
        """For the entities that a relationship (its URI) leads to."""
        pick, omit = (subtree(one, self.context, name) for one in (self.pick, self.omit))
        return replace(self, pick=pick, omit=omit, attrs=frozenset())

    def entity(self, found: Json, joined: Joined = lambda name, other: None) -> Json:
        made: Json = {"id": found["id"], "type": one_or_many([self.context.compact(one) for one in found["type"]])}
        if "scope" in found:
            made["scope"] = one_or_many(found["scope"])
        made = {key: value for key, value in made.items() if self.shows(key, key)}
        if self.system:
            made |= {key: found[key] for key in SYSTEM if key in found}
        for uri, some in found["attrs"].items():
            name = self.context.compact(uri)
            if not self.shows(name, uri):
                continue
            shown = [one for one in some if not self.datasets or one.get("datasetId", "@none") in self.datasets]
            if shown:
                made[name] = self.attribute(uri, shown, joined)
        return made

    def shows(self, name: str, uri: str) -> bool:
        if self.attrs and uri not in self.attrs and name not in HEAD:
            return False
        if self.pick is not None and not named(self.pick, self.context, name, uri):
            return False
        return not (self.omit is not None and leaf(self.omit, self.context, name, uri))

    def shows_link(self, uri: str) -> bool:
        """Whether a relationship is among what is shown."""
        return self.shows(self.context.compact(uri), uri)

    def attribute(self, uri: str, some: Sequence[Json], joined: Joined) -> Any:
        if self.form == "simplified":
            if len(some) == 1 and ("datasetId" not in some[0] or self.datasets):
                return self.simplified(some[0], uri, joined)
            return {"dataset": {one.get("datasetId", "@none"): self.simplified(one, uri, joined) for one in some}}
        return one_or_many([self.instance(one, uri, joined) for one in some])

    def instance(self, one: Json, uri: str = "", joined: Joined = lambda name, other: None) -> Any:
        """Normalized or concise."""
        if self.lang and one.get("type") == "LanguageProperty" and "languageMap" in one:
            one = in_language(one, self.lang)
        kind = one["type"]
        made: Json = {"type": kind, VALUE[kind]: self.value(kind, one.get(VALUE[kind]))}
        for key, value in one.items():
            if key in made or key in ("attrs", "null") or (key in SYSTEM and not self.system and key != "deletedAt"):
                continue
            made[key] = self._member(key, value, kind)
        self._join(made, uri, joined)
        for sub, each in one.get("attrs", {}).items():
            made[self.context.compact(sub)] = one_or_many([self.instance(inner) for inner in each])
        return self._concise(made) if self.form == "concise" else made

    def _member(self, key: str, value: Any, kind: str) -> Any:
        if key == "objectType":
            return one_or_many([self.context.compact(each) for each in value])
        return self.value(kind, value) if key in PREVIOUS.values() else value

    def value(self, kind: str, value: Any) -> Any:
        if kind == "VocabProperty":
            return [self.context.compact(one) for one in value] if isinstance(value, list) else self._word(value)
        if kind == "ListRelationship" and isinstance(value, list) and value != [NULL]:
            return [{"object": one} for one in value]
        return value

    def _word(self, value: Any) -> Any:
        return self.context.compact(value) if isinstance(value, str) and value != NULL else value

    def _join(self, made: Json, uri: str, joined: Joined) -> None:
        kind = made["type"]
        if kind == "Relationship" and made["object"] != NULL:
            objects = made["object"] if isinstance(made["object"], list) else [made["object"]]
            found = [other for one in objects if (other := joined(uri, one)) is not None]
            if found:
                made["entity"] = found if isinstance(made["object"], list) else found[0]
        elif kind == "ListRelationship":
            listed = [one["object"] for one in made["objectList"] if isinstance(one, dict)]
            if found := [other for one in listed if (other := joined(uri, one)) is not None]:
                made["entityList"] = found

    def _concise(self, made: Json) -> Any:
        """Without types; a value alone stands for itself where nothing can be mistaken."""
        kind, member = made["type"], VALUE[made["type"]]
        if len(made) == 2 and gone(made[member]):
            return NULL
        short = {key: value for key, value in made.items() if key != "type"}
        if kind == "ListRelationship":
            short[member] = [one["object"] if isinstance(one, dict) else one for one in short[member]]
        if len(short) == 1 and (kind == "GeoProperty" or (kind == "Property" and not ambiguous(short[member]))):
            return short[member]
        return short

    def simplified(self, one: Json, uri: str = "", joined: Joined = lambda name, other: None) -> Any:
        if self.lang and one.get("type") == "LanguageProperty":
            one = in_language(one, self.lang)
        kind = one["type"]
        member, value = VALUE[kind], one.get(VALUE[kind])
        if gone(value) and "deletedAt" not in one:
            return NULL
        if member in ("languageMap", "vocab", "json"):
            return {member: self.value(kind, value)}
        if member in ("object", "objectList") and value != NULL:
            listed = value if isinstance(value, list) else [value]
            shown: list[Any] = [joined(uri, str(each)) or each for each in listed]
            return shown if isinstance(value, list) else shown[0]
        return value


def gone(value: Any) -> bool:
    """Whether it says that something was deleted (4.5.0)."""
    return value in (NULL, [NULL], {"@none": NULL})


def ambiguous(value: Any) -> bool:
    """What would be read as something else when it came back."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    return isinstance(value, dict) or value == NULL


def one_or_many(some: Sequence[Any]) -> Any:
    return some[0] if len(some) == 1 else list(some)


def in_language(one: Json, wanted: str) -> Json:
    """A LanguageProperty as a Property in the best language there is (4.15; look-up of RFC 4647)."""
    tag, value = chosen(one["languageMap"], wanted)
    rest = {key: each for key, each in one.items() if key not in ("languageMap", "type")}
    return {"type": "Property", "value": value, **rest, "lang": tag}


def chosen(found: Mapping[str, Any], wanted: str) -> tuple[str, Any]:
    there = {tag.lower(): tag for tag in found}
    for asked in ranked(wanted):
        ways = [asked, *(asked.rsplit("-", cut)[0] for cut in range(1, asked.count("-") + 1))]
        for way in ways:
            close = there.get(way) or next((tag for low, tag in there.items() if low.startswith(way + "-")), None)
            if close:
                return close, found[close]
    tag = "@none" if "@none" in found else next(iter(found), "@none")
    return tag, found.get(tag, "")


def ranked(wanted: str) -> list[str]:
    """fr-CH,fr;q=0.9,*;q=0.5 in the order of preference, without *."""
    rows: list[tuple[float, int, str]] = []
    for place, part in enumerate(wanted.strip('"').split(",")):
        tag, _, weight = part.strip().partition(";")
        try:
            share = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError as error:
            raise BadRequest(f"lang: {part!r}: write a weight as fr;q=0.8") from error
        if share > 0:
            rows.append((-share, place, tag.strip().lower()))
    return [tag for _, _, tag in sorted(rows) if tag != "*"]


def projection(given: Any, what: str) -> Tree | None:
    """A list of names, each with a tree of its own where it has braces. Raises BadRequest."""
    if given is None:
        return None
    text = ",".join(given) if isinstance(given, list) and all(isinstance(one, str) for one in given) else given
    if not isinstance(text, str) or not text.strip():
        raise BadRequest(f"{what}: write names with commas between")
    signs = iter(PART.findall(text.replace(" ", "")))
    tree = branch(signs, what, text, 0)
    if next(signs, None) is not None:
        raise BadRequest(f"{what}: {text!r}: a brace too many")
    return tree


def branch(signs: Iterator[str], what: str, text: str, depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    last, fault = "", BadRequest(f"{what}: {text!r}: write names as a,b{{c,d}}, each once")
    for sign in signs:
        if sign in ",|":
            if not last:
                raise fault
            last = ""
        elif sign == "{":
            if not last or tree[last] is not None or depth > 10:
                raise fault
            tree[last] = branch(signs, what, text, depth + 1)
        elif sign == "}":
            if not depth or not last:
                raise fault
            return tree
        else:
            if last or sign in tree:
                raise fault
            tree[sign], last = None, sign
    if depth or not last:
        raise fault
    return tree


def depth_of(tree: Tree | None) -> int:
    return max((1 + depth_of(below) for below in (tree or {}).values() if below is not None), default=0)


def named(tree: Tree, context: Context, name: str, uri: str) -> bool:
    return name in tree or uri in tree or any(context.expand(one) == uri for one in tree if one not in HEAD)


def leaf(tree: Tree, context: Context, name: str, uri: str) -> bool:
    """Whether it is named there without anything below."""
    return any(
        below is None and (one in (name, uri) or (one not in HEAD and context.expand(one) == uri))
        for one, below in tree.items()
    )


def subtree(tree: Tree | None, context: Context, uri: str) -> Tree | None:
    return next((below for one, below in (tree or {}).items() if one not in HEAD and context.expand(one) == uri), None)
