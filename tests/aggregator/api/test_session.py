"""Coming in over HTTP: cookies, their ends, what other sites send, what is told, and what is in the audit and logs."""

import asyncio
import logging
import re
import statistics
import time
from pathlib import Path

import apsw
import httpx
import pytest

from aggregator.access.roles import Role
from aggregator.api.gate import COOKIE, CSRF
from aggregator.api.page import HERE
from tests.aggregator.api.desk import WORDS, Desk, at_desk

ME = "/api/v1/session"


def session_of(answer: httpx.Response) -> dict[str, str]:
    """Headers of a browser that was just let in."""
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE))
    return {"cookie": cookie.partition(";")[0], CSRF: answer.json()["csrf"]}


async def sign_in(desk: Desk, name: str = "viewer", password: str = WORDS, **headers: str) -> httpx.Response:
    return await desk.ask("POST", ME, headers, json={"name": name, "password": password})


async def test_the_cookie_is_for_this_host_and_no_script(desk: Desk) -> None:
    desk.session(Role.VIEWER)
    answer = await sign_in(desk)
    assert answer.status_code == 201
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert all(one in cookie for one in ("HttpOnly", "Secure", "SameSite=strict", "Path=/", "Max-Age="))
    assert "Domain" not in cookie
    assert answer.headers["cache-control"] == "no-store"


async def test_a_first_link_leads_in_and_is_printed_once(desk: Desk) -> None:
    assert desk.app.web is not None
    link = desk.app.web.first_link()
    assert link is not None
    place, _, secret = link.partition("#")
    assert place == f"{desk.address}/welcome", "behind #: no server, proxy or log ever sees it"
    body = {"link": secret, "name": "ada", "password": WORDS}
    assert (await desk.ask("POST", "/api/v1/welcome", json=body | {"password": "admin"})).status_code == 400
    answer = await desk.ask("POST", "/api/v1/welcome", json=body)
    assert (answer.status_code, answer.json()["role"]) == (201, "admin")
    assert (await desk.ask("POST", "/api/v1/welcome", json=body)).status_code == 401
    assert desk.app.web.first_link() is None
    assert (await desk.ask("GET", "/api/v1/users", session_of(answer))).status_code == 200


async def test_a_session_is_another_after_each_sign_in(desk: Desk) -> None:
    """A secret that somebody put into the browser before is worth nothing after (fixation)."""
    before = desk.session(Role.VIEWER)
    answer = await sign_in(desk, **before)
    assert session_of(answer)["cookie"] != before["cookie"]
    assert (await desk.ask("GET", ME, before)).json()["role"] == "public"
    planted = {"cookie": f"{COOKIE}=planted"}
    assert session_of(await sign_in(desk, **planted))["cookie"] != planted["cookie"]


async def test_who_signs_out_is_out(desk: Desk) -> None:
    me = desk.session(Role.VIEWER)
    assert (await desk.ask("GET", ME, me)).json()["role"] == "viewer"
    answer = await desk.ask("DELETE", ME, me)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"] or "expires=" in answer.headers["set-cookie"].lower()
    assert (await desk.ask("GET", ME, me)).json()["role"] == "public", "the secret is dead, not only the cookie gone"


