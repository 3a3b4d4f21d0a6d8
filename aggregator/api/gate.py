"""The gate: by cookie or token to an identity; and no request that changes something comes from another site.

The cookie is `__Host-`: of this host alone, over TLS alone (browsers take 127.0.0.1 for safe as well), out of reach
for scripts. What changes something needs the session's own word in a header, which no other site can read, and comes
from this origin, as far as the browser says from where (OWASP, CSRF Prevention Cheat Sheet). Tokens are sent by no
browser by itself and need neither.
"""

import hmac

import anyio
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from aggregator.access.doors import LONGEST_S, Session
from aggregator.access.roles import Role
from aggregator.api.parts import Parts
from aggregator.api.problem import Denied, Unauthenticated
from aggregator.api.route import NOBODY, Identity
from aggregator.stores.access import Token

COOKIE = "__Host-citytwin"
CSRF = "x-csrf-token"
SECRET_MAX = 256  # characters: ours are shorter


class DoorGate:
    """Implements `route.Gate`. A look into the store takes a millisecond, in a thread all the same."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def who(self, connection: HTTPConnection) -> Identity:
        kind, _, secret = connection.headers.get("authorization", "").partition(" ")
        if kind:
            return await self._by_token(kind, secret.strip())
        cookie = connection.cookies.get(COOKIE, "")
        if not cookie or len(cookie) > SECRET_MAX:
            return NOBODY
        session = await anyio.to_thread.run_sync(self._session, cookie)
        return NOBODY if session is None else Identity(session.name, session.role, "session", session.csrf)

    async def _by_token(self, kind: str, secret: str) -> Identity:
        if kind.lower() == "bearer" and 0 < len(secret) <= SECRET_MAX:
            token = await anyio.to_thread.run_sync(self._token, secret)
            if token is not None:
                return Identity(f"token {token.name}", Role(token.role), "token")
        raise Unauthenticated("no such token, or its time is over", headers={"www-authenticate": "Bearer"})

    def _session(self, secret: str) -> Session | None:
        with self._parts.doors() as doors:
            return doors.session(secret)

    def _token(self, secret: str) -> Token | None:
        with self._parts.doors() as doors:
            return doors.token(secret)

    def check_unsafe(self, request: Request, who: Identity) -> None:
        if not same_site(request):
            raise Denied("another site has sent this: nothing was done")
        if who.how == "session" and not hmac.compare_digest(request.headers.get(CSRF, "").encode(), who.csrf.encode()):
            raise Denied(f"send {CSRF} with what GET /api/v1/session says")


def same_site(connection: HTTPConnection) -> bool:
    """As far as the browser says; a program says nothing."""
    origin, fetched = connection.headers.get("origin"), connection.headers.get("sec-fetch-site", "same-origin")
    if fetched not in ("same-origin", "none"):
        return False
    return origin is None or origin.partition("://")[2] == connection.headers.get("host", "")


def let_in(response: Response, secret: str) -> None:
    response.set_cookie(COOKIE, secret, max_age=LONGEST_S, secure=True, httponly=True, samesite="strict")


def let_out(response: Response) -> None:
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict")
