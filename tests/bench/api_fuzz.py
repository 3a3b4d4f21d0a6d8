"""Requests that nobody meant, over the real server: whatever comes, no answer is a failure of ours (no 5xx).

Made from the OpenAPI document: right and wrong methods, paths, queries, bodies and headers, with what programs get
wrong and what people try on purpose. What would end the trial itself (all-stop is kept in; removing the only admin is
refused anyway) is let through. 503 counts as failed as well, but for what is not there at all yet: the ledger of a
server that has just begun. Negative control: a handler that divides by zero must be found.
"""

import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from aggregator import config as config_
from aggregator.access.roles import EVERYONE
from aggregator.api import site as site_
from aggregator.api.openapi import document
from aggregator.api.route import NOBODY, Call, Identity, Route
from aggregator.verbs.users import doors_of
from tests.bench import Figure
from tests.page.shown import site

REQUESTS = {"full": 100_000, "ci": 4_000}
SIDE_BY_SIDE = 16
SLOW = ("/scenarios",)  # starts processes: a few of them tell as much
NASTY: tuple[str, ...] = (
    "", "0", "-1", "1e309", "NaN", "null", "true", "☃", "\x00", "%00", "../../etc/passwd", "' OR 1=1 --", "<script>",
    "9" * 400, "2026-01-01T00:00:00Z", "2026-13-45", "1970-01-01T00:00:00", "a/b/c", "energy", "quay-load", "x" * 3000,
    "\ud83d\ude00", "{{7*7}}", "%s%n", "١٢٣", "-0", "0x10", "1_000", " ", "\n", "é" * 50,
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


class Maker:
    """Requests from the document and a seed."""

    def __init__(self, told: Mapping[str, Any], seed: int) -> None:
        self.random = random.Random(seed)
        self.schemas = told["components"]["schemas"]
        operations = told["paths"].items()
        self.places = [(path, method, one) for path, methods in operations for method, one in methods.items()]

    def value(self, depth: int = 0) -> Any:
        pick = self.random.random()
        if pick < 0.5 or depth > 3:
            return self.random.choice(
                (*NASTY, self.random.randint(-(2**65), 2**65), self.random.gauss(0, 1e6), None, True)
            )
        if pick < 0.75:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 4))]
        return {self.random.choice(NASTY)[:40]: self.value(depth + 1) for _ in range(self.random.randint(0, 4))}

    def text(self) -> str:
        chosen = self.random.choice(NASTY)
        return chosen.encode("utf-8", "surrogatepass").decode("utf-8", "ignore").replace("\x00", "%00")

    def request(self) -> tuple[str, str, dict[str, Any]]:
        """Method, path and what httpx is told beside."""
        path, method, one = self.random.choice(self.places)
        while any(slow in path for slow in SLOW) and method == "post" and self.random.random() < 0.99:
            path, method, one = self.random.choice(self.places)
        for part in one.get("parameters", ()):
            if part["in"] == "path":
                path = path.replace(
                    "{" + part["name"] + "}", httpx.QueryParams({"v": self.text()}).__str__()[2:] or "x"
                )
        more: dict[str, Any] = {"params": {}, "headers": {}}
        for part in one.get("parameters", ()):
            if part["in"] == "query" and self.random.random() < 0.6:
                more["params"][part["name"]] = self.text()
        if self.random.random() < 0.1:
            more["params"][self.text()[:30] or "q"] = self.text()
        if "requestBody" in one:
            more["content"], more["headers"]["content-type"] = self.body(one)
        if self.random.random() < 0.1:
            method = self.random.choice(METHODS)
        return method.upper(), path, more

    def body(self, one: Mapping[str, Any]) -> tuple[bytes, str]:
        if self.random.random() < 0.1:
            return self.random.randbytes(self.random.randint(0, 300)), "application/json"
        schema = one["requestBody"]["content"]["application/json"]["schema"]
        names = list(schema.get("properties", {"name": 0, "role": 0, "why": 0, "link": 0, "password": 0, "days": 0}))
        content = {name: self.value() for name in names if self.random.random() < 0.8}
        kind = (
            "application/json"
            if self.random.random() < 0.95
            else self.random.choice(("text/plain", "", "application/xml"))
        )
        return json.dumps(content).encode(), kind


async def shoot(address: str, token: str, maker: Maker, count: int) -> tuple[Counter[int], list[str]]:
    """How often each status came, and the first failures."""
    told: Counter[int] = Counter()
    failed: list[str] = []
    left = iter(range(count))

    async def one_after_another(client: httpx.AsyncClient) -> None:
        for number in left:
            method, path, more = maker.request()
            if number % 3 == 0:
                more["headers"]["authorization"] = ""  # nobody
            try:
                answer = await client.request(method, path, **more)
            except (httpx.InvalidURL, ValueError, httpx.LocalProtocolError):
                continue  # no such request can be sent
            told[answer.status_code] += 1
            if answer.status_code >= 500 and "ledger" not in path:
                failed.append(f"{answer.status_code} {method} {path} {more} {answer.text[:200]}"[:600])

    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
        await asyncio.gather(*(one_after_another(client) for _ in range(SIDE_BY_SIDE)))
    return told, failed


def token_of(config: Path) -> str:
    with doors_of(config_.load(config)) as (_, doors):
        return doors.make_token("fuzz", "admin", "bench")


async def control() -> bool:
    """Whether a route that fails is found, among the others."""

    def breaks(call: Call) -> object:
        return 1 // 0

    route = Route("GET", "/api/v1/breaks", breaks, EVERYONE, "It fails")
    app = site_.site(None, Nobody(), [route])  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://x"
    ) as one:
        return (await one.get("/api/v1/breaks")).status_code == 500


class Nobody:
    """A gate without anybody."""

    async def who(self, connection: object) -> Identity:
        return NOBODY

    def check_unsafe(self, request: object, who: object) -> None:
        return


def run(scale: str) -> Iterator[Figure]:
    maker = Maker(document(site_.every_route()), seed=1)
    with tempfile.TemporaryDirectory(prefix="api-fuzz-") as name, site(Path(name)) as place:
        told, failed = asyncio.run(shoot(place.address, token_of(place.config), maker, REQUESTS[scale]))
    found = asyncio.run(control())
    for one in failed[:10]:
        print(one, file=sys.stderr)
    yield Figure(
        "api-fuzz",
        len(failed),
        f"answers of 5xx among {sum(told.values())}",
        "0",
        ok=not failed and found,
        beside={
            "requests": sum(told.values()),
            "operations": len(maker.places),
            **{f"answers_{status}": float(count) for status, count in sorted(told.items())},
            "control_found": found,
        },
    )
