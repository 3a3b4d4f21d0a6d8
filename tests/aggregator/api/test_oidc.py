"""People who sign in elsewhere: a real provider in a process of its own, honest and lying."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from aggregator.access.settings import Oidc
from aggregator.api.gate import COOKIE
from aggregator.api.rest.session import BEGUN
from tests.aggregator.api.desk import Desk, at_desk
from tests.simulators.oidc_provider import CLIENT, SECRET

LIES = (
    "audience", "audiences", "issuer", "nonce", "old", "future", "access", "no-nonce", "no-subject", "no-end", "key",
    "none", "symmetric", "cut",
)  # fmt: skip


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simulators.oidc_provider"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()


@pytest_asyncio.fixture
async def desk(tmp_path: Path, issuer: str) -> AsyncIterator[Desk]:
    (tmp_path / "secret").write_text(SECRET + "\n")
    settings = Oidc(
        issuer,
        CLIENT,
        str(tmp_path / "secret"),
        admins=("city-admins",),
        operators=("control-room",),
    )
    async with at_desk(tmp_path, oidc=settings) as one:
        await tell(issuer, "register", redirect=f"{one.address}/api/v1/oidc/callback")
        await tell(issuer, "lie", kind="")
        yield one


async def tell(issuer: str, what: str, **content: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.post(f"{issuer}/{what}", json=content)).raise_for_status()


def cookie(answer: httpx.Response, name: str) -> str:
    return next((one for one in answer.headers.get_list("set-cookie") if one.startswith(name + "=")), "")


async def go(desk: Desk, name: str) -> tuple[str, dict[str, str]]:
    """To the issuer, and signed in there: the address that leads back, and what the browser has kept."""
    begun = await desk.ask("GET", "/api/v1/oidc")
    assert begun.status_code == 303
    kept = cookie(begun, BEGUN)
    assert all(one in kept for one in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"))
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        assert (await elsewhere.get(begun.headers["location"])).status_code == 200, "the issuer finds nothing wrong"
        signed = await elsewhere.post(begun.headers["location"], data={"name": name})
    return signed.headers["location"].removeprefix(desk.address), {"cookie": kept.partition(";")[0]}


async def come(desk: Desk, name: str) -> httpx.Response:
    back, kept = await go(desk, name)
    return await desk.ask("GET", back, kept)


async def test_somebody_comes_in_with_the_role_that_their_groups_give(desk: Desk, issuer: str) -> None:
    answer = await come(desk, "lin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    session = cookie(answer, COOKIE)
    assert all(one in session for one in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))
    me = (await desk.ask("GET", "/api/v1/session", {"cookie": session.partition(";")[0]})).json()
    assert (me["name"], me["role"], me["elsewhere"]) == ("lin", "operator", issuer)
    assert (await come(desk, "root")).status_code == 303


async def test_what_is_asked_is_what_the_standards_say(desk: Desk) -> None:
    asked = parse_qs(urlsplit((await desk.ask("GET", "/api/v1/oidc")).headers["location"]).query)
    again = parse_qs(urlsplit((await desk.ask("GET", "/api/v1/oidc")).headers["location"]).query)
    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert all(asked[one] != again[one] for one in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize("lie", LIES)
async def test_an_issuer_that_lies_is_not_believed(desk: Desk, issuer: str, lie: str) -> None:
    await tell(issuer, "lie", kind=lie)
    answer = await come(desk, "root")
    assert answer.status_code == 401
    assert not cookie(answer, COOKIE)
    with desk.app.web.parts.doors() as doors:  # type: ignore[union-attr]
        assert not doors.store.users(), "nobody has come in"
    newest = desk.app.catalogue.audit(desk.app.catalogue.newest_audit() - 1)[-1]
    assert (newest.act, newest.subject) == ("sign-in refused", issuer)


async def test_whoever_believed_it_all_would_let_them_in(
    desk: Desk, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: without the check of claims, a token for another client is as good as one for us."""
    monkeypatch.setattr("authlib.oidc.core.CodeIDToken.validate", lambda self, now, leeway: None)
    await tell(issuer, "lie", kind="audience")
    assert (await come(desk, "root")).status_code == 303


