"""One cycle of a job: ask for its blocks, decode what came, say what did not.

A unit that does not answer ends its cycle at the first block, so that it costs its line one timeout at most. Its
points are said to be BAD NO_ANSWER once when it falls silent and at each probe, not every cycle.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_agent.image import NEVER, Emit, Frame
from edge_agent.sources.modbus.decode import EXCEPTION, texts
from edge_agent.sources.modbus.faults import Garbled, Guarded, NoAnswer, Refused
from edge_agent.sources.modbus.framing import read
from edge_agent.sources.modbus.job import TEXT_AGAIN_NS, Job, Unit
from edge_agent.sources.modbus.link import Link
from edge_agent.sources.modbus.plan import Block
from edge_agent.sources.modbus.sunspec import models_of
from protos.clock import NS, Clock

log = logging.getLogger(__name__)
NO_SUCH = (2, 3)  # exceptions that speak of the addresses asked for
BEYOND_GATEWAY = (10, 11)  # a gateway speaks for a unit behind it that does not answer
CHAIN_AGAIN_NS = 60 * NS  # a unit without a SunSpec chain may still be starting: looked at again after this
GUARD_WAIT_NS = 150 * NS // 1000  # what cannot be read in two is waited for so long, else left out of this cycle


@dataclass(slots=True)
class Counters:
    polls: int = 0  # requests that were answered
    timeouts: int = 0  # requests without a usable answer
    exceptions: int = 0
    guarded: int = 0  # reads held back because a late answer could be taken for theirs
    skipped: int = 0  # cycles of units whose breaker was open


@dataclass(eq=False)
class Poller:
    """Reads the jobs of one line."""

    link: Link
    clock: Clock
    emit: Emit
    counters: Counters

    async def cycle(self, job: Job) -> None:
        """Read and emit one frame, or nothing while the unit's breaker is open or its silence was told before."""
        breaker, begun = job.unit.breaker, self.clock.monotonic_ns()
        if not breaker.may_ask(begun):
            self.counters.skipped += 1
            return
        probing = breaker.open
        if job.by_model and not await self._walked(job, said=job.silent and not probing):
            return
        parts: list[bytes] = []
        missing: list[tuple[Block, int]] = []
        for block in (blocks := job.blocks):
            try:
                data = await self._read(job, block, breaker.timeout_ns(job.unit.timeout_ns))
            except (Guarded, Garbled):  # held back by ourselves, or damaged on its way: the unit may be well
                self.counters.timeouts += 1
                missing.append((block, NEVER))
                parts.append(bytes(block.request.data))
                continue
            except NoAnswer as error:
                self._failed(job, error)
                missing += [(one, NEVER) for one in blocks[len(parts) :]]
                break
            if data is None:
                missing.append((block, EXCEPTION))
            parts.append(data or bytes(block.request.data))
            breaker.answered(self.link.last_ns - begun)
            begun = self.link.last_ns
        if blocks is job.blocks:  # else a refused block was split: the next cycle reads the new ones
            self._tell(job, blocks, parts, missing, said=job.silent and not probing)

    async def _walked(self, job: Job, said: bool) -> bool:
        """Whether the unit's SunSpec chain is known: it is walked along once on each connection."""
        unit = job.unit
        if unit.chained == self.link.reconnects or self.clock.monotonic_ns() < unit.chain_ns:
            return True
        try:
            unit.models = await models_of(partial(self._words, unit))
        except NoAnswer as error:
            self._failed(job, error)
            self._tell(job, job.blocks, [], [(one, NEVER) for one in job.blocks], said)
            return False
        for one in filter(lambda one: one.by_model, unit.jobs):
            one.place(unit.models)
        if unit.models:
            unit.chained = self.link.reconnects
            numbers = ", ".join(str(model.number) for model in unit.models)
            log.info("%s (unit %d) has the SunSpec models %s", job.device.name, unit.number, numbers)
        else:
            unit.chain_ns = self.clock.monotonic_ns() + CHAIN_AGAIN_NS
            log.warning("%s (unit %d) has no SunSpec models at 40000, 0 or 50000", job.device.name, unit.number)
        return True

    async def _words(self, unit: Unit, address: int, count: int) -> bytes | None:
        """Holding registers of a unit, None where it refuses. Raises NoAnswer."""
        try:
            return await self.link.ask(
                read(unit.number, 3, address, count), unit.breaker.timeout_ns(unit.timeout_ns), unit.pause_ns
            )
        except Refused as refusal:
            if refusal.code in BEYOND_GATEWAY:
                raise NoAnswer(f"exception {refusal.code}: the gateway does not reach the unit") from refusal
            return None

    async def _read(self, job: Job, block: Block, timeout_ns: int) -> bytes | None:
        """The data of one block, None if the device refuses it for now. Raises NoAnswer."""
        unit = job.unit
        try:
            try:
                data = await self.link.ask(block.request, timeout_ns, unit.pause_ns)
            except Guarded as guard:
                data = await self._around(block, guard, timeout_ns, unit.pause_ns)
        except Refused as refusal:
            await self._refused(job, block, refusal.code, timeout_ns)
            return None
        self.counters.polls += 1
        return data

    async def _around(self, block: Block, guard: Guarded, timeout_ns: int, pause_ns: int) -> bytes:
        """Read a guarded block by two requests of shapes that no late answer has, or wait if the guard ends soon."""
        self.counters.guarded += 1
        for cut in block.shapes():
            first, second = block.halves(cut)
            if first.data != second.data and not any(map(self.link.blocked_until, (first, second))):
                head = await self.link.ask(first, timeout_ns, pause_ns)
                return head + await self.link.ask(second, timeout_ns, pause_ns)
        if guard.until_ns - self.clock.monotonic_ns() > GUARD_WAIT_NS:
            raise guard
        await self.clock.sleep_until(guard.until_ns)
        return await self.link.ask(block.request, timeout_ns, pause_ns)

    async def _refused(self, job: Job, block: Block, code: int, timeout_ns: int) -> None:
        """The device answered with an exception: about the addresses, then find out which ones; or about itself."""
        self.counters.exceptions += 1
        if code in BEYOND_GATEWAY:
            raise NoAnswer(f"exception {code}: the gateway does not reach the unit")
        if code not in NO_SUCH:
            return
        refused: set[int] = set()
        for number in block.points:
            single = job.single(number)
            try:
                await self.link.ask(single.request, timeout_ns, job.unit.pause_ns)
            except Refused as refusal:
                if refusal.code not in NO_SUCH:
                    return  # the device is busy or failing: nothing to be learned now
                refused.add(number)
        job.narrow(block, refused)

    def _failed(self, job: Job, error: NoAnswer) -> None:
        """A cycle that ended without an answer."""
        self.counters.timeouts += 1
        breaker = job.unit.breaker
        was_open = breaker.open
        breaker.failed(self.clock.monotonic_ns())
        if breaker.open and not was_open:
            log.warning("%s (unit %d) does not answer: %s", job.device.name, job.unit.number, error)
            for other in job.unit.jobs:
                if other is not job and not other.silent:
                    self._tell(other, other.blocks, [], [(one, NEVER) for one in other.blocks], said=False)

    def _tell(
        self, job: Job, blocks: Sequence[Block], parts: list[bytes], missing: list[tuple[Block, int]], said: bool
    ) -> None:
        """Emit what was read; a frame without any value only where that was not `said` before."""
        if job.layout is None:
            return
        unplaced = job.by_model and not job.unit.models and not job.unit.chain_ns  # its chain was never read
        nothing = unplaced or (len(missing) == len(blocks) and bool(blocks))
        if nothing and said:
            return
        job.silent = nothing
        if unplaced:
            now, count = self.clock.monotonic_ns(), len(job.layout.points)
            self.emit(Frame(job.layout, now, now, np.full(count, np.nan), np.full(count, NEVER, np.uint8)))
            return
        parts += [bytes(one.request.data) for one in blocks[len(parts) :]]
        payload = parts[0] if len(parts) == 1 else b"".join(parts)
        now = self.clock.monotonic_ns()
        if missing:
            self.emit(Frame(job.layout, now, now, *job.decoder.decode(payload, missing)))
            return
        news = self._news(job, payload, now) if job.strings else ()
        self.emit(Frame(job.layout, now, now, (payload, job.decoder), None, news))

    def _news(self, job: Job, payload: bytes, now: int) -> list[tuple[str, str]]:
        """Strings that changed, or were not told for long."""
        news = []
        for name, text in texts(job.specs, job.blocks, payload):
            known, since = job.told.get(name, (None, -TEXT_AGAIN_NS))
            if text != known or now - since >= TEXT_AGAIN_NS:
                job.told[name] = text, now
                news.append((name, text))
        return news
