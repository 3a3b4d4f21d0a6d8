"""Who may do what, written down once more by hand: what the site's own tables are compared with.

v viewer   o operator   e engineer   a admin   u auditor   p nobody in particular
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx

from aggregator.access.doors import DAY_NS, LONGEST_S, NS, digest
from aggregator.access.roles import Role
from aggregator.api.gate import COOKIE, CSRF
from aggregator.stores.access import AccessStore, SessionRow, Token
from tests.aggregator.api.desk import ROLES, Desk

LETTERS = {
    "p": Role.PUBLIC,
    "v": Role.VIEWER,
    "o": Role.OPERATOR,
    "e": Role.ENGINEER,
    "a": Role.ADMIN,
    "u": Role.AUDITOR,
}
TABLE = """
GET     /api/v1/alarms                          voeau
GET     /api/v1/alarms/journal                  voeau
POST    /api/v1/alarms/{act}                    oea
GET     /api/v1/assets/{id}                     voeau
GET     /api/v1/assets/{id}/forecast            voeau
GET     /api/v1/assets/{id}/history             voeau
GET     /api/v1/audit                           au
GET     /api/v1/city                            voeau
GET     /api/v1/city/map                        voeau
GET     /api/v1/city/state                      voeau
GET     /api/v1/decisions                       voeau
GET     /api/v1/decisions/{id}                  voeau
POST    /api/v1/decisions/{id}/{act}            oea
GET     /api/v1/fleet                           voeau
GET     /api/v1/ledger/checkpoint               pvoeau
GET     /api/v1/ledger/entries                  au
GET     /api/v1/ledger/receipt/{index}          au
GET     /api/v1/ledger/witnesses                voeau
GET     /api/v1/oidc                            pvoeau
GET     /api/v1/oidc/callback                   pvoeau
GET     /api/v1/openapi.json                    pvoeau
GET     /api/v1/orders                          voeau
POST    /api/v1/orders/all-stop                 oea
GET     /api/v1/points                          voeau
GET     /api/v1/public/city                     pvoeau
GET     /api/v1/rollouts                        voeau
GET     /api/v1/rollouts/{id}                   voeau
POST    /api/v1/rollouts/{id}/{act}             ea
GET     /api/v1/scenarios                       voeau
POST    /api/v1/scenarios                       oea
GET     /api/v1/scenarios/compare               voeau
GET     /api/v1/scenarios/runs                  voeau
DELETE  /api/v1/scenarios/runs/{id}             oea
GET     /api/v1/session                         pvoeau
POST    /api/v1/session                         pvoeau
DELETE  /api/v1/session                         voeau
GET     /api/v1/tokens                          a
POST    /api/v1/tokens                          a
DELETE  /api/v1/tokens/{name}                   a
GET     /api/v1/users                           a
POST    /api/v1/users                           a
PATCH   /api/v1/users/{name}                    a
DELETE  /api/v1/users/{name}                    a
POST    /api/v1/welcome                         pvoeau
GET     /metrics                                pvoeau
GET     /ledger/checkpoint                      pvoeau
GET     /ledger/tile/entries/{place:path}       au
GET     /ledger/tile/{level}/{place:path}       voeau
"""
MOUNTED = """
GET     /                                       pvoeau
GET     /welcome                                pvoeau
GET     /public                                 pvoeau
GET     /page/style.css                         pvoeau
GET     /ngsi-ld/v1/types                       voeau
GET     /ngsi-ld/v1/entities/urn:ngsi-ld:X:1    voeau
POST    /ngsi-ld/v1/entities                    ea
POST    /ngsi-ld/v1/entityOperations/delete     ea
POST    /ngsi-ld/v1/subscriptions               ea
PATCH   /ngsi-ld/v1/entities/urn:ngsi-ld:X:1    ea
DELETE  /ngsi-ld/v1/entities/urn:ngsi-ld:X:1    ea
"""


@dataclass(frozen=True, slots=True)
class Row:
    method: str
    path: str
    roles: frozenset[Role]

    @property
    def unsafe(self) -> bool:
        return self.method != "GET"

    @property
    def address(self) -> str:
        """Of things that there are not: who may comes further than who may not, and nothing is changed."""
        words = {
            "{act}": "nothing",
            "{id}": "nothing",
            "{name}": "nothing",
            "{index}": "0",
            "{level}": "0",
            "{place:path}": "000",
        }
        words |= {"{level}": "0", "{place:path}": "000"}
        place = self.path
        for word, value in words.items():
            place = place.replace(word, value)
        return place


@dataclass(frozen=True, slots=True)
class Cell:
    row: Row
    who: str
    expected: str  # "in", "401", "403"
    got: str

    @property
    def right(self) -> bool:
        return self.expected == self.got


def rows(table: str) -> list[Row]:
    found = [line.split() for line in table.strip().splitlines()]
    return [Row(method, path, frozenset(LETTERS[one] for one in letters)) for method, path, letters in found]


def verdict(answer: httpx.Response) -> str:
    """Whether somebody came in. A 401 without a challenge is said of a password or link, behind the gate."""
    if answer.status_code == 403 or (answer.status_code == 401 and "www-authenticate" in answer.headers):
        return str(answer.status_code)
    return "in"


async def cells(desk: Desk) -> AsyncIterator[Cell]:
    """Every route × every role, by session and by token; and those who have no business there."""
    tokens: dict[Role, dict[str, str]] = {role: desk.token(role) for role in ROLES if role is not Role.PUBLIC}
    strangers = dict(strangers_of(desk))
    for row in [*rows(TABLE), *rows(MOUNTED)]:
        for role in ROLES:
            session = desk.session(role)
            expected = "in" if role in row.roles else "401" if role is Role.PUBLIC else "403"
            yield Cell(row, f"{role} by session", expected, await come(desk, row, session))
            if role is not Role.PUBLIC:
                yield Cell(row, f"{role} by token", expected, await come(desk, row, tokens[role]))
        for who, headers in strangers.items():
            nobody = "in" if Role.PUBLIC in row.roles else "401"
            expected = "401" if "authorization" in headers else nobody
            if row.path in ("/", "/welcome", "/page/style.css"):
                expected = "in"  # files are for everybody, whatever is brought along
            yield Cell(row, who, expected, await come(desk, row, headers))
        if row.unsafe:
            async for cell in elsewhere(desk, row, tokens):
                yield cell


async def elsewhere(desk: Desk, row: Row, tokens: dict[Role, dict[str, str]]) -> AsyncIterator[Cell]:
    """What another site makes a browser send, which may do nothing, whoever sits there."""
    role = min(row.roles - {Role.PUBLIC})
    session = desk.session(role)
    other = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    sent = {
        "without the word": {name: value for name, value in session.items() if name != CSRF},
        "with another word": session | {CSRF: "x" * 43},
        "with a word that is no ASCII": session | {CSRF: "\xfc" * 8},
        "from another origin": session | {"origin": other["origin"]},
        "from no origin": session | {"origin": "null"},
        "from a neighbour": session | {"sec-fetch-site": "same-site"},
        "from another site": session | {"sec-fetch-site": "cross-site"},
        "token, from another site": tokens[role] | other,
    }
    for how, headers in sent.items():
        yield Cell(row, f"{role} {how}", "403", await come(desk, row, headers))


async def come(desk: Desk, row: Row, headers: dict[str, str]) -> str:
    body: dict[str, Any] = {"json": {}} if row.method in ("POST", "PATCH") else {}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    desk.client.cookies.clear()
    got = verdict(await desk.client.request(row.method, row.address, headers=raw, **body))
    if row.path == "/api/v1/session" and row.method == "DELETE" and got == "in":
        desk.people.clear()  # that session is over
    return got


def strangers_of(desk: Desk) -> Iterator[tuple[str, dict[str, str]]]:
    """Credentials that are none any more, or never were."""
    now = desk.app.clock.wall_ns()
    desk.session(Role.ADMIN)
    with closing(AccessStore(desk.app.config.access)) as store, store.together():
        name = str(Role.ADMIN)
        store.put_session(digest("over"), SessionRow(name, "w", now - (LONGEST_S + 1) * NS, now))
        store.put_session(digest("idle"), SessionRow(name, "w", now - 7200 * NS, now - 3600 * NS))
        store.put_token(digest("ctt_old"), Token("old", "admin", now - 2 * DAY_NS, now - DAY_NS, 0))
    yield "a session that is over", {"cookie": f"{COOKIE}=over", CSRF: "w"}
    yield "a session that nobody used", {"cookie": f"{COOKIE}=idle", CSRF: "w"}
    yield "a session of another aggregator", {"cookie": f"{COOKIE}={'x' * 43}", CSRF: "w"}
    yield "a token that is over", {"authorization": "Bearer ctt_old"}
    yield "a token of another aggregator", {"authorization": "Bearer ctt_" + "x" * 43}
    yield "an empty token", {"authorization": "Bearer"}
    yield "a password in a header", {"authorization": "Basic YWRtaW46YWRtaW4="}
