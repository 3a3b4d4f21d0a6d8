"""What a gateway says about its models in each Status, and the aggregator reads: this one table.

Gauges and facts are called `model.<twin>.<name>`, figures of a loop that rests on the twin `model.<twin>.kpi.<loop>`.
What ends in `_total` only grows while the process lives and the twin runs the same models; a smaller number is a new
beginning. A mean over any time is the quotient of two differences, so a lost report loses nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

PREFIX = "model."
KPI = "kpi."
PHASES = ("rest", "shadow", "probation")

GAUGES: dict[str, str] = {
    "phase": "0 no model is on trial, 1 one steps in the shadow, 2 one is applied on probation",
    "commits_total": "models that passed their probation, since the agent started",
    "rollbacks_total": "models that were taken back, since the agent started",
    "violations_total": "steps without numbers, and restarts of the control loop, of what runs now",
    "steps_total": "steps of the model that is newest of what runs",
    "late_total": "of these, beyond the deadline: more than 1 % is a p99 beyond it",
    "judged_total": "seconds in which its residual was measured",
    "error_total": "the sum over these of its mean squared residual, in the scale of the model in service",
    "paired_total": "seconds in which both models were measured",
    "own_total": "the sum over these of the newest one's mean squared residual",
    "beside_total": "the same of the other",
    "nis_total": "the sum over the judged seconds of NIS per channel",
    "kpi_seconds_total": "seconds in which all loops that rest on the twin were measured",
}
FACTS: dict[str, str] = {
    "current": "digest of the model in service",
    "candidate": "digest of the one on trial",
    "refused": "digests that were taken back or did not pass their trial, the newest first, by commas",
    "why": "of the newest of these",
}
REFUSED_MAX = 4  # digests told
WHY_MAX = 120  # characters


@dataclass(frozen=True, slots=True)
class ModelVitals:
    """Of one twin of one gateway, as it told. `kpi` is the sum over `kpi_seconds_total` of each loop's control error:
    |reference − measured|, as a share of the reference where that is not 0."""

    phase: int = 0
    commits_total: float = 0.0
    rollbacks_total: float = 0.0
    violations_total: float = 0.0
    steps_total: float = 0.0
    late_total: float = 0.0
    judged_total: float = 0.0
    error_total: float = 0.0
    paired_total: float = 0.0
    own_total: float = 0.0
    beside_total: float = 0.0
    nis_total: float = 0.0
    kpi_seconds_total: float = 0.0
    kpi: Mapping[str, float] = field(default_factory=dict)
    current: str = ""
    candidate: str = ""
    refused: tuple[str, ...] = ()
    why: str = ""

    @property
    def newest(self) -> str:
        """The digest that the totals are of."""
        return self.candidate or self.current

    def gauges(self, twin: str) -> dict[str, float]:
        own = {f"{PREFIX}{twin}.{name}": float(getattr(self, name)) for name in GAUGES}
        return own | {f"{PREFIX}{twin}.{KPI}{loop}": value for loop, value in self.kpi.items()}

    def facts(self, twin: str) -> dict[str, str]:
        told = {
            "current": self.current,
            "candidate": self.candidate,
            "refused": ",".join(self.refused[:REFUSED_MAX]),
            "why": self.why[:WHY_MAX],
        }
        return {f"{PREFIX}{twin}.{name}": value for name, value in told.items()}


NUMBERS = tuple(one.name for one in fields(ModelVitals) if one.name in GAUGES and one.name != "phase")


def read(gauges: Mapping[str, float], facts: Mapping[str, str]) -> dict[str, ModelVitals]:
    """Of each twin that a Status tells of. What is missing is 0; what is unknown is passed over: versions differ."""
    return {twin: _one(twin, gauges, facts) for twin in sorted(_twins(facts))}


def _twins(facts: Iterable[str]) -> set[str]:
    end = ".current"
    return {one[len(PREFIX) : -len(end)] for one in facts if one.startswith(PREFIX) and one.endswith(end)}


def _one(twin: str, gauges: Mapping[str, float], facts: Mapping[str, str]) -> ModelVitals:
    head = f"{PREFIX}{twin}."
    loops = {name[len(head + KPI) :]: value for name, value in gauges.items() if name.startswith(head + KPI)}
    phase = gauges.get(f"{head}phase", 0.0)
    return ModelVitals(
        phase=int(phase) if phase in (0, 1, 2) else 0,
        **{name: gauges.get(head + name, 0.0) for name in NUMBERS},
        kpi=loops,
        current=facts.get(f"{head}current", ""),
        candidate=facts.get(f"{head}candidate", ""),
        refused=tuple(one for one in facts.get(f"{head}refused", "").split(",") if one),
        why=facts.get(f"{head}why", "")[:WHY_MAX],
    )
