"""The broker behind the gate of the aggregator's web: viewers read, engineers write, everybody else is told why not."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from aggregator.access.settings import Web
from aggregator.api.ngsi.alone import Loopback, address
from aggregator.api.ngsi.joined import Joined
from aggregator.api.parts import Parts
from aggregator.api.site import site
from protos.clock import SystemClock
from tests.aggregator.api.ngsi.conftest import ROOT, building
from tests.aggregator.api.test_site import Named


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    config = SimpleNamespace(state_dir=tmp_path, web=Web(contexts_dir=str(tmp_path)))
    parts = cast(Parts, SimpleNamespace(config=config, clock=SystemClock(), city=None))
    joined = Joined(parts, Named())
    app = site(parts, Named(), (), [joined.mount])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://twin.test") as one:
        yield one
    joined.close()


@pytest.mark.parametrize(
    ("method", "path", "role", "meant", "status"),
    [
        ("GET", "/types", "", True, 401),
        ("GET", "/types", "viewer", True, 200),
        ("POST", "/entities", "viewer", True, 403),
        ("POST", "/entities", "operator", True, 403),
        ("POST", "/entities", "engineer", False, 403),
        ("POST", "/entities", "engineer", True, 201),
        ("POST", "/entityOperations/query", "viewer", True, 200),
        ("POST", "/jsonldContexts", "viewer", True, 403),
        ("DELETE", "/entities/urn:ngsi-ld:Building:1", "", True, 401),
        ("DELETE", "/entities/urn:ngsi-ld:Building:1", "viewer", True, 403),
    ],
)
async def test_who_may(client: httpx.AsyncClient, method: str, path: str, role: str, meant: bool, status: int) -> None:
    body: Any = {"type": "Query", "entities": [{"type": "A"}]} if path.endswith("query") else building("1")
    headers = {"x-role": role} if role else {}
    if meant:
        headers["x-meant"] = "yes"
    told = await client.request(method, ROOT + path, json=body if method == "POST" else None, headers=headers)
    assert told.status_code == status, told.text
    assert told.headers["x-content-type-options"] == "nosniff"


def test_the_alone_one_refuses_others() -> None:
    assert address("127.0.0.1:9090") == ("127.0.0.1", 9090)
    with pytest.raises(Loopback):
        address("0.0.0.0:9090")
