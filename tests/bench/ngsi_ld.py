"""The NGSI-LD API: each clause of our table, shown by tests over HTTP; and what one broker does in a second of CPU.

The table is the operations, resources and representations of ETSI GS CIM 009 that we say are there; what is not there
is in the README. Throughput: batches of 100 upserted, queries by type, q and place among 10,000 entities.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx

from aggregator.api.ngsi.app import alone
from aggregator.api.ngsi.broker import Broker
from aggregator.stores.ngsi import NgsiStore
from tests.bench import Figure

TESTS = Path(__file__).parents[1] / "aggregator/api/ngsi"
CLAUSES = tuple(
    """
    4.3.3 4.4 4.5.1 4.5.2 4.5.2.3 4.5.3 4.5.3.3 4.5.4 4.5.5 4.5.6 4.5.7 4.5.8 4.5.9 4.5.16 4.5.17 4.5.18 4.5.18.3
    4.5.19 4.5.20 4.5.20.3 4.5.21 4.5.21.3 4.5.22 4.5.22.3 4.5.23 4.5.24 4.5.24.3 4.6.2 4.7 4.8 4.9 4.10 4.11 4.14
    4.15 4.17 4.18 4.19 4.21 4.22 4.23 5.2.2 5.2.9 5.2.12 5.2.14 5.2.15 5.2.16 5.2.18 5.2.20 5.2.21 5.2.23 5.2.24
    5.2.25 5.2.26 5.2.27 5.2.28 5.3.1 5.3.2 5.5.2 5.5.4 5.5.5 5.5.7 5.5.8 5.5.9 5.5.10 5.5.12 5.6.1 5.6.2 5.6.3
    5.6.4 5.6.5 5.6.6 5.6.7 5.6.8 5.6.9 5.6.10 5.6.11 5.6.12 5.6.13 5.6.14 5.6.15 5.6.16 5.6.17 5.6.18 5.6.19
    5.6.20 5.6.21 5.7.1 5.7.2 5.7.3 5.7.4 5.7.5 5.7.6 5.7.7 5.7.8 5.7.9 5.7.10 5.8.1 5.8.2 5.8.3 5.8.4 5.8.5 5.8.6
    5.9.2 5.9.3 5.9.4 5.10.1 5.10.2 5.11.2 5.11.3 5.11.4 5.11.5 5.11.6 5.11.7 5.13.2 5.13.3 5.13.4 5.13.5 5.14.1
    5.14.2 5.14.3 5.14.4 5.15 5.16.1 5.16.2 5.16.3 5.16.4 6.3.2 6.3.3 6.3.4 6.3.5 6.3.6 6.3.7 6.3.8 6.3.10 6.3.11
    6.3.12 6.3.13 6.3.14 6.4.3.1 6.4.3.2 6.4.3.3 6.5.3.1 6.5.3.3 6.5.3.4 6.6.3.1 6.6.3.2 6.7.3.1 6.7.3.2 6.7.3.3
    6.8.3.1 6.8.3.2 6.9.3.1 6.10.3.1 6.10.3.2 6.11.3.1 6.11.3.2 6.12.3.1 6.13.3.1 6.14.3.1 6.15.3.1 6.16.3.1
    6.17.3.1 6.18.3.1 6.18.3.2 6.19.3.1 6.20.3.1 6.21.3.1 6.22.3.1 6.22.3.2 6.23.3.1 6.24.3.1 6.25.3.1 6.26.3.1
    6.27.3.1 6.28.3.1 6.29.3.1 6.29.3.2 6.30.3.1 6.30.3.2 6.31.3.1 7.1 7.2
    """.split()  # noqa: SIM905 (one may read it so)
)
COUNT = {"ci": 2_000, "full": 10_000}
QUERIES = {"ci": 60, "full": 300}
BATCH = 100
UPSERTS_GOAL, QUERIES_GOAL = 400, 8


def run(scale: str) -> Iterator[Figure]:
    began = time.monotonic()
    shown, broken, tests = clauses()
    missing = [one for one in CLAUSES if one not in shown or one in broken]
    if missing:
        print(f"not shown: {' '.join(missing)}", file=sys.stderr)
    beside = {"tests": float(tests), "clauses broken": float(len(broken))}
    figure = len(CLAUSES) - len(missing)
    goal = f"all {len(CLAUSES)} of our table"
    yield Figure("ngsi-ld clauses", figure, "clauses", goal, not missing, beside, time.monotonic() - began)
    upserts, queries = asyncio.run(throughput(COUNT[scale], QUERIES[scale]))
    yield Figure("ngsi-ld upserts", upserts, "entities/CPU-s", f">= {UPSERTS_GOAL}", upserts >= UPSERTS_GOAL)
    beside = {"entities": float(COUNT[scale])}
    yield Figure("ngsi-ld queries", queries, "queries/CPU-s", f">= {QUERIES_GOAL}", queries >= QUERIES_GOAL, beside)


def clauses() -> tuple[set[str], set[str], int]:
    """Those that a test shows, those of a test that fails, how many tests."""
    shown: set[str] = set()
    broken: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", str(TESTS), f"--junitxml={report}", "-o", "junit_family=xunit1"]
        subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
        cases = list(ET.parse(report).iter("testcase"))
    for case in cases:
        numbers = {one.get("value", "") for one in case.iter("property") if one.get("name") == "clause"}
        failed = any(case.find(what) is not None for what in ("failure", "error"))
        if failed:
            broken |= numbers
        elif case.find("skipped") is None:
            shown |= numbers
    return shown, broken, len(cases)


def entities(first: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"urn:ngsi-ld:WasteContainer:{number}",
            "type": "WasteContainer" if number % 10 else "Streetlight",
            "fillingLevel": {"type": "Property", "value": number % 100 / 100, "unitCode": "C62"},
            "name": {"type": "Property", "value": f"container {number}"},
            "location": {
                "type": "GeoProperty",
                "value": {"type": "Point", "coordinates": [13 + number % 100 / 1000, 52 + number // 100 / 1000]},
            },
        }
        for number in range(first, first + BATCH)
    ]


ASKED: Sequence[str] = (
    "type=Streetlight&limit=20",
    "type=WasteContainer&q=fillingLevel>0.985&limit=20",
    "type=WasteContainer&georel=near%3BmaxDistance==500&geometry=Point&coordinates=[13.05,52.005]&limit=20",
    "type=WasteContainer&id=urn:ngsi-ld:WasteContainer:7",
)


async def throughput(count: int, queries: int) -> tuple[float, float]:
    """Entities upserted and queries answered in a CPU-second; one client that waits for each answer."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(NgsiStore(Path(folder) / "ngsi.sqlite"))
        transport = httpx.ASGITransport(alone(broker))
        async with httpx.AsyncClient(transport=transport, base_url="http://broker.test/ngsi-ld/v1") as client:
            began = time.process_time()
            for first in range(0, count, BATCH):
                told = await client.post("/entityOperations/upsert", json=entities(first))
                assert told.status_code == 201, told.text
            upserts = count / (time.process_time() - began)
            began = time.process_time()
            for number in range(queries):
                told = await client.get("/entities?" + ASKED[number % len(ASKED)])
                assert told.status_code == 200, told.text
                assert told.json()
            rate = queries / (time.process_time() - began)
        broker.close()
    return upserts, rate
