"""`desk`: the site, served, for one test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.aggregator.api.desk import Desk, at_desk


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_desk(tmp_path) as one:
        yield one
