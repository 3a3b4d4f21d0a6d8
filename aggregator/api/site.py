"""One site of all tables of routes: checks who asks, what, and how much. Denied unless a route allows it."""

import asyncio
import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import groupby
from typing import Any

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Place
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggregator.access.roles import Role
from aggregator.api.parts import Parts
from aggregator.api.problem import Denied, Fault, Invalid, Problem, TooLarge, Unauthenticated, Unavailable
from aggregator.api.route import JSON, SAFE, Call, Empty, Gate, Identity, Route, checked
from aggregator.stores import StoreError

LOG = logging.getLogger(__name__)
MODULES: tuple[str, ...] = (  # each has ROUTES: a literal table
    "aggregator.api.metrics",
    "aggregator.api.openapi",
    "aggregator.api.rest.alarms",
    "aggregator.api.rest.assets",
    "aggregator.api.rest.audit",
    "aggregator.api.rest.city",
    "aggregator.api.rest.decisions",
    "aggregator.api.rest.fleet",
    "aggregator.api.rest.ledger",
    "aggregator.api.rest.models",
    "aggregator.api.rest.public",
    "aggregator.api.rest.scenarios",
    "aggregator.api.rest.session",
    "aggregator.api.rest.users",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
THREADS = 8  # that wait for stores at once; more only queue at SQLite
BODY_MAX = 1 << 20  # bytes of one request; what is larger has a way of its own
ANSWER_S = 30.0  # what a handler may take: longer work is started, and asked after
PROBLEM = "application/problem+json"
CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def every_route() -> list[Route]:
    return [route for name in MODULES for route in import_module(name).ROUTES]


def site(parts: Parts, gate: Gate, routes: Sequence[Route], others: Iterable[BaseRoute] = ()) -> Starlette:
    """`others` are mounts that check for themselves who asks: the page's files, the live stream, NGSI-LD."""
    limiter = anyio.CapacityLimiter(THREADS)
    by_path = groupby(sorted(routes, key=lambda one: (one.path, one.method)), key=lambda one: one.path)
    found: list[BaseRoute] = []
    for path, same in by_path:
        methods = {one.method: one for one in same}
        found.append(Place(path, partial(answer, parts, gate, limiter, methods), methods=METHODS))
    app = Starlette(routes=[*found, *others], exception_handlers={HTTPException: plain, Exception: failed})
    app.add_middleware(Sealed)
    return app


async def answer(
    parts: Parts, gate: Gate, limiter: anyio.CapacityLimiter, methods: Mapping[str, Route], request: Request
) -> Response:
    try:
        method = "GET" if request.method == "HEAD" else request.method
        route = methods.get(method)
        if route is None:
            allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
            raise HTTPException(405, headers={"allow": allowed})
        who = await gate.who(request)
        admit(route, who)
        if method not in SAFE:
            gate.check_unsafe(request, who)
        call = await called(route, who, parts, request)
        async with asyncio.timeout(ANSWER_S):
            if inspect.iscoroutinefunction(route.handler):
                told = await route.handler(call)
            else:
                told = await anyio.to_thread.run_sync(route.handler, call, limiter=limiter, abandon_on_cancel=True)
    except Problem as problem:
        return told_of(problem)
    except StoreError as error:
        return told_of(Unavailable(str(error)))
    except TimeoutError:
        return told_of(Unavailable(f"it took longer than {ANSWER_S:g} s; ask for less"))
    if isinstance(told, Response):
        return told
    return Response(msgspec.json.encode(told), route.status, media_type=JSON)


def admit(route: Route, who: Identity) -> None:
    """Raises Unauthenticated or Denied."""
    if who.role in route.roles:
        return
    if who.role is Role.PUBLIC:
        raise Unauthenticated(
            "sign in, or send a token: Authorization: Bearer …", headers={"www-authenticate": "Bearer"}
        )
    wanted = ", ".join(sorted(route.roles))
    raise Denied(f"{who.name} is {who.role}; this needs one of: {wanted}")


async def called(route: Route, who: Identity, parts: Parts, request: Request) -> Call:
    """Raises Invalid with the faults of query and body, TooLarge."""
    asked = request.query_params
    twice = sorted({key for key in asked if len(asked.getlist(key)) > 1})
    if twice:
        raise Invalid("name each parameter once", [Fault(f"?{key}", "is given twice") for key in twice])
    query = checked(route.query or Empty, dict(asked), text=True, place="?")
    body = None
    if route.body is not None:
        body = checked(route.body, await json_of(request), text=False, place="$.")
    return Call(who, parts, request.path_params, query, body, request)


async def json_of(request: Request) -> Mapping[str, Any]:
    """Raises Invalid, TooLarge."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != JSON:
        raise Invalid(f"send {JSON}, not {kind or 'nothing'}")
    data = await body_of(request)
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"no JSON: {error}") from error
    if not isinstance(content, dict):
        raise Invalid("send a JSON object")
    return content


async def body_of(request: Request, most: int = BODY_MAX) -> bytes:
    """All of it, read no further than is allowed. Raises TooLarge."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            raise TooLarge(f"a request may have {most} bytes")
    return bytes(data)


def told_of(problem: Problem) -> Response:
    return Response(msgspec.json.encode(problem.document()), problem.status, problem.headers, PROBLEM)


async def plain(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    document = {"type": "about:blank", "title": error.detail, "status": error.status_code, "detail": request.url.path}
    return Response(msgspec.json.encode(document), error.status_code, error.headers, PROBLEM)


async def failed(request: Request, error: Exception) -> Response:
    """Our own fault: what happened stays in the log."""
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return told_of(Problem("the log says what happened"))


class Sealed:
    """Middleware: the headers that no answer goes without."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, receive, sealed if scope["type"] == "http" else send)
