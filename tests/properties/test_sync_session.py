"""The rules of a session under any order of events: nothing lost, nothing twice, never more on the way than agreed."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.sync.session import Counts, Session
from edge_agent.sync.settings import Settings
from protos import sync_pb2 as pb
from protos.clock import NS
from protos.span import Span, join, ranges

Key = tuple[int, int]
WINDOW = 8


class World:
    """A buffer as a list of keys, an aggregator as a set; moved by the drawn events."""

    def __init__(self, backlog: int, metered: bool) -> None:
        self.keys = [(1, n) for n in range(1, backlog + 1)]
        self.stored: set[Key] = set()
        self.refused: set[Key] = set()
        self.sent: list[Key] = []
        self.on_the_way: list[Key] = []
        self.now = 0
        start = self.keys[-1] if self.keys else (1, 0)
        rules = Settings(window=WINDOW, metered=metered, allowance_mb_a_day=1e6)
        self.session = Session(pb.Welcome(), start, rules, Counts(), 0)

    def newer(self, after: Key, batches: int) -> list[Key]:
        waiting = [key for key in self.keys if key not in self.stored and key not in self.refused]
        return [key for key in waiting if key > after][:batches]

    def send(self, *, urgent: bool = False) -> bool:
        session = self.session
        room, _ = session.live_room(self.now, urgent=urgent)
        found = self.newer(session.live_after, room) if room else []
        for key in found:
            session.passed(key, live=True)
            self._write(key, live=True)
        if found:
            return True
        session.burst_over(self.now)
        room, _ = session.backlog_room(self.now)
        if session.backlog_after is None:
            session.walk_again(len(self.newer((0, -1), 10_000)), max([*self.keys, (1, 0)]))
        if session.backlog_after is None or not room:
            return False
        found = [key for key in self.newer(session.backlog_after, room) if session.is_backlog(key)]
        for key in found:
            session.passed(key, live=False)
            self._write(key, live=False)
        if not found:
            session.backlog_done()
        return bool(found)

    def _write(self, key: Key, *, live: bool) -> None:
        assert not self.session.flying(key)
        self.session.sent(key, 1000, self.now, live=live)
        self.sent.append(key)
        self.on_the_way.append(key)
        assert self.session.in_flight <= WINDOW

    def answer(self, which: int, refuse: bool) -> None:
        if not self.on_the_way:
            return
        key = self.on_the_way.pop(which % len(self.on_the_way))
        if refuse:
            self.refused.add(key)
            one = pb.Refused(epoch=key[0], sequence=key[1], reason="no")
            self.session.ack(pb.Ack(refused=[one]), self.now)
        else:
            self.stored.add(key)
            self.session.ack(pb.Ack(stored=ranges([Span(*key, key[1])])), self.now)
        self.session.marked()

    def come_home(self, count: int) -> None:
        """Batches of an epoch before come out of a damaged buffer."""
        have = sum(epoch == 0 for epoch, _ in self.keys)
        self.keys[have:have] = [(0, have + n) for n in range(1, count + 1)]


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(1, 5), st.just(False)),
        st.tuples(st.just("send"), st.integers(1, 10), st.just(False)),
        st.tuples(st.just("answer"), st.integers(0, 50), st.booleans()),
        st.tuples(st.just("home"), st.integers(1, 5), st.just(False)),
        st.tuples(st.just("wait"), st.integers(1, 100), st.just(False)),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(backlog=st.integers(0, 40), metered=st.booleans(), events=EVENTS)
def test_each_batch_is_sent_once_and_all_are_in_the_end(
    backlog: int, metered: bool, events: list[tuple[str, int, bool]]
) -> None:
    world = World(backlog, metered)
    for what, number, flag in events:
        if what == "arrive":
            newest = max((n for epoch, n in world.keys if epoch == 1), default=0)
            world.keys += [(1, newest + n) for n in range(1, number + 1)]
        elif what == "home":
            world.come_home(number)
        elif what == "send":
            for _ in range(number):
                world.send()
        elif what == "answer":
            world.answer(number, flag)
        else:
            world.now += number * NS
    for _ in range(400):
        world.now += 3600 * NS
        while world.send():
            pass
        if not world.on_the_way:
            break
        world.answer(0, refuse=False)
    assert sorted(world.sent) == sorted(world.keys)
    assert world.stored | world.refused == set(world.keys)


@given(keys=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=60))
def test_spans_say_exactly_the_keys(keys: list[Key]) -> None:
    spans = join(keys)
    assert {(one.epoch, n) for one in spans for n in range(one.first, one.last + 1)} == set(keys)
    assert all(a.epoch < b.epoch or a.last + 1 < b.first for a, b in pairwise(spans))
