"""From frames to durable batches: gather what the sources emit, clean it, put it into the image, commit it.

Frames that arrive within one tick are decoded together and cleaned in one vectorised call: the busier the gateway, the
cheaper a reading. One commit is in flight at a time; what arrives meanwhile waits for the next, up to a limit that is
never exceeded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from edge_agent.image import Frame, Image, Layout, open_all
from protos.clock import NS, Clock

MS = NS // 1000
WAITING_READINGS_MAX = 500_000  # about 10 MB of frames: minutes of a stalled disk, then oldest first is dropped

Clean = Callable[[Sequence[Frame], int], None]
Commit = Callable[[Sequence[Frame]], Awaitable[bool]]  # False: there was no room, the buffer has counted them


@dataclass(slots=True)
class Pace:
    """How often: `tick_ms` bounds the age of the image, `commit_ms` what a power cut may cost."""

    tick_ms: int = 100
    commit_ms: int = 1000
    commit_readings: int = 20_000


def readings_in(frame: Frame) -> int:
    return len(frame.layout.points) + len(frame.texts)


@dataclass(eq=False)
class Intake:
    """`emit` is called by the sources; `run` does the rest until cancelled; `flush` commits what waits.

    One for the life of the agent: `turn_to` goes on with another field, and what waits for the disk waits on.
    """

    clean: Clean
    image: Image
    commit: Commit
    clock: Clock
    pace: Pace
    show: Callable[[Frame], None] = lambda _: None  # hears the newest cleaned frame of each layout in a tick
    received: int = 0  # readings ever emitted
    dropped: int = 0  # readings that waited too long for the disk
    committed_ns: int = 0  # when the last commit ended
    cleaned_ns: int = 0  # when the last tick ended
    _arrived: list[Frame] = field(default_factory=list)
    _waiting: list[Frame] = field(default_factory=list)
    _waiting_readings: int = 0
    _since_ns: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _committing: asyncio.Task[None] | None = None

    def emit(self, frame: Frame) -> None:
        self._arrived.append(frame)
        self._wake.set()

    def turn_to(self, clean: Clean, image: Image, pace: Pace) -> None:
        """Go on with another field. What has arrived is cleaned by the checks of the old one, whose points it has."""
        self.tick()
        self.clean, self.image, self.pace = clean, image, pace

    def tick(self) -> None:
        """Clean what arrived and write it into the image; it now waits for a commit."""
        frames, self._arrived = self._arrived, []
        if not frames:
            return
        now = self.clock.monotonic_ns()
        open_all(frames)
        self.clean(frames, now)
        newest: dict[Layout, Frame] = {}  # good frames that a later one of the tick replaces are never seen
        for frame in frames:
            if frame.codes is None:
                newest[frame.layout] = frame
            else:
                self.image.take(newest.pop(frame.layout, frame))
                self._take(frame)
        for frame in newest.values():
            self._take(frame)
        self.cleaned_ns = now
        self._queue(frames)

    def _take(self, frame: Frame) -> None:
        self.image.take(frame)
        self.show(frame)

    def keep(self, frames: Sequence[Frame]) -> None:
        """Take what the control loop has cleaned and used already."""
        self._queue(frames)
        self._wake.set()

    def _queue(self, frames: Sequence[Frame]) -> None:
        """These are clean: they now wait for a commit."""
        count = sum(map(readings_in, frames))
        self.received += count
        if not self._waiting:
            self._since_ns = self.clock.monotonic_ns()
        self._waiting.extend(frames)
        self._waiting_readings += count
        self._shed()

    def _shed(self) -> None:
        """Keep what waits for the disk below its limit, oldest first. Frames to acknowledge are never shed: their
        sender keeps them, and the source's own window bounds them."""
        if self._waiting_readings <= WAITING_READINGS_MAX:
            return
        kept: list[Frame] = []
        for frame in self._waiting:
            if self._waiting_readings > WAITING_READINGS_MAX and frame.committed is None:
                self._waiting_readings -= readings_in(frame)
                self.dropped += readings_in(frame)
            else:
                kept.append(frame)
        self._waiting = kept

    def _due_ns(self) -> int:
        full = self._waiting_readings >= self.pace.commit_readings
        return 0 if full else self._since_ns + self.pace.commit_ms * MS

    async def _commit(self, frames: list[Frame]) -> None:
        try:
            durable = await self.commit(frames)
        except BaseException:  # nothing is lost by a failed commit: it is tried again with what came since
            self._wait_again(frames)
            raise
        if not durable:  # whoever waits for an acknowledgement waits on: its readings are tried again
            self._wait_again([frame for frame in frames if frame.committed is not None])
            return
        self.committed_ns = self.clock.monotonic_ns()
        for frame in frames:
            if frame.committed is not None:
                frame.committed()

    def _wait_again(self, frames: list[Frame]) -> None:
        self._waiting[:0] = frames
        self._waiting_readings += sum(map(readings_in, frames))

    def _start_commit(self) -> None:
        frames, self._waiting, self._waiting_readings = self._waiting, [], 0
        self._committing = asyncio.create_task(self._commit(frames), name="commit")

    async def run(self) -> None:
        """Tick while frames arrive and commit when due; a commit that fails is raised here."""
        while True:
            if not self._waiting:
                await self._wake.wait()
            self._wake.clear()
            await self.clock.sleep_until(self.clock.monotonic_ns() + self.pace.tick_ms * MS)
            self.tick()
            if self._committing is not None and self._committing.done():
                ended, self._committing = self._committing, None
                ended.result()
            if self._waiting and self._committing is None and self.clock.monotonic_ns() >= self._due_ns():
                self._start_commit()

    async def flush(self) -> None:
        """Commit everything that was emitted; for the end of the process and for a reload."""
        if self._committing is not None:
            await asyncio.wait({self._committing})  # if it failed, its frames are waiting again
            self._committing = None
        self.tick()
        if self._waiting:
            frames, self._waiting, self._waiting_readings = self._waiting, [], 0
            await self._commit(frames)

    def waiting(self) -> int:
        return self._waiting_readings
