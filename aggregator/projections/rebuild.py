"""History made again from the log: all of it, or the days that were lost."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from aggregator.projections.history import Gathering, unbroken
from aggregator.stores import Log
from aggregator.stores.history import Intake
from aggregator.stores.history.day import SUFFIX
from aggregator.stores.history.segments import SegmentHistory
from protos.batch import BatchError

LOG = logging.getLogger(__name__)
READ_ROWS, READ_BYTES = 512, 8 << 20
FOLDER = "rebuild"  # beside the days; what a crash leaves of it is thrown away by the next rebuild


@dataclass(slots=True)
class Rebuilt:
    """What became of the days."""

    whole: list[str] = field(default_factory=list)  # made again, complete
    partly: list[str] = field(default_factory=list)  # was lost; only what the log still has is back
    kept: list[str] = field(default_factory=list)  # the log no longer has all of it: left as it was
    batches: int = 0
    readings: int = 0


async def rebuild(
    history: SegmentHistory,
    log: Log,
    days: Collection[str] | None = None,
    count: Callable[[int], None] = lambda positions: None,
) -> Rebuilt:
    """Replace `days` (None: all) by what the log up to the checkpoint gives; nobody else may write meanwhile.

    Days are made beside the old ones, and each takes its place in one rename. `count` gets log positions passed.
    """
    result = Rebuilt()
    folder = history.directory / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    staging = SegmentHistory(folder)
    try:
        await _replay(history, staging, log, days, count, result)
        made = staging.days()
        first = {name: staging.first_position(name) for name in made}
    finally:
        staging.close()
    for name in made:
        begun = history.first_position(name) or (0 if name in history.lost else first[name])
        whole = log.trimmed == 0 or begun > log.trimmed
        if whole or name in history.lost:
            history.adopt(folder / (name + SUFFIX), name)
            (result.whole if whole else result.partly).append(name)
        else:
            result.kept.append(name)
    result.kept += [name for name in history.days() if name not in made and (days is None or name in days)]
    shutil.rmtree(folder, ignore_errors=True)
    return result


async def rebuild_lost(history: SegmentHistory, log: Log) -> None:
    """Bring back the days that could not be read when the history was opened, as far as the log has them."""
    if not history.lost:
        return
    LOG.warning("history of %s could not be read: making it again from the log", ", ".join(sorted(history.lost)))
    result = await rebuild(history, log, set(history.lost))
    for day in result.whole:
        LOG.warning("history of %s is whole again", day)
    for day in result.partly:
        LOG.error("history of %s is back in part: the log no longer has all of it", day)
    for day in sorted(history.lost):
        LOG.error("history of %s is lost: the log has nothing of it; `aggregator restore` brings back a backup", day)


async def _replay(
    history: SegmentHistory,
    staging: SegmentHistory,
    log: Log,
    days: Collection[str] | None,
    count: Callable[[int], None],
    result: Rebuilt,
) -> None:
    gathering = Gathering(log.trimmed)
    while gathering.upto < history.checkpoint:
        found = await log.read(gathering.upto, READ_ROWS, READ_BYTES)
        rows = [one for one in found if one.position <= history.checkpoint]
        if not rows:
            break
        for row in rows:
            try:
                gathering.add(row)
            except BatchError:
                continue  # in quarantine since it was met first
        result.batches += len(rows)
        count(len(rows))
        if gathering.full:
            gathering = await unbroken(_put(staging, gathering, days, result))
    await unbroken(_put(staging, gathering, days, result))


async def _put(
    staging: SegmentHistory, gathering: Gathering, days: Collection[str] | None, result: Rebuilt
) -> Gathering:
    whole = gathering.intake
    part = whole
    if days is not None:
        part = Intake(
            whole.origins,
            [one for one in whole.pieces if one.slot.day in days],
            [one for one in whole.words if one.slot.day in days],
        )

    def write() -> None:
        result.readings += staging.put(part, gathering.upto).readings
        staging.compact(gathering.arrived_ns)

    await asyncio.to_thread(write)
    return Gathering(gathering.upto)
