"""The broker over HTTP: an ASGI application at /ngsi-ld/v1, mounted in the aggregator's site or served alone.

Operations are short and run one at a time in a thread, so that a large answer does not hold up the loop.
"""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from aggregator.api.ngsi import answer, hosting, snapshots
from aggregator.api.ngsi.answer import Answer
from aggregator.api.ngsi.broker import Broker, Room
from aggregator.api.ngsi.errors import (
    Bare,
    InternalError,
    InvalidRequest,
    NonexistentTenant,
    Problem,
    ResourceNotFound,
)
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.routes import Route, matching
from aggregator.api.ngsi.words import BYTES_MAX
from aggregator.stores import StoreError

LOG = logging.getLogger(__name__)
ROOT = "/ngsi-ld/v1"
URL_MAX = 16 << 10  # bytes
ECHOED = ("NGSILD-Tenant", "NGSILD-Snapshot")
Admit = Callable[[Request, bool], Awaitable[Response | None]]  # (request, whether it writes) → why not


async def everyone(request: Request, write: bool) -> Response | None:
    """Nobody is refused: loopback alone."""
    return None


class NgsiLd:
    """The ASGI application."""

    def __init__(self, broker: Broker, admit: Admit = everyone) -> None:
        self.broker, self.admit = broker, admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        response = await self._answered(request)
        for name in ECHOED:
            if name in request.headers and name not in response.headers:
                response.headers[name] = request.headers[name].encode("latin-1", "replace").decode("latin-1")
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        path = request.scope.get("raw_path") or request.url.path.encode()
        place = path.decode("latin-1").partition("?")[0].rpartition(ROOT)[2]
        parts = [unquote(one) for one in place.strip("/").split("/")]
        found = matching(parts)
        if not found:
            return made(answer.problem(ResourceNotFound(f"{ROOT}{place}: there is no such resource")))
        if request.method not in found:
            return Response(status_code=405, headers={"Allow": ", ".join(sorted(found))})
        route, names = found[request.method]
        if (refused := await self.admit(request, route.write)) is not None:
            return refused
        if len(request.url.query) > URL_MAX:
            return Response(status_code=414)
        raw = await body_of(request)
        if raw is None:
            return Response(status_code=413)
        call = Call(
            self.broker,
            request.method,
            names,
            ROOT + place.rstrip("/"),
            f"{request.url.scheme}://{request.headers.get('host', 'localhost')}",
            {name.lower(): value for name, value in request.headers.items()},
            request.url.query,
            raw,
        )
        return made(await self.broker.work(self._handled, route, call))

    def _handled(self, route: Route, call: Call) -> Answer:
        try:
            return self._handle(route, call)
        except Bare as error:
            return Answer(error.status)
        except Problem as error:
            return answer.problem(error)
        except RecursionError:
            return answer.problem(InvalidRequest("nested deeper than can be read"))
        except StoreError as error:
            LOG.exception("%s %s", call.method, call.url)
            return answer.problem(InternalError(str(error)))

    def _handle(self, route: Route, call: Call) -> Answer:
        """Preconditions first, in the order of the standard; then the operation."""
        if route.body and "content-length" not in call.headers:
            raise Bare(411)
        if route.reads:
            call.negotiate(geo=route.geo)
        elif call.headers.get("accept", "").strip().lower() == "application/geo+json":
            call.negotiate()
        call.read(route.params, route.options)
        tenant = call.tenant
        if not route.free and not self.broker.store.has_tenant(tenant) and "|" not in tenant:
            raise NonexistentTenant(f"{tenant}: no such tenant; the first entity or subscription makes it")
        if route.body:
            call.take(spoken=route.handler is not hosting.add)
        try:
            told = route.handler(call)
        finally:
            hosting.count(self.broker)
        if "ngsild-snapshot" in call.headers:
            owner = call.headers.get("ngsild-tenant", "")
            snapshots.used(Room(self.broker, owner), call.headers["ngsild-snapshot"])
        return told


async def body_of(request: Request) -> bytes | None:
    """All of it, read no further than is allowed; nothing where it is more."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > BYTES_MAX:
            return None
    return bytes(data)


def made(told: Answer) -> Response:
    response = Response(told.body or None, told.status, dict(told.headers))
    if told.status == 204 and "content-length" in response.headers:
        del response.headers["content-length"]
    return response


def alone(broker: Broker) -> Starlette:
    """The broker and nothing else."""
    return Starlette(routes=[Mount("/", NgsiLd(broker))], exception_handlers={Exception: failed})


async def failed(request: Request, error: Exception) -> Response:
    """Our own fault: what happened stays in the log."""
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return made(answer.problem(InternalError("the broker's log says what happened")))
