"""The twins as the control loop steps them: those whose estimates are applied, and those on trial beside them.

Both see the same views; what the ones beside find goes nowhere but into their tallies. Models are exchanged between
two ticks, without a bump: the new ones go on from the old ones' estimates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.image import Frame, View
from edge_agent.rollout.watch import Vitals
from protos.clock import NS, Clock

if TYPE_CHECKING:  # it loads LiteRT
    from edge_agent.twin.twins import Twins

VITALS_NS = NS  # models are judged by seconds
DEADLINE_SHARE = 0.5  # of the loop's period: a step that takes longer leaves too little for deciding


@dataclass(eq=False, slots=True)
class Side:
    """Twins and how many of their steps took too long since the last report."""

    twins: "Twins | None" = None
    late: int = 0

    def step(self, view: View, clock: Clock, deadline_ns: int) -> Sequence[Frame]:
        if self.twins is None:
            return ()
        begun = clock.monotonic_ns()
        frames = self.twins.step(view, view.now_ns)
        self.late += clock.monotonic_ns() - begun > deadline_ns
        return frames


@dataclass(eq=False)
class Pair:
    """`step` in the control thread; `exchange` in any other. `report` is replaced whole, once a second."""

    clock: Clock
    period_ns: int
    applied: Side = field(default_factory=Side)
    beside: Side = field(default_factory=Side)
    report: Mapping[str, Mapping[str, Vitals]] = field(default_factory=dict)  # twin → digest → since the last one
    _fresh: "tuple[Twins | None, Twins | None] | None" = None
    _reported_ns: int = 0

    def exchange(self, applied: "Twins | None", beside: "Twins | None") -> None:
        """Step these from the next tick on. They must be new objects; building them is not the loop's work."""
        old = self.applied.twins
        if applied is not None and old is not None:
            applied.prepare_like(old)
        self._fresh = applied, beside

    def step(self, view: View) -> Sequence[Frame]:
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            self._take(*fresh)
        deadline = int(DEADLINE_SHARE * self.period_ns)
        frames = self.applied.step(view, self.clock, deadline)
        self.beside.step(view, self.clock, deadline)
        if view.now_ns - self._reported_ns >= VITALS_NS:
            self._reported_ns = view.now_ns
            self.report = self._vitals()
        return frames

    def _take(self, applied: "Twins | None", beside: "Twins | None") -> None:
        old = self.applied.twins
        for new in (beside, applied):
            if new is not None and old is not None:
                new.take_over(old)
        if applied is not None and old is not None:
            applied.lead(old)
        self.applied, self.beside = Side(applied), Side(beside)

    def _vitals(self) -> Mapping[str, Mapping[str, Vitals]]:
        found: dict[str, dict[str, Vitals]] = {}
        for side in (self.applied, self.beside):
            if side.twins is not None:
                for name in side.twins.names:
                    found.setdefault(name, {})[side.twins.bundle(name).digest] = self._of(side.twins, name, side.late)
            side.late = 0
        return found

    def _of(self, twins: "Twins", name: str, late: int) -> Vitals:
        tally, applied = twins.tally(name), self.applied.twins
        judge = applied if applied is not None and name in applied.names else twins  # one measure for both
        return Vitals(tally.steps, tally.nan, tally.outside, late, tally.residual(judge.scales(name)), tally.nis)
