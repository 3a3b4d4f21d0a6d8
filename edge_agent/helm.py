"""The main loop's side of the control loop: builds and starts it, feeds it, keeps what it decides, shows it to others.

Nothing here is waited for by the control loop. What it must not forget over a restart, how often each output was
written, is kept in `writes.json`.
"""

import asyncio
import gc
import json
import logging
import math
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from edge_agent import plant
from edge_agent.cell import Output
from edge_agent.config import Gateway
from edge_agent.control.desk import Newest, OrderDesk
from edge_agent.control.hand import Hand
from edge_agent.field import Field
from edge_agent.fitter import Fitter
from edge_agent.image import NEVER, Frame, View
from edge_agent.intake import Intake
from edge_agent.loop import Counts, Loop, Turn
from edge_agent.pair import Pair, Side
from edge_agent.recorder import Recorder
from edge_agent.setpoint import Authority, Controller
from edge_agent.snapshot import Applied, Central, Hold, Mode, Roster, Snapshot, TwinNames, TwinState
from edge_agent.twin.faults import ModelRefused
from protos.clock import NS, Anchor, Clock

log = logging.getLogger(__name__)
SWITCH_S = 0.0005  # how long another thread may keep the interpreter from the control loop; Python's own is 5 ms
UTC_ERROR_NS = NS  # a time of day that may be further off is not told to controllers
AUDIT_NS = NS  # decisions wait so long for the disk
AUDIT_MAX = 10_000  # decisions that wait while the disk is stuck; then the oldest go, counted
WRITES_EVERY_NS = 60 * NS  # a power cut forgets so much of the counting
WRITES = "writes.json"
MODELS = "models"  # the task that judges and exchanges models; it may fail, the loop goes on without it


KeepGoing = Callable[[str, Callable[[], Awaitable[object]]], Coroutine[object, object, None]]


