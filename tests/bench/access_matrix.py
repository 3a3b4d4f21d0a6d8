"""Every route × every role, by session and by token; nobody, what is over, what another site sends.

What is expected is written by hand in tests/aggregator/api/matrix.py. The control is a site that admits everybody.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from aggregator.api.site import every_route
from tests.aggregator.api.desk import at_desk
from tests.aggregator.api.matrix import TABLE, Cell, cells, rows
from tests.bench import Figure


def run(scale: str) -> Iterator[Figure]:
    """The same at every scale: it is the whole matrix."""
    began = time.monotonic()
    found = asyncio.run(walked())
    wrong = [one for one in found if not one.right]
    for one in wrong[:20]:
        print(f"{one.row.method} {one.row.path}: {one.who}: expected {one.expected}, got {one.got}")
    beside = {"cells": len(found), "routes": len({(one.row.method, one.row.path) for one in found})}
    goal = "every route × role"
    yield Figure("access-matrix", len(wrong), "wrong cells", goal, not wrong, beside, time.monotonic() - began)
    missing = forgotten()
    for name in missing:
        print(f"{name}: not in tests/aggregator/api/matrix.py")
    yield Figure("access-matrix forgotten", len(missing), "routes", "every route", not missing)
    with patch("aggregator.api.site.admit", lambda route, who: None):
        open_ = sum(not one.right for one in asyncio.run(walked()))
    yield Figure("access-matrix control", open_, "wrong cells of a site that admits everybody", "> 0", open_ > 0)


async def walked() -> list[Cell]:
    with tempfile.TemporaryDirectory() as folder:
        async with at_desk(Path(folder)) as desk:
            return [one async for one in cells(desk)]


def forgotten() -> list[str]:
    """Routes that one of the two tables lacks."""
    ours = {f"{one.method} {one.path}" for one in every_route()}
    return sorted(ours ^ {f"{one.method} {one.path}" for one in rows(TABLE)})
