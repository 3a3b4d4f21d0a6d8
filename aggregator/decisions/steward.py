"""Looks after open decisions in the server: what course.py says is kept and ordered, in one transaction each."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from aggregator.decisions.course import Course, Fate, Move, Seen
from aggregator.decisions.decision import Decision, State, packed, unpacked
from aggregator.decisions.policy import Policy
from aggregator.stores import StoreError
from aggregator.stores.decisions import DecisionRow, Decisions, Wish
from aggregator.twin.calibration import Verdict
from protos.clock import NS, Clock

LOG = logging.getLogger(__name__)
LOOK_NS = NS  # how often: a halt is ordered within a second of its cause
WHO = "aggregator"  # in the audit, for what nobody decides but time and gateways


class Steward:
    """`tick` is called every LOOK_NS. Several may look at one store: only one of them acts."""

    def __init__(
        self, decisions: Decisions, policy: Policy, verdict: Callable[[str, int], Verdict], clock: Clock
    ) -> None:
        """`verdict` says of a domain, at a time (UTC ns), whether decisions may rest on it."""
        self._decisions, self._verdict, self._clock = decisions, verdict, clock
        self.course = Course(policy)
        self._read: dict[str, tuple[int, Decision]] = {}  # open ones by version: a large one takes long to read

    async def tick(self) -> None:
        rows = self._decisions.open()
        self._read = {row.id: self._read[row.id] for row in rows if row.id in self._read}
        if not rows:
            return
        stops, enrolled = self._decisions.stops(), self._decisions.enrolled()
        for row in rows:
            self.look(row, stops, enrolled)

    def look(self, row: DecisionRow, stops: Mapping[str, tuple[int, str]], enrolled: int) -> None:
        """Do what is due about one."""
        one, now_ns = self._parsed(row), self._clock.wall_ns()
        fates = {act: Fate(told.fate, told.reason) for act, told in self._decisions.told(one.id).items()}
        verdict = self._verdict(one.basis.domain, now_ns)
        move = self.course.next(one, Seen(now_ns, verdict, fates, stops, enrolled))
        if move.decision is one and not move.give:
            return
        try:
            done = self._do(row, one, move, now_ns)
        except StoreError as error:
            why = f"cannot be ordered: {error}"
            withdraw = bool(fates)
            done = self._do(row, one, Move(one.now(State.REJECTED, why, now_ns), withdraw=withdraw), now_ns)
            move = Move(one.now(State.REJECTED, why, now_ns))
        if done and move.decision.state is not one.state:
            LOG.info("decision %s: %s %s", one.id, move.decision.state.value, move.decision.reason)

    def _parsed(self, row: DecisionRow) -> Decision:
        version, one = self._read.get(row.id, (-1, None))
        if one is None or version != row.version:
            one = unpacked(row.content)
            self._read[row.id] = row.version, one
        return one

    def _do(self, row: DecisionRow, before: Decision, move: Move, now_ns: int) -> bool:
        detail = move.decision.reason or f"{before.state.value} → {move.decision.state.value}"
        if move.give:
            basis = move.decision.basis
            detail = f"{len(move.give)} orders, stage {move.decision.stage + 1}, from state {basis.digest[:16]}"
            detail += f" by model {basis.model[:16]}"
        act = move.decision.state.value if move.decision.state is not before.state else "look after"
        wishes = wishes_of(move.decision, move.give, now_ns)
        after = row_of(replace(move.decision, changed_ns=now_ns), row.version)
        return self._decisions.change(after, WHO, act, detail, wishes, withdraw=move.withdraw)


def wishes_of(one: Decision, give: Sequence[int], now_ns: int) -> list[Wish]:
    """Each until the end of its act, and not longer."""
    acts = [(i, one.acts[i]) for i in give]
    return [Wish(i, act.gateway, act.point, act.value, act.end_ns - now_ns, one.basis.why[:200]) for i, act in acts]


def row_of(one: Decision, version: int = 0) -> DecisionRow:
    return DecisionRow(
        one.id, one.basis.domain, one.state.value, one.over, version, one.proposed_ns, one.changed_ns, packed(one)
    )
