"""Looks after rollouts in the server: what course.py says is written down first, then told to the director.

Killed in between, what is written down but not confirmed is told again: wanting the same thing twice is wanting it
once. So at its start the engine has nothing to reconcile but its own table, and does that with every look.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from aggregator.rollout import course
from aggregator.rollout.course import Course, Note, Report
from aggregator.rollout.plan import Rollout, State, packed, unpacked
from aggregator.rollout.policy import Policy
from aggregator.stores import StoreError
from aggregator.stores.rollouts import Entry, RolloutRow, Rollouts
from protos.clock import NS, Clock

LOG = logging.getLogger(__name__)
LOOK_NS = NS  # how often: a rollback leaves within a second of its cause
REST_NS = 30 * NS  # how often what is done is looked after, for gateways that come later: it may stand for years
WHO = "aggregator"  # in the audit, for what nobody decides but time and gateways

Watch = Callable[[str], Mapping[str, Report]]  # twin → what every enrolled gateway reports about it


class Director(Protocol):
    """Makes known to a gateway what it is to have. The same wish twice is one. Raises StoreError: tried again."""

    def desire(self, gateway: str, one: Rollout, slot: str) -> None:
        """`slot`: "shadow", to step beside and no further, or "service"."""

    def withdraw(self, gateway: str, one: Rollout) -> None:
        """It is to have nothing of this rollout any more, and to go back to what it had."""


class Engine:
    """`tick` is called every LOOK_NS, by one process."""

    def __init__(self, rollouts: Rollouts, director: Director, watch: Watch, policy: Policy, clock: Clock) -> None:
        self._rollouts, self._director, self._watch, self._clock = rollouts, director, watch, clock
        self.course = Course(policy)
        self._rests_until: dict[str, int] = {}  # monotonic
        self._kept: dict[str, tuple[int, Rollout]] = {}  # as it goes on between two writes, by version

    async def tick(self) -> None:
        rows = self._rollouts.open()
        self._kept = {row.id: self._kept[row.id] for row in rows if row.id in self._kept}
        now_ns = self._clock.monotonic_ns()
        for row in rows:
            if row.state != State.DONE or now_ns >= self._rests_until.get(row.id, 0):
                self._rests_until[row.id] = now_ns + REST_NS
                self.look(row)

    def look(self, row: RolloutRow) -> None:
        """Do what is due about one: decide, write down, tell, write down what was confirmed."""
        now_ns = self._clock.wall_ns()
        version, one = self._kept.get(row.id, (-1, None))
        if one is None or version != row.version:
            version, one = row.version, unpacked(row.content)
        move = self.course.next(one, self._watch(one.twin), now_ns)
        after = move.rollout
        if move.notes or after.looked_ns != one.looked_ns or course.wishes(after).keys() - course.wishes(one).keys():
            if not self._write(after, version, move.notes, now_ns):
                self._kept.pop(row.id, None)  # somebody said something meanwhile: decide again on that
                return
            version += 1
            if after.state is not one.state:
                LOG.info("rollout %s: %s %s", one.id, after.state.value, after.reason)
        after, version = self._tell(after, version, now_ns)
        self._kept[row.id] = version, after

    def _tell(self, one: Rollout, version: int, now_ns: int) -> tuple[Rollout, int]:
        before = one
        for gateway, slot in course.wishes(one).items():
            try:
                if slot:
                    self._director.desire(gateway, one, slot)
                else:
                    self._director.withdraw(gateway, one)
            except StoreError as error:
                LOG.error("rollout %s: %s is not told yet: %s", one.id, gateway, error)
                continue
            one = course.confirmed(one, gateway)
        if one is not before:
            if not self._write(one, version, (), now_ns):
                return before, -1
            version += 1
        return one, version

    def _write(self, one: Rollout, version: int, notes: Sequence[Note], now_ns: int) -> bool:
        entries = [Entry(note.act, note.subject, note.detail) for note in notes]
        return self._rollouts.change(row_of(one, version, now_ns), WHO, entries)


def row_of(one: Rollout, version: int, now_ns: int) -> RolloutRow:
    return RolloutRow(one.id, one.twin, one.state.value, one.over, version, one.made_ns, now_ns, packed(one))


def begun(rollouts: Rollouts, one: Rollout) -> None:
    """Keep a new one; what was done for the same twin ends with it. Raises StoreError while another is under way."""
    done = [(row, unpacked(row.content)) for row in rollouts.open() if row.twin == one.twin and row.state == "done"]
    over = [row_of(superseded(old), row.version, one.made_ns) for row, old in done]
    detail = f"{one.title} {one.digest[:16]} for {one.twin}"
    rollouts.put(row_of(one, 1, one.made_ns), one.person, detail, over)


def superseded(one: Rollout) -> Rollout:
    return replace(one, state=State.SUPERSEDED, reason="a newer one began")
