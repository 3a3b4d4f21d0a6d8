"""The buffer against a model of it: any order of appends, acks, kills and clean ends.

`received = stored + dropped + quarantined`, nothing is lost or doubled, no key is used twice, and acks are kept over
a clean end (a kill may forget those that no commit has carried; then they are sent again, which costs nothing).
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_agent.buffer.cabinet import Cabinet
from edge_agent.buffer.recovery import Place
from protos.batch import Priority
from protos.clock import Anchor, SteppedClock
from protos.span import Span, join
from tests.edge.buffer.gateway import GATEWAY, POINTS, UTC_NS, Limits, frames_of, serial_of

MEMORY = Path("/dev/shm")
ROWS = 2
EVERYTHING = 1_000_000, 1 << 40
Key = tuple[int, int]


class BufferLife(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.generation = 0
        self.clock = SteppedClock()
        self.written: dict[Key, int] = {}  # key → serial, all that append returned for
        self.acked: set[Key] = set()
        self.sure: set[Key] = set()  # acks that a commit has carried
        self.serial = 0
        self.cabinet = self.opened()

    def opened(self) -> Cabinet:
        return Cabinet(Place(self.root / str(self.generation), GATEWAY), self.clock, Limits())

    @rule(priority=st.sampled_from(Priority))
    def append(self, priority: Priority) -> None:
        self.serial += 1
        anchor = Anchor(self.clock.boot_id, UTC_NS, 0, "ntp")
        sequence = self.cabinet.append(frames_of(self.serial, ROWS), priority, anchor)
        key = self.cabinet.epochs.current.number, sequence
        assert key not in self.written
        assert not self.written or key > max(self.written)
        self.written[key] = self.serial
        self.sure = set(self.acked)

    @rule(data=st.data(), settled=st.booleans())
    def ack(self, data: st.DataObject, settled: bool) -> None:
        if not self.written:
            return
        keys = data.draw(st.lists(st.sampled_from(sorted(self.written)), max_size=6))
        spans = join(keys)
        self.cabinet.mark(spans, spans if settled else [], [])
        self.acked.update(keys)

    @rule(epoch=st.integers(0, 60), first=st.integers(0, 5), length=st.integers(0, 9))
    def ack_anything(self, epoch: int, first: int, length: int) -> None:
        """An aggregator that says more than it knows of us marks only what was written."""
        span = Span(epoch, first, first + length)
        self.cabinet.mark([span], [], [])
        self.acked.update(key for key in self.written if key in span)

    @rule()
    def rest(self) -> None:
        self.cabinet.rest()

    @rule()
    def end_and_begin(self) -> None:
        epoch = self.cabinet.epochs.current.number
        self.cabinet.close()
        self.sure = set(self.acked)
        self.cabinet = self.opened()
        assert self.cabinet.epochs.current.number >= epoch

    @rule()
    def kill_and_begin(self) -> None:
        """The directory of a process that was killed: what is on the disk now, nothing of its memory."""
        old = self.root / str(self.generation)
        self.generation += 1
        shutil.copytree(old, self.root / str(self.generation))
        epoch = self.cabinet.epochs.current.number
        self.cabinet.close()
        self.cabinet = self.opened()
        assert self.cabinet.epochs.current.number > epoch
        again = {self.key(one) for one in self.cabinet.waiting(0, None, *EVERYTHING)}
        assert again & self.sure == set()
        self.acked = set(self.written) - again

    @staticmethod
    def key(one: object) -> Key:
        return one.epoch, one.sequence  # type: ignore[attr-defined]

    @invariant()
    def all_that_waits_is_there_once(self) -> None:
        found = self.cabinet.waiting(0, None, *EVERYTHING)
        waiting = {key: serial for key, serial in self.written.items() if key not in self.acked}
        assert [self.key(one) for one in found] == sorted(waiting)
        assert {self.key(one): serial_of(one) for one in found} == waiting
        account = self.cabinet.store.account
        assert account.balanced()
        assert account.received == account.stored == len(self.written) * ROWS * POINTS
        assert (account.waiting_batches, account.kept_batches) == (len(waiting), len(self.written))
        assert account.waiting_bytes == sum(len(one.blob) for one in found)
        assert account.damaged == 0

    def teardown(self) -> None:
        if hasattr(self, "cabinet"):
            self.cabinet.close()
            shutil.rmtree(self.root)


BufferLife.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestBufferLife = BufferLife.TestCase
