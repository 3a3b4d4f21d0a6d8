"""Answers: bodies with their @context (6.3.6), pages with their links (6.3.10), results of batches (5.2.16)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aggregator.api.ngsi.errors import BadRequest, Problem, TooManyResults
from aggregator.api.ngsi.notices import LINK
from aggregator.api.ngsi.request import GEO, JSON, LD, Call
from aggregator.api.ngsi.words import Json


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


NO_CONTENT = Answer(204)


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, msgspec.json.encode(content), {"Content-Type": JSON, **(headers or {})})


def problem(error: Problem) -> Answer:
    return json_answer(error.body(), error.status)


def created(location: str) -> Answer:
    return Answer(201, headers={"Location": location})


def shown(call: Call, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """With the @context where the media type wants it."""
    told = dict(headers or {})
    context = call.context
    if call.accept == JSON or (call.accept == GEO and "body=json" in call.headers.get("prefer", "")):
        told["Link"] = ", ".join(filter(None, [LINK.format(context.link), told.get("Link")]))
    elif call.accept == LD:
        some = content if isinstance(content, list) else [content]
        bound = [one | {"@context": context.told()} if isinstance(one, dict) else one for one in some]
        content = bound if isinstance(content, list) else bound[0]
    else:
        content = content | {"@context": context.told()}
    return Answer(status, msgspec.json.encode(content), {"Content-Type": call.accept, **told})


@dataclass(frozen=True, slots=True)
class Paging:
    limit: int
    offset: int
    count: bool


def paging(call: Call) -> Paging:
    """Raises BadRequest, TooManyResults."""
    most, count = call.broker.settings.page_max, call.flag("count")
    limit, offset = number(call.params.get("limit"), "limit"), number(call.params.get("offset"), "offset") or 0
    if limit is not None and limit > most:
        raise TooManyResults(f"limit: {limit}: at most {most} at once; the Link header names the next page")
    if limit == 0 and not count:
        raise BadRequest("limit: 0 is for count=true")
    return Paging(call.broker.settings.page if limit is None else limit, offset, count)


def number(text: str | None, what: str) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise BadRequest(f"{what}: {text!r}: write a whole number from 0")
    return int(text)


def page(call: Call, found: Sequence[Any], asked: Paging) -> tuple[list[Any], dict[str, str]]:
    """The part that is asked for, and the headers that tell of the rest."""
    begin = asked.offset
    part = list(found[begin : begin + asked.limit]) if asked.limit else []
    links = []
    if asked.limit and begin > 0:
        links.append(link(call, asked.limit, max(0, begin - asked.limit), "prev"))
    if asked.limit and begin + asked.limit < len(found):
        links.append(link(call, asked.limit, begin + asked.limit, "next"))
    headers = {"NGSILD-Results-Count": str(len(found))} if asked.count else {}
    return part, headers | ({"Link": ",".join(links)} if links else {})


def link(call: Call, limit: int, offset: int, relation: str) -> str:
    return f'<{call.with_params(limit=limit, offset=offset)}>;rel="{relation}";type="{call.accept}"'


@dataclass
class Batch:
    """What became of each entity of a batch."""

    success: list[str] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)

    def failed(self, name: Any, error: Problem) -> None:
        self.errors.append({"entityId": name if isinstance(name, str) else "", "error": dict(error.body())})

    def answer(self, whole: Answer) -> Answer:
        """`whole` where nothing failed."""
        if not self.errors:
            return whole
        return json_answer({"success": self.success, "errors": self.errors}, 207)
