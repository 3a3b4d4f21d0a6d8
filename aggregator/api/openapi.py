"""OpenAPI 3.1 of every route, from the same tables that the site is made of."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from aggregator.access.roles import EVERYONE, Role
from aggregator.api.route import SAFE, Call, Route

TEMPLATE = "#/components/schemas/{name}"
HOLE = re.compile(r"\{(\w+)(?::\w+)?\}")
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "faults": {"type": "array", "items": {"type": "object"}},
    },
}
USUAL = {
    400: "Faults in the request, all of them",
    401: "Sign in first",
    404: "No such thing",
    409: "Not in this state",
    429: "Too often",
}
LATE = {503: "Not here at present"}


def document(routes: Sequence[Route], title: str = "citytwin") -> dict[str, Any]:
    """The whole document; paths in the order of the tables."""
    kinds = [kind for route in routes for kind in (route.body, route.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    by_kind = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(HOLE.sub(r"{\1}", route.path), {})[route.method.lower()] = operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": "What the page asks, and what programs may ask."},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-citytwin"},
            },
        },
    }


def operation(route: Route, by_kind: dict[int, dict[str, Any]]) -> dict[str, Any]:
    told = content(route.media, by_kind.get(id(route.answer), {}))
    answers: dict[str, Any] = {str(route.status): {"description": "Done", **(told if route.status != 204 else {})}}
    answers |= {str(status): problem(words) for status, words in (USUAL | LATE).items()}
    if route.roles != EVERYONE:
        answers["403"] = problem("Not with this role")
    found: dict[str, Any] = {
        "summary": route.summary,
        "operationId": named(route),
        "description": f"Roles: {', '.join(sorted(role for role in route.roles if role is not Role.PUBLIC))}"
        + (", anybody" if route.roles == EVERYONE else ""),
        "parameters": [*holes(route.path), *asked(route)],
        "responses": answers,
    }
    if route.roles != EVERYONE:
        found["security"] = [{"token": []}, {"session": []}]
    if route.body is not None:
        found["requestBody"] = {"required": True, **content("application/json", by_kind[id(route.body)])}
    if route.method not in SAFE:
        found["description"] += ". A session sends X-CSRF-Token as well"
    return found


def named(route: Route) -> str:
    words = [one for one in re.split(r"[^\w]+", route.path) if one]
    return "_".join([route.method.lower(), *words[2:]])


def content(media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {media: {"schema": schema}}}


def problem(words: str) -> dict[str, Any]:
    return {"description": words, **content("application/problem+json", {"$ref": TEMPLATE.format(name="Problem")})}


def holes(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in HOLE.findall(path)
    ]


def asked(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    return [
        {
            "name": one.encode_name,
            "in": "query",
            "required": one.required,
            "schema": msgspec.json.schema(one.type) | ({} if one.required else {"default": one.default}),
        }
        for one in msgspec.structs.fields(route.query)
    ]


def openapi(call: Call) -> dict[str, Any]:
    from aggregator.api.site import every_route  # it names this module

    return document(every_route())


ROUTES = (Route("GET", "/api/v1/openapi.json", openapi, EVERYONE, "This document", answer=dict[str, Any]),)
