"""What one twin's models did, summed up for the aggregator (protos/vitals.py): totals that begin anew with the models.

Rules without IO; fed once a second by the agent's main loop with what the control loop had counted anyway.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.rollout.state import Event, Phase, Run, State
from edge_agent.rollout.watch import Vitals
from protos.vitals import ModelVitals

PHASES = {Phase.REST: 0, Phase.SHADOW: 1, Phase.PROBATION: 2}
BACK = {"back", "rollback"}  # kinds of events by which a model goes
TRIED_KEPT = 4  # digests that did not pass their trial


@dataclass(slots=True)
class Totals:
    """Of what runs now."""

    violations: int = 0
    steps: int = 0
    late: int = 0
    judged: float = 0.0
    error: float = 0.0
    paired: float = 0.0
    own: float = 0.0
    beside: float = 0.0
    nis: float = 0.0
    kpi_seconds: float = 0.0
    kpi: dict[str, float] = field(default_factory=dict)


class Account:
    """Of one twin, for the life of the agent."""

    def __init__(self) -> None:
        self.commits = 0
        self.rollbacks = 0
        self._rejected: tuple[tuple[str, str], ...] = ()  # (digest, why), the newest first
        self._run = Run(None, None)
        self._now = Totals()

    def note(self, events: Sequence[Event]) -> None:
        self.commits += sum(one.kind == "commit" for one in events)
        self.rollbacks += sum(one.kind in BACK for one in events)

    def rejected(self, digest: str, why: str) -> None:
        """A bundle did not pass its trial."""
        others = tuple(one for one in self._rejected if one[0] != digest)
        self._rejected = ((digest, why), *others)[:TRIED_KEPT]

    def accepted(self, digest: str) -> None:
        self._rejected = tuple(one for one in self._rejected if one[0] != digest)

    def add(self, run: Run, newest: str, vitals: Mapping[str, Vitals], loops: Mapping[str, float]) -> None:
        """One second: how the models of `run` did by digest, and the control error of each loop (NaN: not known)."""
        if run != self._run:
            self._run, self._now = run, Totals()
        now, own = self._now, vitals.get(newest)
        if own is not None:
            now.violations += own.nan
            now.steps += own.steps
            now.late += own.late
            self._judge(own, next((one for digest, one in vitals.items() if digest != newest), None))
        if loops and all(math.isfinite(error) for error in loops.values()):
            now.kpi_seconds += 1
            for name, error in loops.items():
                now.kpi[name] = now.kpi.get(name, 0.0) + error

    def _judge(self, own: Vitals, other: Vitals | None) -> None:
        now = self._now
        if not math.isfinite(own.residual):
            return
        now.judged += 1
        now.error += own.residual
        now.nis += own.nis if math.isfinite(own.nis) else 0.0
        if other is not None and math.isfinite(other.residual):
            now.paired += 1
            now.own += own.residual
            now.beside += other.residual

    def told(self, state: State) -> ModelVitals:
        """For a Status. More than one start without a good end, while a model is on trial, counts against it."""
        now = self._now
        refused = (*self._rejected, *reversed(state.refused))
        restarts = max(0, len(state.starts) - 1) if state.candidate is not None else 0
        return ModelVitals(
            phase=PHASES[state.phase],
            commits_total=self.commits,
            rollbacks_total=self.rollbacks,
            violations_total=now.violations + restarts,
            steps_total=now.steps,
            late_total=now.late,
            judged_total=now.judged,
            error_total=now.error,
            paired_total=now.paired,
            own_total=now.own,
            beside_total=now.beside,
            nis_total=now.nis,
            kpi_seconds_total=now.kpi_seconds,
            kpi=dict(now.kpi),
            current=state.current.digest if state.current is not None else "",
            candidate=state.candidate.digest if state.candidate is not None else "",
            refused=tuple(dict.fromkeys(digest for digest, _ in refused)),
            why=refused[0][1] if refused else "",
        )
