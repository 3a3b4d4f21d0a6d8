"""An aggregator that breaks its promise: it acknowledges before the commit. For negative controls only."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import aggregator.app
from aggregator.stores import Arrival, Fate, Outcome
from aggregator.stores.log import SqliteLog
from aggregator.verbs.serve import serve

LATE_S = 0.5


class HastyLog(SqliteLog):
    """Says stored at once and stores later."""

    late: set[asyncio.Task[object]]

    async def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        self.late = getattr(self, "late", set())
        self.late.add(asyncio.create_task(self._later(list(arrivals))))
        return [Outcome(Fate.STORED, 1) for _ in arrivals]

    async def _later(self, arrivals: list[Arrival]) -> object:
        await asyncio.sleep(LATE_S)
        return await super().append(arrivals)


if __name__ == "__main__":
    aggregator.app.__dict__["SqliteLog"] = HastyLog
    asyncio.run(serve(Path(sys.argv[1])))