async def test_a_session_survives_a_restart(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        me = desk.session(Role.OPERATOR)
    async with at_desk(tmp_path) as desk:
        assert (await desk.ask("GET", ME, me)).json()["role"] == "operator"


async def test_another_site_can_sign_nobody_in(desk: Desk) -> None:
    desk.session(Role.VIEWER)
    assert (await sign_in(desk, origin="https://evil.example")).status_code == 403
    form, kind = f"name=viewer&password={WORDS}", {"content-type": "text/plain"}  # as a form of any site may send
    assert (await desk.ask("POST", ME, content=form, headers=kind)).status_code == 400
    assert (await sign_in(desk, origin=desk.address)).status_code == 201


async def test_trying_costs_time_and_tells_nothing(desk: Desk) -> None:
    desk.session(Role.VIEWER)
    told = {}
    for name in ("viewer", "nobody"):
        answer = await sign_in(desk, name, "wrong words here")
        told[name] = (answer.status_code, answer.json(), sorted(answer.headers))
    assert told["viewer"] == told["nobody"]
    for _ in range(3):
        await sign_in(desk, "viewer", "wrong words here")
    answer = await sign_in(desk)
    assert answer.status_code == 429, "the right password, too late"
    assert int(answer.headers["retry-after"]) >= 1


async def test_knowing_nobody_takes_as_long_as_knowing_somebody(desk: Desk) -> None:
    """CPU time of the whole process, since other work on the machine would drown it; the throttle is out of the way."""
    desk.session(Role.VIEWER)
    assert desk.app.web is not None
    desk.app.web.parts.throttle.failed = lambda key, now_ns: None  # type: ignore[method-assign]
    spent: dict[str, list[float]] = {"viewer": [], "nobody": []}
    for _ in range(3):
        for name, took in spent.items():
            began = time.process_time()
            assert (await sign_in(desk, name, "wrong words here")).status_code == 401
            took.append(time.process_time() - began)
    somebody, nobody = (statistics.median(one) for one in spent.values())
    assert nobody == pytest.approx(somebody, rel=0.35)
    began = time.process_time()
    await sign_in(desk, "viewer", "")
    assert time.process_time() - began > 0.3 * somebody, "an empty one is hashed as well"


async def test_many_at_once_hold_up_nobody_else(desk: Desk) -> None:
    me = desk.session(Role.VIEWER)
    assert desk.app.web is not None
    desk.app.web.parts.throttle.failed = lambda key, now_ns: None  # type: ignore[method-assign]
    async with httpx.AsyncClient(base_url=desk.address, trust_env=False, timeout=30) as other:
        body = {"name": "viewer", "password": "wrong words here"}
        flood = [asyncio.create_task(other.post(ME, json=body)) for _ in range(4)]
        for _ in range(3):
            assert (await desk.ask("GET", ME, me)).json()["role"] == "viewer"
        assert not all(one.done() for one in flood), "they wait for each other, not we for them"
        assert {(await one).status_code for one in flood} == {401}


async def test_tokens_are_told_once_and_revoked_at_once(desk: Desk) -> None:
    boss = desk.session(Role.ADMIN)
    body = {"name": "grafana", "role": "viewer", "days": 1}
    secret = (await desk.ask("POST", "/api/v1/tokens", boss, json=body)).json()["token"]
    bearer = {"authorization": f"Bearer {secret}"}
    assert (await desk.ask("GET", "/api/v1/fleet", bearer)).status_code == 200
    listed = (await desk.ask("GET", "/api/v1/tokens", boss)).json()["items"]
    assert [one["name"] for one in listed] == ["grafana"]
    assert secret not in str(listed)
    assert listed[0]["seen"], "when it was used last"
    assert (await desk.ask("DELETE", "/api/v1/tokens/grafana", boss)).status_code == 200
    assert (await desk.ask("GET", "/api/v1/fleet", bearer)).status_code == 401


async def test_a_role_that_changes_counts_at_once(desk: Desk) -> None:
    boss, me = desk.session(Role.ADMIN), desk.session(Role.OPERATOR)
    assert (await desk.ask("PATCH", "/api/v1/users/operator", boss, json={"enabled": False})).status_code == 200
    assert (await desk.ask("GET", "/api/v1/fleet", me)).status_code == 401
    answer = await desk.ask("PATCH", "/api/v1/users/admin", boss, json={"role": "viewer"})
    assert (answer.status_code, "last admin" in answer.json()["detail"]) == (400, True)


async def test_no_page_has_a_script_or_style_of_its_own(desk: Desk) -> None:
    """So the policy, which allows none, breaks nothing."""
    answer = await desk.ask("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert not re.search(r"unsafe-inline|unsafe-eval|\*|http:", policy)
    assert all(f"{one} 'none'" in policy for one in ("default-src", "base-uri", "frame-ancestors"))
    for page in HERE.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=|javascript:", text), page


async def test_secrets_are_in_no_log_and_no_audit(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        boss = desk.session(Role.ADMIN)
        link = (await desk.ask("POST", "/api/v1/users", boss, json={"name": "mei", "role": "viewer"})).json()["link"]
        body = {"link": link, "password": "canary in the cellar 7"}
        mine = session_of(await desk.ask("POST", "/api/v1/welcome", json=body))
        await sign_in(desk, "canary in the cellar 7", "mei")  # the password in the wrong field
        token = (await desk.ask("POST", "/api/v1/tokens", boss, json={"name": "t", "role": "viewer"})).json()["token"]
        await desk.ask("GET", "/api/v1/fleet", {"authorization": f"Bearer {token}x"})
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("http")]  # not our client's own
    told = "".join(ours) + str(desk.app.catalogue.audit(0, 1000))
    for secret in (link, "canary", token, mine["cookie"].partition("=")[2], mine[CSRF]):
        assert secret not in told
    assert all(act in told for act in ("invite", "welcome", "sign-in refused", "make token"))


async def test_while_the_audit_is_full_nobody_comes_in_and_nothing_changes(desk: Desk) -> None:
    boss = desk.session(Role.ADMIN)
    full(desk, monkey := pytest.MonkeyPatch())
    try:
        answer = await sign_in(desk, "admin")
        assert (answer.status_code, "nothing was done" in answer.json()["detail"]) == (503, True)
        assert "set-cookie" not in answer.headers
        body = {"name": "mei", "role": "admin"}
        assert (await desk.ask("POST", "/api/v1/users", boss, json=body)).status_code == 503
        assert (await desk.ask("POST", "/api/v1/tokens", boss, json=body)).status_code == 503
        assert (await desk.ask("GET", "/api/v1/tokens", boss)).json()["items"] == [], "rolled back"
        assert (await desk.ask("GET", "/api/v1/fleet", boss)).status_code == 200, "looking goes on"
    finally:
        monkey.undo()
    assert (await sign_in(desk, "admin")).status_code == 201, "with room again, it goes on by itself"


def full(desk: Desk, monkey: pytest.MonkeyPatch) -> None:
    """No page more for the catalogue: SQLite says that the disk is full, as it would."""
    from aggregator.stores import catalogue

    plain = catalogue.Catalogue.__init__

    def bounded(self: catalogue.Catalogue, *args: object, **more: object) -> None:
        plain(self, *args, **more)  # type: ignore[arg-type]
        self.connection.pragma("max_page_count", 1)

    monkey.setattr(catalogue.Catalogue, "__init__", bounded)
    filler = catalogue.Catalogue(desk.app.config.catalogue)
    for length in (500, 0):  # what is short still finds room where what is long does not

        def fill(detail: str = "y" * length) -> None:
            for _ in range(1_000):
                filler.note(desk.app.clock.wall_ns(), "t", "t", "t", detail)

        with pytest.raises(apsw.FullError):
            fill()
    filler.close()


async def test_the_audit_is_read_by_auditors_and_in_pages(desk: Desk) -> None:
    desk.session(Role.VIEWER)
    reader, first = desk.session(Role.AUDITOR), "/api/v1/audit?limit=2"
    page = (await desk.ask("GET", first, reader)).json()
    assert len(page["items"]) == 2
    after = (await desk.ask("GET", f"{first}&after={page['next']}", reader)).json()["items"]
    assert [one["number"] for one in page["items"] + after] == [1, 2, 3, 4]
    assert (await desk.ask("GET", "/api/v1/audit?after=%C2%B2", reader)).status_code == 400
    assert (await desk.ask("GET", first, desk.session(Role.OPERATOR))).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"name": "\ud800", "password": "x"},
        {"name": "a\x00b", "password": "\x00" * 20},
        {"name": "x" * 5000, "password": "y" * 100_000},
    ],
)
async def test_odd_names_and_passwords_are_refused_like_any(desk: Desk, body: dict[str, str]) -> None:
    import json

    kind = {"content-type": "application/json"}
    answer = await desk.ask("POST", ME, content=json.dumps(body).encode(), headers=kind)
    assert answer.status_code in (400, 401)
