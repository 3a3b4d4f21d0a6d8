"""When each job of a line is due: absolute times, phases spread over the period, no drift. Rules without IO.

Job k of the n jobs with the same period is due at start + (phase of the line + k/n) × period + i × period. A job that
starts late does not move its later times; slots that passed whole are skipped and counted. Before its first slot a slow
job is due once within FIRST_NS, so that nobody waits ten minutes for a value that is read every ten. A line that the
control loop waits for is aligned instead: its jobs are due at the multiples of their period, where the loop ticks.
"""

import heapq
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

FIRST_NS = 2_000_000_000  # after the start, by which every job has been due once; spread like the slots
PHASES = 10  # of a period that lines share: what wakes together costs a third less (make bench ONLY=poll)


@dataclass(eq=False)
class Schedule:
    """`periods` ns of each job; `line` gives the phase, so that many lines of one gateway spread as well."""

    periods: Sequence[int]
    start_ns: int
    line: str = ""
    aligned: bool = False
    overruns: int = 0
    _heap: list[tuple[int, int]] = field(default_factory=list)
    _slots: list[int] = field(default_factory=list)  # the first of each job

    def __post_init__(self) -> None:
        share = zlib.crc32(self.line.encode()) % PHASES / PHASES
        for job, period in enumerate(self.periods):
            if self.aligned:
                self._slots.append(-(-self.start_ns // period) * period)
                self._heap.append((self._slots[job], job))
                continue
            same = [k for k, other in enumerate(self.periods) if other == period]
            phase = (share + same.index(job) / len(same)) % 1.0
            self._slots.append(self.start_ns + int(phase * period))
            self._heap.append((self.start_ns + int(phase * min(period, FIRST_NS)), job))
        heapq.heapify(self._heap)

    def first(self) -> tuple[int, int]:
        """(due ns, job) of the job that is due first."""
        return self._heap[0]

    def done(self, now: int) -> int:
        """The first job was done; put it at its next slot. Returns how many slots were missed."""
        due, job = self._heap[0]
        if due < self._slots[job]:
            heapq.heapreplace(self._heap, (self._slots[job], job))
            return 0
        period = self.periods[job]
        missed = max(0, (now - due) // period - 1) if now - due >= 2 * period else 0
        self.overruns += missed
        heapq.heapreplace(self._heap, (due + (missed + 1) * period, job))
        return missed
