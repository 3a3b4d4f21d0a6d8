"""Coming in and going out: who am I, sign in, welcome by a one-time link, sign out."""

import msgspec
from starlette.responses import Response

from aggregator.access import AccessError, AlreadyThere, NotKnown, Throttled
from aggregator.access.roles import EVERYONE, VIEWERS
from aggregator.api.gate import COOKIE, let_in, let_out
from aggregator.api.problem import Conflict, Fault, Invalid, Problem, TooMany, Unauthenticated
from aggregator.api.route import Call, Route


class Me(msgspec.Struct, frozen=True):
    """`csrf` is to be sent as X-CSRF-Token with whatever changes something; `role` public: nobody."""

    name: str
    role: str
    csrf: str
    languages: tuple[str, ...] = ("en", "zh")


class SignIn(msgspec.Struct, frozen=True):
    name: str
    password: str


class Welcome(msgspec.Struct, frozen=True):
    """What a one-time link is answered with; `name` where the link leaves the choice."""

    link: str
    password: str
    name: str = ""


def told(error: AccessError) -> Problem:
    """As the client is told it."""
    match error:
        case Throttled():
            return TooMany(str(error), headers={"retry-after": str(int(error.wait_s) + 1)})
        case NotKnown():
            return Unauthenticated(str(error))
        case AlreadyThere():
            return Conflict(str(error))
        case _:
            return Invalid(str(error), [Fault("$", str(error))])


def address(call: Call) -> str:
    return call.request.client.host if call.request.client else ""


def who_am_i(call: Call) -> Me:
    return Me(call.who.name, call.who.role, call.who.csrf)


def sign_in(call: Call) -> Response:
    with call.parts.doors() as doors:
        try:
            secret = doors.sign_in(call.body.name, call.body.password, address(call))
        except AccessError as error:
            raise told(error) from error
    return admitted(call, secret)


def welcome(call: Call) -> Response:
    with call.parts.doors() as doors:
        try:
            secret = doors.welcome(call.body.link, call.body.name, call.body.password, address(call))
        except AccessError as error:
            raise told(error) from error
    return admitted(call, secret)


def admitted(call: Call, secret: str) -> Response:
    """What was signed in as before ends: a session is never carried over (fixation)."""
    with call.parts.doors() as doors:
        if before := call.request.cookies.get(COOKIE, ""):
            doors.sign_out(before)
        session = doors.session(secret)
    if session is None:
        raise Unauthenticated("switched off at this moment")
    response = Response(msgspec.json.encode(Me(session.name, session.role, session.csrf)), 201)
    response.headers["content-type"] = "application/json"
    let_in(response, secret)
    return response


def sign_out(call: Call) -> Response:
    with call.parts.doors() as doors:
        doors.sign_out(call.request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    let_out(response)
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


ROUTES = (
    Route("GET", "/api/v1/session", who_am_i, EVERYONE, "Who I am, and the word that unsafe requests bring", answer=Me),
    Route("POST", "/api/v1/session", sign_in, EVERYONE, "Sign in", body=SignIn, answer=Me, status=201),
    Route("DELETE", "/api/v1/session", sign_out, VIEWERS, "Sign out", status=204),
    Route("POST", "/api/v1/welcome", welcome, EVERYONE, "Come in by a link", body=Welcome, answer=Me, status=201),
)