async def test_an_issuer_by_another_name_is_not_asked(desk: Desk, issuer: str) -> None:
    await tell(issuer, "lie", kind="issuer-name")
    answer = await desk.ask("GET", "/api/v1/oidc")
    assert answer.status_code == 503
    assert "other.example.org" in answer.json()["detail"]


async def test_a_code_is_good_once_and_in_its_own_browser(desk: Desk) -> None:
    back, kept = await go(desk, "lin")
    assert (await desk.ask("GET", back)).status_code == 401, "without the cookie: another browser"
    assert (await desk.ask("GET", back, {"cookie": f"{BEGUN}=another"})).status_code == 401
    assert (await desk.ask("GET", back, kept)).status_code == 303
    assert (await desk.ask("GET", back, kept)).status_code == 401, "the state was used"
    mixed = (await go(desk, "lin"))[0].replace("iss=", "iss=https%3A%2F%2Fother.example.org%2F")
    answer = await desk.ask("GET", mixed, {"cookie": f"{BEGUN}={parse_qs(urlsplit(mixed).query)['state'][0]}"})
    assert (answer.status_code, "other.example.org" in answer.json()["detail"]) == (401, True)


@pytest.mark.parametrize(
    "query", ["", "?state=", "?code=x", "?state=x&code=y", "?state=%C3%BC&code=y", "?error=access_denied"]
)
async def test_what_nobody_has_begun(desk: Desk, query: str) -> None:
    assert (await desk.ask("GET", f"/api/v1/oidc/callback{query}")).status_code == 401


async def test_a_code_for_another_verifier_is_worth_nothing(desk: Desk) -> None:
    """A code that was read on its way is of no use in the thief's own sign-in: PKCE."""
    stolen = parse_qs(urlsplit((await go(desk, "root"))[0]).query)["code"][0]
    own, kept = await go(desk, "guest")
    swapped = own.replace(parse_qs(urlsplit(own).query)["code"][0], stolen)
    assert (await desk.ask("GET", swapped, kept)).status_code == 401


async def test_who_has_no_role_here_stays_out(desk: Desk) -> None:
    answer = await come(desk, "guest")
    assert (answer.status_code, "gives a role" in answer.json()["detail"]) == (401, True)


async def test_a_name_that_passed_to_somebody_else_lets_nobody_in(desk: Desk, issuer: str) -> None:
    assert (await come(desk, "lin")).status_code == 303
    await tell(issuer, "lie", kind="subject")
    assert (await come(desk, "lin")).status_code == 401
    assert (await come(desk, "lin")).status_code == 303


async def test_a_local_user_is_not_taken_over(desk: Desk) -> None:
    with desk.app.web.parts.doors() as doors:  # type: ignore[union-attr]
        doors.welcome(doors.invite("mei", "viewer", "test"), "", "seven herons on the lock gate", "test")
    assert (await come(desk, "Mei")).status_code == 401


async def test_new_keys_are_asked_for(desk: Desk, issuer: str) -> None:
    assert (await come(desk, "lin")).status_code == 303
    await tell(issuer, "rotate")
    assert (await come(desk, "lin")).status_code == 303


async def test_an_issuer_that_is_away(tmp_path: Path) -> None:
    settings = Oidc("http://127.0.0.1:9", CLIENT, operators=("control-room",))
    async with at_desk(tmp_path, oidc=settings) as away:
        assert (await away.ask("GET", "/api/v1/oidc")).status_code == 503


async def test_without_an_issuer_nobody_signs_in_elsewhere(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as none:
        assert (await none.ask("GET", "/api/v1/oidc")).status_code == 404