@dataclass(eq=False)
class Helm:
    """One for the life of the agent; each configuration has a loop of its own. What a person holds by hand goes on
    in the next one, where it has the same output."""

    config: Gateway
    clock: Clock
    anchor: Callable[[], Anchor]
    audit: Callable[[Sequence[Frame]], Awaitable[object]]  # durable when it returns
    fitter: Fitter
    keep_going: KeepGoing  # starts again what fails, until it is cancelled
    desk: OrderDesk | None = None  # where the aggregator's orders arrive
    central: Callable[[], Central] = Central
    loop: Loop | None = None  # while it runs
    roster: Roster = field(default_factory=Roster)
    lost: int = 0  # decisions that the audit never got
    counts: Counts = field(default_factory=Counts)  # over all loops: what is told as a total never goes back
    hand: Hand = field(default_factory=lambda: Hand(()))
    _told: list[Frame] = field(default_factory=list)
    _ticks: int = 0

    def __post_init__(self) -> None:
        self._writes_file = self.config.state_dir / WRITES
        self._writes = read_writes(self._writes_file)

    @property
    def hands(self) -> Hand | None:
        """What takes a person's word; None while no loop runs."""
        return self.hand if self.loop is not None else None

    async def run(self, config: Gateway, around: Field, intake: Intake) -> None:
        """The control loop of this configuration, in its thread, until it is stopped. Raises what it raises."""
        self.config = config
        sys.setswitchinterval(SWITCH_S)
        cell, later = config.cell, asyncio.get_running_loop().call_soon_threadsafe
        recorder = Recorder(
            cell.outputs,
            cell.record_ns,
            record=lambda frames: later(intake.keep, frames),
            audit=lambda frames: later(self._tell, frames),
        )
        orders = self._move(cell.outputs)
        built = await self._build(around)
        self.roster = plant.roster(config, self.fitter.bundles)
        pair = Pair(self.clock, cell.period_ns, Side(built.twins))
        self.loop = Loop(
            built, self.clock, recorder, self._utc_ns, pair, (self.hand, *orders), self._writes, self.counts
        )
        try:
            gc.collect()
            gc.freeze()  # a full collection holds the interpreter for longer than a tick may be late
            async with asyncio.TaskGroup() as tasks:
                fitting = tasks.create_task(self.keep_going(MODELS, partial(self.fitter.run, built, pair, self._view)))
                await self.loop.run()
                fitting.cancel()
        finally:
            self._writes = self.loop.guard.saved()
            self.loop = None
            write_writes(self._writes_file, self._writes)

    async def _build(self, around: Field) -> plant.Plant:
        """A model that cannot be loaded is left behind, not the outputs."""
        while True:
            try:
                return plant.build(self.config, self.clock, around, self.fitter.bundles)
            except ModelRefused as error:
                log.error("a model cannot be loaded: %s", error)
                await self.fitter.refused(error)

    def stop(self, *, safe: bool, after: Gateway | None = None) -> None:
        """End the loop. `after`: what comes next; an output that it does not have is left at its safe value."""
        if self.loop is not None:
            now = self.config.cell.outputs
            staying = {(one.name, one.point) for one in (after.cell.outputs if after is not None else now)}
            self.loop.stop(safe=safe, gone=[one.name for one in now if (one.name, one.point) not in staying])

    def rest(self) -> None:
        """There is no loop in the configuration that comes now: hands and orders end, and are told so."""
        self._move(())

    def _move(self, outputs: Sequence[Output]) -> Sequence[Controller]:
        """Take over what persons and the aggregator want of these outputs; returns what carries the latter."""
        self.hand, lost = self.hand.moved_to(outputs)
        for one in lost:
            log.warning("hand: %s", one)
        return self.desk.bind(outputs) if self.desk is not None else ()

    def mirror(self, frame: Frame) -> None:
        if self.loop is not None:
            self.loop.hand(frame)

    def _view(self) -> View | None:
        turn = self.loop.newest if self.loop is not None else None
        return None if turn is None else turn.tick.view

    def tick(self) -> Newest | None:
        """What the newest tick decided; None while no loop runs."""
        turn = self.loop.newest if self.loop is not None else None
        if turn is None:
            return None
        shown = [value for value, _ in turn.shown]
        return Newest(turn.tick.decisions, shown, turn.obeyed, turn.tick.view.now_ns)

    def progressed(self) -> bool:
        """Whether the loop has completed a cycle since this was last asked."""
        before, self._ticks = self._ticks, self.counts.ticks
        return self._ticks > before

    async def keep(self) -> None:
        """Commit what was decided, and now and then how often each output was written; until cancelled."""
        saved_ns = self.clock.monotonic_ns()
        while True:
            await self.clock.sleep_until(self.clock.monotonic_ns() + AUDIT_NS)
            await self.flush()
            writes = self.loop.guard.saved() if self.loop is not None else self._writes
            first = writes.keys() != self._writes.keys()  # an output that is ours from now on: known after a kill too
            if first or self.clock.monotonic_ns() - saved_ns >= WRITES_EVERY_NS:
                saved_ns, self._writes = self.clock.monotonic_ns(), writes
                await asyncio.to_thread(write_writes, self._writes_file, writes)

    async def flush(self) -> None:
        frames, self._told = self._told, []
        if frames:
            try:
                await self.audit(frames)
            except BaseException:  # nothing is lost by a failed commit
                self._told[:0] = frames
                raise

    def _tell(self, frames: Sequence[Frame]) -> None:
        self._told.extend(frames)
        if (beyond := len(self._told) - AUDIT_MAX) > 0:
            del self._told[:beyond]
            self.lost += beyond

    def _utc_ns(self, monotonic_ns: int) -> int | None:
        anchor = self.anchor()
        return anchor.utc_ns(monotonic_ns) if anchor.error_ns <= UTC_ERROR_NS else None

    # ---- what others are shown

    def snapshot(self) -> Snapshot | None:
        """The newest tick; None before the first and while no loop runs."""
        loop = self.loop
        turn = loop.newest if loop is not None else None
        if loop is None or turn is None:
            return None
        view = turn.tick.view
        return Snapshot(
            roster=self.roster,
            tick=turn.number,
            now_ns=view.now_ns,
            utc_ns=view.utc_ns,
            mode=mode_of(turn),
            decisions=turn.tick.decisions,
            applied=[self._applied(turn, k) for k in range(len(turn.standing))],
            twins=[self._twin(turn, names) for names in self.roster.twins],
            late=loop.counts.late,
            missed=loop.counts.missed,
            central=self.central(),
            holds=tuple(Hold(one.output, one.value, one.who, one.why, one.until_ns) for one in self.hand.active),
            disabled=turn.disabled,
        )

    def _applied(self, turn: Turn, output: int) -> Applied:
        written, at_ns = turn.written[output]
        alarm = turn.alarms.get(self.roster.outputs[output], "")
        shown, shown_ns = turn.shown[output]
        outcome = written.outcome.value if at_ns else ""
        return Applied(turn.standing[output].value, shown, shown_ns, outcome, alarm or written.why, turn.writes[output])

    def _twin(self, turn: Turn, names: TwinNames) -> TwinState:
        frame, bundle = turn.estimates.get(names.name), self.fitter.bundles.get(names.name)
        if frame is None or bundle is None:
            nothing = np.full(len(names.states), np.nan)
            return TwinState(nothing, nothing, np.full(len(names.states), NEVER, np.uint8), slot="none")
        return TwinState.of(names, frame, bundle.title, self.fitter.slot(names.name))

    def gauges(self) -> dict[str, float]:
        return {**(self.loop.gauges() if self.loop is not None else {}), "audit_lost_total": self.lost}


def mode_of(turn: Turn) -> Mode:
    authorities = {one.authority for one in turn.tick.decisions}
    if authorities == {Authority.FAILSAFE}:
        return Mode.FAILSAFE
    return Mode.STARTING if authorities == {Authority.NOBODY} else Mode.RUNNING


def read_writes(file: Path) -> Mapping[str, int]:
    """How often each output was written; nothing where that was lost: then a new life is counted."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.error("%s cannot be read, the writes of each output are counted anew: %s", file, error)
        return {}
    good = found.items() if isinstance(found, dict) else ()
    return {str(name): int(count) for name, count in good if isinstance(count, int | float) and math.isfinite(count)}


def write_writes(file: Path, writes: Mapping[str, int]) -> None:
    """Replace the file as a whole. A full disk is no reason to stop: it is tried again a minute later."""
    fresh = file.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(dict(writes)))
        fresh.replace(file)
    except OSError as error:
        log.error("%s cannot be written: %s", file, error)
