"""The broker as a part of the aggregator's web: with the city's own entities, behind the gate, its store beside the
others. Viewers read, engineers write."""

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from aggregator.access.roles import ENGINEERS, VIEWERS, Role
from aggregator.api.ngsi.alone import FILE
from aggregator.api.ngsi.app import ROOT, Admit, NgsiLd
from aggregator.api.ngsi.broker import Broker, Settings
from aggregator.api.ngsi.city import CitySource, follow
from aggregator.api.ngsi.sender import Sender
from aggregator.api.parts import Parts
from aggregator.api.problem import Denied, Problem, Unauthenticated
from aggregator.api.route import Gate
from aggregator.api.site import told_of
from aggregator.stores.ngsi import NgsiStore


class Joined:
    """`mount` is for the site; `run` sends notifications until cancelled. `close` after it."""

    def __init__(self, parts: Parts, gate: Gate) -> None:
        """Raises StoreError."""
        config = parts.config
        folder = Path(config.web.contexts_dir) if config.web.contexts_dir else None
        store = NgsiStore(config.state_dir / FILE)
        self.broker = Broker(store, Settings(contexts=folder), parts.clock)
        if parts.city is not None:
            contexts = self.broker.contexts
            self.broker.city = CitySource(parts.atlas, config.twin, config.catalogue, contexts, parts.clock)
        self.mount = Mount(ROOT, NgsiLd(self.broker, admitted(gate)))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Sender(self.broker).run())
            group.create_task(follow(self.broker))

    def close(self) -> None:
        self.broker.close()


def admitted(gate: Gate) -> Admit:
    """Who may: by cookie or token, as everywhere."""

    async def admit(request: Request, write: bool) -> Response | None:
        try:
            who = await gate.who(request)
            if who.role is Role.PUBLIC:
                raise Unauthenticated("send a token: Authorization: Bearer …", headers={"www-authenticate": "Bearer"})
            wanted = ENGINEERS if write else VIEWERS
            if who.role not in wanted:
                raise Denied(f"{who.name} is {who.role}; this needs one of: {', '.join(sorted(wanted))}")
            if write:
                gate.check_unsafe(request, who)
        except Problem as problem:
            return told_of(problem)
        return None

    return admit
