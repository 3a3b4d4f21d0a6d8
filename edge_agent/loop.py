"""The control loop: a thread with an event loop of its own, where neither disk nor aggregator can delay it.

It polls its own Modbus lines on the grid of its ticks, decides as soon as the awaited answers are there (at the latest
half a period on), hands set-points to the actuators and never waits for them. What is to be kept goes to the agent's
main loop in bundles; what comes from there (readings of other sources) waits in an inbox until the next tick.

Not a SIL-rated safety function (IEC 61508).
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from edge_agent import precedence, thread
from edge_agent.actuator import TAKEN, Actuator
from edge_agent.control.arbiter import Arbiter, in_order
from edge_agent.control.guard import Guard
from edge_agent.cycle import Estimator, Tick, cycle
from edge_agent.image import Frame, Layout, open_all
from edge_agent.plant import Plant, Target
from edge_agent.recorder import Recorder
from edge_agent.setpoint import Controller, Standing
from edge_agent.sources import Outcome, Written
from protos.clock import NS, Clock
from protos.quality import Quality, code

log = logging.getLogger(__name__)
WAIT_SHARE = 0.4  # of a period that the tick waits for the answers to its polls
CREDIT_MAX, CREDIT_LEAST = 3, 2  # a prompt answer earns one, its lack costs one; below the least nobody waits for it
HANDED_MAX = 4096  # frames of other sources between two ticks; more means that the loop does not run
BAD = code(Quality.BAD)  # codes from here on are BAD
SAFE_S = 2.0  # what writing the safe values at the end may take
END_S = SAFE_S + 3.0  # by then the thread has ended, or it hangs and nobody waits for it any longer
ELSEWHERE_S = 30.0  # what a write through a source of the main loop may take: a later one is not wanted any more


@dataclass(slots=True)
class Counts:
    ticks: int = 0
    late: int = 0  # ended more than a period after they were due
    missed: int = 0  # never begun, because one before took too long
    worst_ns: int = 0  # latest end after its due time
    shed: int = 0  # frames of other sources that found no room


@dataclass(frozen=True, slots=True)
class Turn:
    """The newest tick and how the outputs stood after it; replaced whole, so that any thread may read it."""

    number: int
    tick: Tick
    estimates: Mapping[str, Frame]  # twin → its newest
    standing: Sequence[Standing]
    alarms: Mapping[str, str]
    written: Sequence[tuple[Written, int]]  # of each output: the last answer, and when
    shown: Sequence[tuple[float, int]]  # of each output: what its point read, and when
    obeyed: Sequence[bool]  # of each output: whether its point reads what is set
    writes: Sequence[int]  # of each output's life
    disabled: Mapping[str, str]  # controllers that are not asked now, and why


@dataclass(eq=False)
class Loop:
    """`run` starts the thread and waits for its end; `stop` ends it. One use only.

    `hand_over` is called in the thread with what is to be recorded; `utc` says the time of day, or that nobody knows.
    """

    plant: Plant
    clock: Clock
    recorder: Recorder
    utc: Callable[[int], int | None]
    twins: Estimator | None = None
    always: Sequence[Controller] = ()  # hand and orders, which every loop has
    writes: Mapping[str, int] | None = None
    counts: Counts = field(default_factory=Counts)
    newest: Turn | None = None

    def __post_init__(self) -> None:
        plant, cell = self.plant, self.plant.cell
        self.guard = Guard(cell.outputs, cell.period_ns, self.writes)
        self.arbiter = Arbiter(cell.outputs)
        self._controllers = in_order([*plant.controllers, *self.always])
        self._arrived: list[Frame] = []
        self._handed: deque[Frame] = deque()
        self._expected: set[Layout] = set()
        self._credit = dict.fromkeys(plant.awaited, CREDIT_MAX)
        self._before_ns = 0  # when the tick before was due
        self._came_ns: dict[Layout, int] = {}
        self._estimates: Mapping[str, Frame] = {}
        names, shown = plant.field.image.names, [one.readback or one.point for one in cell.outputs]
        self._places = [names.index(point) if point in names else None for point in shown]
        self._looked_ns = [0] * len(self._places)
        self._main: asyncio.AbstractEventLoop
        self._own: asyncio.AbstractEventLoop | None = None
        self._answered: asyncio.Event
        self._stop: asyncio.Event
        self._stopping = self._leave_safe = False
        self._gone: Collection[str] = ()
        self._actuators: list[Actuator]

    # ---- called by the agent's main loop

    async def run(self) -> None:
        """Run the thread until `stop`. Raises what it raised; cancelled, it leaves the outputs safe.

        A thread that hangs is left behind after a while where the outputs are to be safe, for then the agent ends.
        Where they are to be left alone, a reload, it is waited for: no other loop may begin beside it.
        """
        self._main = asyncio.get_running_loop()
        ended = thread.start(self._work(), "control")
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            self.stop(safe=True)
            await asyncio.wait([ended], timeout=END_S if self._leave_safe else None)
            if not ended.done():
                log.error("the control loop hangs: its outputs are left as they are")
            elif error := ended.exception():
                log.error("the control loop failed at its end", exc_info=error)
            raise

    def stop(self, *, safe: bool, gone: Collection[str] = ()) -> None:
        """End the loop; `safe`: the outputs that it has set go to their safe values first, else only those of them that
        are `gone`, by name: nobody will answer for them any more. The first call counts."""
        if self._stopping:
            return
        self._stopping, self._leave_safe, self._gone = True, safe, gone
        if self._own is not None and not self._own.is_closed():
            self._own.call_soon_threadsafe(self._stop.set)

    def hand(self, frame: Frame) -> None:
        """A cleaned frame of another source, which the loop mirrors."""
        layout = self.plant.mirrored.get(frame.layout)
        if layout is None:
            return
        if len(self._handed) >= HANDED_MAX:
            self.counts.shed += 1
            return
        self._handed.append(Frame(layout, frame.receive_ns, frame.source_ns, frame.values, frame.codes))

    # ---- the thread

    async def _work(self) -> None:
        self._stop, self._answered = asyncio.Event(), asyncio.Event()
        self._own = asyncio.get_running_loop()
        precedence.of_control_thread()
        if self._stopping:  # before it began
            return
        self._actuators = [self._actuator(k, target) for k, target in enumerate(self.plant.targets)]
        works: list[Coroutine[object, object, None]] = [self._ticking(), *(one.run() for one in self._actuators)]
        field = self.plant.field
        for source, layouts in zip(field.sources, field.layouts, strict=True):
            works.append(source.run(layouts, self._emit))
        await self._until_the_end(works)
        self.recorder.flush()

    async def _until_the_end(self, works: Sequence[Coroutine[object, object, None]]) -> None:
        """Until `stop`, or until a part ends, which none may: then nobody decides any more, and the outputs go to
        safety before that is raised."""
        outputs = self.plant.cell.outputs
        parts = [asyncio.create_task(work) for work in works]
        told = asyncio.create_task(self._stop.wait())
        await asyncio.wait([*parts, told], return_when=asyncio.FIRST_COMPLETED)
        ticking = parts[0]
        ticking.cancel()
        await asyncio.wait([ticking])
        everything = self._leave_safe or not told.done()
        await self._to_safe([k for k in self.guard.ours() if everything or outputs[k].name in self._gone])
        for task in (*parts, told):
            task.cancel()
        ends = await asyncio.gather(*parts, return_exceptions=True)
        if errors := [end for end in ends if end is not None and not isinstance(end, asyncio.CancelledError)]:
            raise BaseExceptionGroup("a part of the control loop failed", errors)

    def _actuator(self, number: int, target: Target) -> Actuator:
        write = partial(target.source.actuate, target.device, target.point)
        return Actuator(
            write if target.prompt else partial(elsewhere, self._main, write), partial(self._told, number), self.clock
        )

    def _told(self, output: int, written: Written, now_ns: int) -> None:
        if written.outcome in TAKEN:
            applied = written.outcome is not Outcome.CLAMPED
            self.guard.written(output, written.value, now_ns, applied=applied)
        else:
            self.guard.failed(output, written.why, now_ns)

    async def _to_safe(self, which: Sequence[int]) -> None:
        """Leave these outputs at their safe values."""
        outputs = self.plant.cell.outputs
        try:
            async with asyncio.timeout(SAFE_S):
                await asyncio.gather(*(self._actuators[k].leave(outputs[k].safe) for k in which))
        except TimeoutError:
            log.error("not every output could be set to its safe value within %g s", SAFE_S)

    def _emit(self, frame: Frame) -> None:
        self._arrived.append(frame)
        layout = frame.layout
        if layout in self._credit:
            self._came_ns[layout] = frame.receive_ns
            self._expected.discard(layout)
            if not self._expected:
                self._answered.set()

    async def _ticking(self) -> None:
        """Tick at the multiples of the period, for ever."""
        period, clock = self.plant.cell.period_ns, self.clock
        wait_ns = int(period * WAIT_SHARE)
        due = (clock.monotonic_ns() // period + 1) * period
        while True:
            await clock.sleep_until(due)
            self._answered.clear()
            self._expect(due, wait_ns)
            if self._expected:
                await self._answers(due + wait_ns)
            self._tick()
            self._before_ns, due = due, self._account(due, period)

    def _expect(self, due: int, wait_ns: int) -> None:
        """Whose answers this tick waits for: those that were prompt before. A slow device earns no lasting credit."""
        for layout, credit in self._credit.items():
            prompt = 0 <= self._came_ns.get(layout, 0) - self._before_ns <= wait_ns
            self._credit[layout] = min(CREDIT_MAX, credit + 1) if prompt else max(0, credit - 1)
        credits = self._credit.items()
        self._expected = {one for one, has in credits if has >= CREDIT_LEAST and self._came_ns.get(one, 0) < due}

    async def _answers(self, until_ns: int) -> None:
        """Wait for the answers to this tick's polls, until then at the latest."""
        end = asyncio.ensure_future(self.clock.sleep_until(until_ns))
        end.add_done_callback(lambda _: self._answered.set())
        await self._answered.wait()
        end.cancel()

    def _account(self, due: int, period: int) -> int:
        """Count how the tick that was due then went; returns when the next is due."""
        counts, lag = self.counts, self.clock.monotonic_ns() - due
        counts.ticks += 1
        counts.worst_ns = max(counts.worst_ns, lag)
        if lag <= period:
            return due + period
        counts.late += 1
        missed = lag // period - 1
        counts.missed += missed
        return due + (missed + 1) * period

    def _tick(self) -> None:
        clock, field, guard = self.clock, self.plant.field, self.guard
        frames, self._arrived = self._arrived, []
        now = clock.monotonic_ns()
        if frames:
            open_all(frames)
            field.cleaning.apply(frames, now)
        handed = [self._handed.popleft() for _ in range(len(self._handed))]
        for frame in (*frames, *handed):
            field.image.take(frame)
        view = field.image.freeze(now, self.utc(now))
        self._look(now)
        tick = cycle(view, self.twins, self._controllers, self.arbiter, guard)
        if self._stopping:  # it may have hung for long: nobody asks for this any more
            return
        writes = guard.due(now)
        self.recorder.keep(frames, tick, bool(writes), now)  # before anything is sent
        for write in writes:
            self._actuators[write.output].want(write.value)
        asyncio.get_running_loop().call_soon(self._publish, tick, now)  # after the actuators: they are in a hurry

    def _publish(self, tick: Tick, now: int) -> None:
        self.newest = self._turn(tick, now)

    def _turn(self, tick: Tick, now: int) -> Turn:
        image, guard = self.plant.field.image, self.guard
        saved = guard.saved()
        self._estimates = {**self._estimates, **{frame.layout.device: frame for frame in tick.estimates}}
        return Turn(
            number=self.counts.ticks,
            tick=tick,
            estimates=self._estimates,
            standing=guard.standing(),
            alarms=guard.alarms(),
            written=[(one.last, one.last_ns) for one in self._actuators],
            shown=[(np.nan, 0) if at is None else (image.values[at], image.receive_ns[at]) for at in self._places],
            obeyed=guard.obeyed(),
            writes=[saved.get(one.name, 0) for one in self.plant.cell.outputs],
            disabled=self.arbiter.conduct.disabled(now),
        )

    def _look(self, now: int) -> None:
        """Show the guard what the outputs' points read."""
        image = self.plant.field.image
        for output, place in enumerate(self._places):
            if place is None or (received := int(image.receive_ns[place])) == self._looked_ns[output]:
                continue
            self._looked_ns[output] = received
            if image.codes[place] < BAD:
                self.guard.seen(output, float(image.values[place]), received)

    def gauges(self) -> dict[str, float]:
        counts = self.counts
        sources = self.plant.field.gauges()
        return {
            "ticks_total": counts.ticks,
            "late_total": counts.late,
            "missed_total": counts.missed,
            "worst_s": counts.worst_ns / NS,
            "shed_total": counts.shed,
            "failsafes_total": self.guard.failsafes_total,
            "alarms": len(self.newest.alarms) if self.newest else 0,
            **self.recorder.gauges(),
            **{f"source_{name}": value for name, value in sources.items()},
        }


async def elsewhere(
    main: asyncio.AbstractEventLoop, write: Callable[[float], Coroutine[object, object, Written]], value: float
) -> Written:
    """Write through a source of the main loop. One that hangs must not write an old value when it goes on."""

    async def begin() -> Written:
        await asyncio.sleep(0)  # that nobody waits any more is heard before anything is written
        return await write(value)

    try:
        async with asyncio.timeout(ELSEWHERE_S):
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(begin(), main))
    except TimeoutError:
        return Written(Outcome.UNKNOWN, math.nan, f"nothing was written within {ELSEWHERE_S:g} s")
