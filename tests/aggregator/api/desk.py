"""The real site over a real state directory on a real port, and people of every role who sit at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from aggregator.access.doors import GRANTED
from aggregator.access.roles import Role
from aggregator.access.settings import Oidc, Web
from aggregator.api.gate import COOKIE, CSRF
from aggregator.app import App
from aggregator.config import Config
from protos.clock import Clock
from tests.aggregator.serving import prepare, serving

WORDS = "seven herons on the lock gate"


@dataclass
class Desk:
    app: App
    address: str
    client: httpx.AsyncClient
    people: dict[Role, dict[str, str]] = field(default_factory=dict)  # headers of a session

    def session(self, role: Role) -> dict[str, str]:
        """What a browser of somebody with this role sends: cookie, and the word for unsafe requests."""
        if role is Role.PUBLIC:
            return {}
        if role not in self.people:
            with self.app.web.parts.doors() as doors:  # type: ignore[union-attr]
                secret = doors.welcome(doors.invite(str(role), role, "test"), "", WORDS, "test")
                session = doors.session(secret)
            assert session is not None
            self.people[role] = {"cookie": f"{COOKIE}={secret}", CSRF: session.csrf}
        return dict(self.people[role])

    def token(self, role: Role, name: str = "") -> dict[str, str]:
        with self.app.web.parts.doors() as doors:  # type: ignore[union-attr]
            return {"authorization": f"Bearer {doors.make_token(name or f'of-{role}', role, 'test')}"}

    async def ask(self, method: str, path: str, who: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """Without the cookies that answers set: what is sent is what is said here."""
        self.client.cookies.clear()
        headers = {**(who or {}), **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)


def web_config(state: Path, oidc: Oidc | None = None) -> Config:
    return replace(prepare(state), web=Web("127.0.0.1:0"), oidc=oidc or Oidc())


@asynccontextmanager
async def at_desk(state: Path, clock: Clock | None = None, oidc: Oidc | None = None) -> AsyncIterator[Desk]:
    async with serving(web_config(state, oidc), clock) as app:
        address = f"http://{app.address('web')}"
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            yield Desk(app, address, client)


ROLES = (Role.PUBLIC, *GRANTED)
