"""Users, their links, and tokens for programs: for admins alone."""

import msgspec

from aggregator.access import AccessError
from aggregator.access.doors import LINK_H, TOKEN_DAYS
from aggregator.access.roles import ADMINS
from aggregator.api.items import Items, utc
from aggregator.api.problem import Invalid, Unknown
from aggregator.api.rest.session import told
from aggregator.api.route import Call, Route


class UserItem(msgspec.Struct, frozen=True):
    name: str
    role: str
    enabled: bool
    made: str
    seen: str
    origin: str


class TokenItem(msgspec.Struct, frozen=True):
    name: str
    role: str
    made: str
    until: str
    seen: str


class Invitation(msgspec.Struct, frozen=True):
    name: str
    role: str
    hours: float = LINK_H


class Link(msgspec.Struct, frozen=True):
    """Valid once; told once."""

    link: str


class Change(msgspec.Struct, frozen=True):
    role: str | None = None
    enabled: bool | None = None


class NewToken(msgspec.Struct, frozen=True):
    name: str
    role: str
    days: float = TOKEN_DAYS


class Secret(msgspec.Struct, frozen=True):
    """Told once."""

    token: str


class Done(msgspec.Struct, frozen=True):
    done: str


def users(call: Call) -> Items[UserItem]:
    with call.parts.doors() as doors:
        found = doors.store.users()
    return Items([UserItem(u.name, u.role, u.enabled, utc(u.made_ns), utc(u.seen_ns), u.origin) for u in found])


def invite(call: Call) -> Link:
    with call.parts.doors() as doors:
        try:
            return Link(doors.invite(call.body.name, call.body.role, call.who.name, call.body.hours))
        except AccessError as error:
            raise told(error) from error


def change(call: Call) -> Done:
    wish, name = call.body, call.path["name"]
    if wish.role is None and wish.enabled is None:
        raise Invalid("say role, enabled, or both")
    with call.parts.doors() as doors:
        exists(doors.store.user(name) is not None, name)
        try:
            if wish.role is not None:
                doors.set_role(name, wish.role, call.who.name)
            if wish.enabled is not None:
                doors.enable(name, wish.enabled, call.who.name)
        except AccessError as error:
            raise told(error) from error
    return Done(name)


def remove(call: Call) -> Done:
    name = call.path["name"]
    with call.parts.doors() as doors:
        exists(doors.store.user(name) is not None, name)
        try:
            doors.remove(name, call.who.name)
        except AccessError as error:
            raise told(error) from error
    return Done(name)


def tokens(call: Call) -> Items[TokenItem]:
    with call.parts.doors() as doors:
        found = doors.store.tokens()
    return Items([TokenItem(t.name, t.role, utc(t.made_ns), utc(t.until_ns), utc(t.seen_ns)) for t in found])


def make_token(call: Call) -> Secret:
    with call.parts.doors() as doors:
        try:
            return Secret(doors.make_token(call.body.name, call.body.role, call.who.name, call.body.days))
        except AccessError as error:
            raise told(error) from error


def revoke_token(call: Call) -> Done:
    name = call.path["name"]
    with call.parts.doors() as doors:
        exists(any(one.name == name for one in doors.store.tokens()), name)
        doors.revoke_token(name, call.who.name)
    return Done(name)


def exists(there: bool, name: str) -> None:
    if not there:
        raise Unknown(f"no {name}")


ROUTES = (
    Route("GET", "/api/v1/users", users, ADMINS, "Everybody who may come in", answer=Items[UserItem]),
    Route("POST", "/api/v1/users", invite, ADMINS, "Make a one-time link", body=Invitation, answer=Link, status=201),
    Route("PATCH", "/api/v1/users/{name}", change, ADMINS, "Another role, or off and on", body=Change, answer=Done),
    Route("DELETE", "/api/v1/users/{name}", remove, ADMINS, "Remove", answer=Done),
    Route("GET", "/api/v1/tokens", tokens, ADMINS, "Tokens of programs", answer=Items[TokenItem]),
    Route("POST", "/api/v1/tokens", make_token, ADMINS, "Make a token", body=NewToken, answer=Secret, status=201),
    Route("DELETE", "/api/v1/tokens/{name}", revoke_token, ADMINS, "Revoke a token", answer=Done),
)
