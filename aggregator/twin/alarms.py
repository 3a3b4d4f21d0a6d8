"""Alarms after ISA-18.2 (IEC 62682): rules without IO. What is wrong, who knows, and when it may be quiet.

    NORMAL ──condition, on delay──→ UNACKNOWLEDGED ──acknowledge──→ ACKNOWLEDGED
      ↑                                  │ clears, off delay             │ clears, off delay
      └───────acknowledge────────── RETURNED                             └──→ NORMAL

SHELVED (by a person, until a time) and OUT_OF_SERVICE (until put back) hide any of them; the condition is followed
underneath, so that an alarm that is still there comes back when the shelf ends.

One alarm per (asset, condition). More than ten new ones in ten minutes are more than a person can act on: in a flood
only urgent ones are announced; the others are listed, counted, and announced afterwards if they are still there.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import NamedTuple

from aggregator.twin import TwinError

NS = 1_000_000_000
MINUTE_NS = 60 * NS
SHELF_MAX_NS = 24 * 3600 * NS  # no shelf outlives the shift that knows why it is there by much
FLOOD_NS = 10 * MINUTE_NS
FLOOD_BEGINS, FLOOD_ENDS = 10, 5  # announcements in FLOOD_NS: more than, and fewer than (EEMUA 191)


class BadAlarm(TwinError):
    """A rule that cannot work, or an order that makes no sense now; the message says which and why."""


class State(Enum):
    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"  # to normal, and nobody has acknowledged it
    SHELVED = "shelved"
    OUT_OF_SERVICE = "out of service"


class Priority(IntEnum):
    URGENT = 1
    HIGH = 2
    MEDIUM = 3
    LOW = 4


class Name(NamedTuple):
    asset: str
    condition: str


@dataclass(frozen=True, slots=True)
class Rule:
    """True above `limit` (below it when `falling`); false again once `deadband` back over it."""

    name: Name
    limit: float
    action: str  # what the operator does about it: without one it is no alarm
    priority: Priority = Priority.MEDIUM
    falling: bool = False
    deadband: float = 0.0
    on_delay_ns: int = 0
    off_delay_ns: int = 0

    def __post_init__(self) -> None:
        faults = []
        if not self.action.strip():
            faults.append("no action: say what the operator is to do, or make it an event")
        if math.isnan(self.limit) or not self.deadband >= 0:
            faults.append(f"limit {self.limit}, deadband {self.deadband}: a number, and not below 0")
        if self.on_delay_ns < 0 or self.off_delay_ns < 0:
            faults.append("a delay is negative")
        if faults:
            raise BadAlarm(f"alarm {'/'.join(self.name)}: " + "; ".join(faults))

    def holds(self, value: float, before: bool) -> bool:
        """Whether the condition is true, given whether it was. NaN says nothing: it stays as it was."""
        if math.isnan(value):
            return before
        over = self.limit - value if self.falling else value - self.limit
        return over > (-self.deadband if before else 0.0)


@dataclass(frozen=True, slots=True)
class Transition:
    """What happened to one alarm, for the record, the page and warnings. `announced`: people are to be told now."""

    at_ns: int
    name: Name
    before: State
    after: State
    why: str
    announced: bool = False


@dataclass(slots=True)
class Alarm:
    """One alarm as it is."""

    rule: Rule
    condition: bool = False
    since_ns: int = 0  # when the condition last changed
    active: bool = False  # the condition, after its delays
    acknowledged: bool = True
    shelved_until_ns: int | None = None
    in_service: bool = True
    held: bool = False  # not announced because of a flood
    value: float = float("nan")
    raised: int = 0  # times since the start

    @property
    def state(self) -> State:
        if not self.in_service:
            return State.OUT_OF_SERVICE
        if self.shelved_until_ns is not None:
            return State.SHELVED
        if self.active:
            return State.ACKNOWLEDGED if self.acknowledged else State.UNACKNOWLEDGED
        return State.NORMAL if self.acknowledged else State.RETURNED

    @property
    def due_ns(self) -> int | None:
        """When time alone changes it next."""
        times = [] if self.shelved_until_ns is None else [self.shelved_until_ns]
        if self.condition != self.active:
            times.append(self.since_ns + (self.rule.on_delay_ns if self.condition else self.rule.off_delay_ns))
        return min(times, default=None)


@dataclass(eq=False)
class Alarms:
    """All alarms of one operator's desk. Time never goes back: an older `now_ns` counts as the newest given."""

    rules: Iterable[Rule] = ()
    _alarms: dict[Name, Alarm] = field(default_factory=dict, init=False)
    _plan: list[tuple[int, Name]] = field(default_factory=list, init=False)  # heap; what is no longer due is passed by
    _announced_ns: deque[int] = field(default_factory=deque, init=False)
    _flood: bool = field(default=False, init=False)
    _now_ns: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule.name in self._alarms:
                raise BadAlarm(f"alarm {'/'.join(rule.name)}: there are two rules for it; one asset, one condition")
            self._alarms[rule.name] = Alarm(rule)

    def __getitem__(self, name: Name) -> Alarm:
        """Raises BadAlarm for a name without a rule."""
        if name not in self._alarms:
            raise BadAlarm(f"alarm {'/'.join(name)}: there is no rule for it")
        return self._alarms[name]

    def ensure(self, rule: Rule) -> None:
        """Watch by `rule` too, if there is none of its name yet."""
        self._alarms.setdefault(rule.name, Alarm(rule))

    def resume(self, alarm: Alarm) -> None:
        """Go on with an alarm from before a restart."""
        self._alarms[alarm.rule.name] = alarm
        self._await(alarm)

    @property
    def all(self) -> Mapping[Name, Alarm]:
        return MappingProxyType(self._alarms)

    @property
    def flood(self) -> bool:
        return self._flood

    @property
    def standing(self) -> list[Alarm]:
        """What an operator sees: neither normal nor hidden, most urgent first, then oldest."""
        hidden = {State.NORMAL, State.SHELVED, State.OUT_OF_SERVICE}
        seen = [alarm for alarm in self._alarms.values() if alarm.state not in hidden]
        return sorted(seen, key=lambda one: (one.rule.priority, one.since_ns, one.rule.name))

    @property
    def due_ns(self) -> int | None:
        """When `tick` has something to do if nothing else happens."""
        while self._plan and self._alarms[self._plan[0][1]].due_ns != self._plan[0][0]:
            heapq.heappop(self._plan)
        times = [self._plan[0][0]] if self._plan else []
        if self._flood and self._announced_ns:
            times.append(self._announced_ns[0] + FLOOD_NS)
        return min(times, default=None)

    def observe(self, name: Name, value: float, now_ns: int) -> list[Transition]:
        """A new value of what the alarm watches."""
        alarm = self[name]
        told = self.tick(now_ns)
        holds = alarm.rule.holds(value, alarm.condition)
        alarm.value = value
        if holds != alarm.condition:
            alarm.condition, alarm.since_ns = holds, self._now_ns
            self._await(alarm)
        return told + self._settle(alarm, "value", self._now_ns)

    def tick(self, now_ns: int) -> list[Transition]:
        """What delays, shelves and the end of a flood bring by `now_ns`, in the order of their times."""
        told: list[Transition] = []
        while (due := self.due_ns) is not None and due <= now_ns:
            self._now_ns = max(self._now_ns, due)
            if self._plan and self._plan[0][0] == due:
                told += self._come_due(self._alarms[heapq.heappop(self._plan)[1]])
            told += self._count()
        self._now_ns = max(self._now_ns, now_ns)
        return told + self._count()

    def acknowledge(self, name: Name, by: str, now_ns: int) -> list[Transition]:
        """Somebody knows. Raises BadAlarm when there is nothing to acknowledge."""
        alarm, told = self[name], self.tick(now_ns)
        if alarm.acknowledged:
            raise BadAlarm(f"alarm {'/'.join(name)} is {alarm.state.value}: there is nothing to acknowledge")
        before, alarm.acknowledged, alarm.held = alarm.state, True, False
        return told + self._told(alarm, before, f"acknowledged by {by}")

    def shelve(self, name: Name, by: str, why: str, until_ns: int, now_ns: int) -> list[Transition]:
        """Hide it until then. Raises BadAlarm without a reason, for a time that is over or too far away."""
        alarm, told = self[name], self.tick(now_ns)
        if not why.strip() or not self._now_ns < until_ns <= self._now_ns + SHELF_MAX_NS:
            limit = SHELF_MAX_NS // (3600 * NS)
            raise BadAlarm(f"alarm {'/'.join(name)}: a shelf needs a reason and an end within the next {limit} h")
        before, alarm.shelved_until_ns = alarm.state, until_ns
        self._await(alarm)
        return told + self._told(alarm, before, f"shelved by {by}: {why}")

    def unshelve(self, name: Name, by: str, now_ns: int) -> list[Transition]:
        """Raises BadAlarm when it is not shelved."""
        alarm, told = self[name], self.tick(now_ns)
        if alarm.shelved_until_ns is None:
            raise BadAlarm(f"alarm {'/'.join(name)} is not shelved")
        return told + self._unshelve(alarm, f"taken off the shelf by {by}")

    def serve(self, name: Name, in_service: bool, by: str, why: str, now_ns: int) -> list[Transition]:
        """Take it out of service, as for maintenance, or put it back; it stays so until told otherwise."""
        alarm, told = self[name], self.tick(now_ns)
        before, alarm.in_service = alarm.state, in_service
        verb = "put back into service" if in_service else "taken out of service"
        return told + self._told(alarm, before, f"{verb} by {by}: {why}", in_service and not alarm.acknowledged)

    def _await(self, alarm: Alarm) -> None:
        if (due := alarm.due_ns) is not None:
            heapq.heappush(self._plan, (due, alarm.rule.name))

    def _come_due(self, alarm: Alarm) -> list[Transition]:
        told = []
        if alarm.shelved_until_ns is not None and alarm.shelved_until_ns <= self._now_ns:
            told += self._unshelve(alarm, "the shelf has ended")
        told += self._settle(alarm, "delay", self._now_ns)
        self._await(alarm)
        return told

    def _unshelve(self, alarm: Alarm, why: str) -> list[Transition]:
        before, alarm.shelved_until_ns = alarm.state, None  # out of service hides a shelf too
        self._await(alarm)
        return self._told(alarm, before, why, not alarm.acknowledged)

    def _settle(self, alarm: Alarm, why: str, now_ns: int) -> list[Transition]:
        """Let the alarm follow its condition once the delay is over."""
        delay = alarm.rule.on_delay_ns if alarm.condition else alarm.rule.off_delay_ns
        if alarm.condition == alarm.active or now_ns < alarm.since_ns + delay:
            return []
        before, alarm.active = alarm.state, alarm.condition
        if alarm.active:
            alarm.acknowledged = False
            alarm.raised += 1
        else:
            alarm.held = False
        return self._told(alarm, before, f"{why}: {alarm.value:g}, limit {alarm.rule.limit:g}", alarm.active)

    def _told(self, alarm: Alarm, before: State, why: str, new: bool = False) -> list[Transition]:
        """One transition if the state has changed; `new` ones are announced unless hidden, or held in a flood."""
        after = alarm.state
        if before == after:
            return []
        return [Transition(self._now_ns, alarm.rule.name, before, after, why, new and self._announce(alarm))]

    def _announce(self, alarm: Alarm) -> bool:
        if alarm.state in {State.SHELVED, State.OUT_OF_SERVICE}:
            return False
        self._announced_ns.append(self._now_ns)
        self._flood = self._flood or len(self._announced_ns) > FLOOD_BEGINS
        alarm.held = self._flood and alarm.rule.priority > Priority.URGENT
        return not alarm.held

    def _count(self) -> list[Transition]:
        """Let old announcements go; at the end of a flood announce what was held and still stands."""
        while self._announced_ns and self._announced_ns[0] <= self._now_ns - FLOOD_NS:
            self._announced_ns.popleft()
        if not self._flood or len(self._announced_ns) >= FLOOD_ENDS:
            return []
        self._flood = False
        told = []
        for alarm in self.standing:
            if alarm.held:
                alarm.held = False
                told.append(Transition(self._now_ns, alarm.rule.name, alarm.state, alarm.state, "flood is over", True))
        return told
