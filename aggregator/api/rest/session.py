"""Coming in and going out: who am I, sign in here or elsewhere, welcome by a one-time link, sign out."""

from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address, ip_network

import msgspec
from anyio import to_thread
from starlette.responses import RedirectResponse, Response

from aggregator.access import AccessError, AlreadyThere, IssuerSilent, NotKnown, NotVouched, Throttled
from aggregator.access.roles import EVERYONE, VIEWERS
from aggregator.api.gate import COOKIE, let_in, let_out
from aggregator.api.problem import Conflict, Fault, Invalid, Problem, TooMany, Unauthenticated, Unavailable
from aggregator.api.route import Call, Route

BEGUN = "__Host-citytwin-begun"  # the state of a sign-in elsewhere: whoever comes back has to be who went
BEGUN_S = 600


class Me(msgspec.Struct, frozen=True):
    """`csrf` is to be sent as X-CSRF-Token with whatever changes something; `role` public: nobody."""

    name: str
    role: str
    csrf: str
    languages: tuple[str, ...] = ("en", "zh")
    elsewhere: str = ""  # the authority where one may sign in as well: GET /api/v1/oidc leads there


class Back(msgspec.Struct, frozen=True):
    """What a browser brings from the authority that vouches (OpenID Connect Core 1.0 §3.1.2.5, RFC 9207)."""

    state: str = ""
    code: str = ""
    iss: str = ""
    error: str = ""
    error_description: str = ""
    session_state: str = ""  # of session management, which some send; unused


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
        case IssuerSilent():
            return Unavailable(str(error))
        case _:
            return Invalid(str(error), [Fault("$", str(error))])


def address(call: Call) -> str:
    """From where it comes, as tries are counted: of IPv6 the network, since a home has 2⁶⁴ addresses."""
    host = call.request.client.host if call.request.client else ""
    try:
        return str(ip_network(f"{host}/64", strict=False)) if ip_address(host).version == 6 else host
    except ValueError:
        return host


def who_am_i(call: Call) -> Me:
    return Me(call.who.name, call.who.role, call.who.csrf, elsewhere=call.parts.config.oidc.issuer)


async def one_by_one(work: Callable[[Call], Response], call: Call) -> Response:
    """A password costs 64 MiB and a tenth of a second: who sends many at once waits, and nobody else does."""
    return await to_thread.run_sync(work, call, limiter=call.parts.hashing)


async def sign_in(call: Call) -> Response:
    return await one_by_one(signed_in, call)


async def welcome(call: Call) -> Response:
    return await one_by_one(welcomed, call)


def signed_in(call: Call) -> Response:
    with call.parts.doors() as doors:
        try:
            secret = doors.sign_in(call.body.name, call.body.password, address(call))
        except AccessError as error:
            raise told(error) from error
    return admitted(call, secret)


def welcomed(call: Call) -> Response:
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


def elsewhere(call: Call) -> Response:
    """To the authority that vouches; the state comes back in a cookie of this browser and in the address, both."""
    try:
        url, state = call.parts.relying.begin()
    except AccessError as error:
        raise told(error) from error
    response = RedirectResponse(url, 303)
    response.set_cookie(BEGUN, state, max_age=BEGUN_S, secure=True, httponly=True, samesite="lax")
    return response


def back(call: Call) -> Response:
    """From there: a session, or why not."""
    asked, origin = call.query, call.parts.config.oidc.issuer
    begun = call.request.cookies.get(BEGUN, "")
    with call.parts.doors() as doors:
        try:
            if not asked.state or not compare_digest(begun.encode(), asked.state.encode()):
                raise NotVouched("this sign-in was not begun in this browser: begin again")
            if asked.error:
                raise NotVouched(f"the issuer says: {asked.error[:80]}")
            found = call.parts.relying.finish(asked.state, asked.code, asked.iss)
            secret = doors.vouched(found.name, found.role, found.origin)
        except AccessError as error:
            if isinstance(error, NotVouched):
                doors.refused(origin, f"{address(call)}: {error}")
            raise told(error) from error
        if before := call.request.cookies.get(COOKIE, ""):
            doors.sign_out(before)
    response = RedirectResponse("/", 303)
    response.delete_cookie(BEGUN, secure=True, httponly=True, samesite="lax")
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
    Route("GET", "/api/v1/oidc", elsewhere, EVERYONE, "Sign in elsewhere", status=303, media=""),
    Route("GET", "/api/v1/oidc/callback", back, EVERYONE, "Back from there", query=Back, status=303, media=""),
)
