"""The site: what a table of routes becomes; denied unless allowed; all faults at once; limits."""

import asyncio
from typing import Any, cast

import httpx
import msgspec
import pytest
from starlette.requests import HTTPConnection, Request

from aggregator.access.roles import EVERYONE, OPERATORS, VIEWERS, Role
from aggregator.api import site as site_
from aggregator.api.parts import Parts
from aggregator.api.problem import Denied, Unknown
from aggregator.api.route import NOBODY, Call, Identity, Route
from aggregator.api.site import site

NO_PARTS = cast(Parts, None)  # these handlers touch nothing


class Asked(msgspec.Struct, frozen=True):
    limit: int = 10
    after: str = ""


class Wish(msgspec.Struct, frozen=True):
    why: str
    minutes: float


class Named:
    """A gate that believes what a header says; unsafe requests need a second one."""

    async def who(self, connection: HTTPConnection) -> Identity:
        role = connection.headers.get("x-role")
        return Identity("somebody", Role(role), "header") if role else NOBODY

    def check_unsafe(self, request: Request, who: Identity) -> None:
        if "x-meant" not in request.headers:
            raise Denied("was not meant")


def missing(call: Call) -> object:
    raise Unknown(f"no {call.path['name']}")


async def slow(call: Call) -> object:
    return await asyncio.Event().wait()


def breaks(call: Call) -> object:
    raise ZeroDivisionError("secret words")


ROUTES = (
    Route("GET", "/hello", lambda call: {"limit": call.query.limit}, EVERYONE, "", query=Asked),
    Route("GET", "/things/{name}", missing, VIEWERS, ""),
    Route("POST", "/things/{name}", lambda call: {"why": call.body.why}, OPERATORS, "", body=Wish, status=201),
    Route("GET", "/slow", slow, EVERYONE, ""),
    Route("GET", "/breaks", breaks, EVERYONE, ""),
)


async def ask(method: str, path: str, role: str = "", **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(site(NO_PARTS, Named(), ROUTES), raise_app_exceptions=False)
    headers = more.pop("headers", {}) | ({"x-role": role, "x-meant": "1"} if role else {})
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        return await client.request(method, path, headers=headers, **more)


async def test_an_answer_is_json_under_seal() -> None:
    told = await ask("GET", "/hello?limit=3")
    assert (told.status_code, told.json()) == (200, {"limit": 3})
    assert "script-src 'self'" in told.headers["content-security-policy"]
    assert (told.headers["x-content-type-options"], told.headers["cache-control"]) == ("nosniff", "no-store")


@pytest.mark.parametrize(
    ("method", "role", "status"),
    [
        ("GET", "", 401),
        ("GET", "viewer", 404),
        ("POST", "viewer", 403),
        ("POST", "auditor", 403),
        ("POST", "admin", 201),
    ],
)
async def test_denied_unless_allowed(method: str, role: str, status: int) -> None:
    body = {"json": {"why": "so", "minutes": 1}} if method == "POST" else {}
    told = await ask(method, "/things/a", role, **body)
    assert told.status_code == status
    assert told.json().get("status", status) == status


async def test_what_another_site_sends_is_refused() -> None:
    told = await ask("POST", "/things/a", headers={"x-role": "admin"}, json={"why": "so", "minutes": 1})
    assert (told.status_code, told.json()["detail"]) == (403, "was not meant")


async def test_all_faults_at_once() -> None:
    told = await ask("POST", "/things/a", "admin", json={"why": 3, "hours": 1})
    assert told.status_code == 400
    assert {one["at"] for one in told.json()["faults"]} == {"$.why", "$.minutes", "$.hours"}
    told = await ask("GET", "/hello?limit=many&colour=red&limit=2")
    assert [one["at"] for one in told.json()["faults"]] == ["?limit"]
    told = await ask("GET", "/hello?limit=many&colour=red")
    assert {one["at"] for one in told.json()["faults"]} == {"?limit", "?colour"}


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 10_000])
async def test_a_body_that_is_none(content: bytes) -> None:
    told = await ask("POST", "/things/a", "admin", content=content, headers={"content-type": "application/json"})
    assert told.status_code == 400


async def test_a_body_that_is_too_large() -> None:
    content = b'{"why": "' + b"x" * site_.BODY_MAX + b'"}'
    told = await ask("POST", "/things/a", "admin", content=content, headers={"content-type": "application/json"})
    assert told.status_code == 413


async def test_other_methods_and_paths() -> None:
    told = await ask("DELETE", "/things/a", "admin")
    assert (told.status_code, told.headers["allow"]) == (405, "GET, HEAD, POST")
    assert (await ask("GET", "/nowhere", "admin")).json()["status"] == 404
    assert (await ask("HEAD", "/hello")).status_code == 200


async def test_what_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_, "ANSWER_S", 0.01)
    assert (await ask("GET", "/slow")).status_code == 503


async def test_our_own_fault_is_told_to_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    told = await ask("GET", "/breaks")
    assert told.status_code == 500
    assert "secret" not in told.text
    assert "secret words" in caplog.text
