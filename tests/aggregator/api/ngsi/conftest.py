"""A broker for a test: asked over ASGI, or as a real server with its sender, with a receiver of notifications."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from aggregator.api.ngsi.app import alone
from aggregator.api.ngsi.broker import Broker, Settings
from aggregator.api.ngsi.sender import Sender
from aggregator.stores.ngsi import NgsiStore

ROOT = "/ngsi-ld/v1"
LINK = 'rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
SUITE = (
    "https://forge.etsi.org/rep/cim/ngsi-ld-test-suite/-/raw/develop/resources/jsonld-contexts/"
    "ngsi-ld-test-suite-compound.jsonld"
)
NAMES = "https://ngsi-ld-test-suite/context#"


@dataclass
class Api:
    """Short words for requests."""

    client: httpx.AsyncClient
    broker: Broker

    async def ask(self, method: str, path: str, body: Any = None, *, link: str = "", **headers: str) -> httpx.Response:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if link:
            told["Link"] = f"<{link}>; {LINK}"
        if body is not None:
            told.setdefault("Content-Type", "application/json")
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await self.client.request(method, ROOT + path, content=data, headers=told)
        return await self.client.request(method, ROOT + path, headers=told)

    async def get(self, path: str, **more: str) -> Any:
        """The body of a 200."""
        told = await self.ask("GET", path, **more)
        assert told.status_code == 200, told.text
        return told.json()

    async def make(self, *entities: dict[str, Any], link: str = "") -> None:
        for one in entities:
            told = await self.ask("POST", "/entities", one, link=link)
            assert told.status_code == 201, told.text

    async def ids(self, query: str, **more: str) -> list[str]:
        return [one["id"].rpartition(":")[2] for one in await self.get(f"/entities?{query}", **more)]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    store = NgsiStore(tmp_path / "ngsi.sqlite")
    one = Broker(store, Settings(instances=10))
    yield one
    one.close()


@pytest.fixture
async def api(broker: Broker) -> AsyncIterator[Api]:
    transport = httpx.ASGITransport(alone(broker))
    async with httpx.AsyncClient(transport=transport, base_url="http://broker.test") as client:
        yield Api(client, broker)


@dataclass
class Receiver:
    """An HTTP server that takes notifications; `answers` says how it does."""

    url: str = ""
    got: asyncio.Queue[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=asyncio.Queue)
    answers: list[int] = field(default_factory=list)
    count: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status = self.answers.pop(0) if self.answers else 200
        self.count += 1
        if status == 200:
            self.got.put_nowait((headers, json.loads(body)))
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def next(self) -> tuple[dict[str, str], dict[str, Any]]:
        async with asyncio.timeout(5):
            return await self.got.get()

    async def nothing(self, seconds: float = 0.15) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.got.get()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/notify"
    async with server:
        yield one


@pytest.fixture
async def sending(broker: Broker) -> AsyncIterator[Sender]:
    sender = Sender(broker)
    task = asyncio.create_task(sender.run())
    yield sender
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def prop(value: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, **more}


def rel(target: Any, **more: Any) -> dict[str, Any]:
    return {"type": "Relationship", "object": target, **more}


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [lon, lat]}}


def building(name: str = "1", /, **attrs: Any) -> dict[str, Any]:
    return {"id": f"urn:ngsi-ld:Building:{name}", "type": "Building", **attrs}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which clauses a test shows goes into the report, for `make bench ONLY=ngsi-ld`."""
    for item in items:
        item.user_properties += [("clause", str(one)) for mark in item.iter_markers("clause") for one in mark.args]
