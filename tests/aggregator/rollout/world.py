"""A fleet that exists only as numbers: gateways with slots, noise, weather and outages; models that are good or not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aggregator.rollout.course import Report
from aggregator.rollout.plan import Rollout
from protos.vitals import ModelVitals

OLD = "0" * 64


@dataclass(frozen=True)
class Kind:
    """What a model does: error and KPI as multiples of the old one's, and how it fails."""

    error: float = 1.0
    kpi: float = 1.0
    refused: float = 0.0  # probability that its trial fails at a gateway
    goes_back: float = 0.0  # that the gateway's own rules take it back on probation
    late: float = 0.0  # share of steps beyond the deadline
    breaches: float = 0.0  # probability of a step without numbers


@dataclass
class Gateway:
    cluster: str
    error: float  # of the old model
    kpi: float
    here: bool = True
    wish: tuple[str, str] = ("", "")  # digest, slot
    since_s: float = 0.0
    vitals: ModelVitals = field(default_factory=lambda: ModelVitals(current=OLD, kpi={"level": 0.0}))


@dataclass
class World:
    """Implements `Director`. `tick` passes a second; `kinds` by digest."""

    gateways: int
    kinds: Mapping[str, Kind]
    seed: int = 1
    clusters: int = 4
    shadow_s: float = 20.0
    probation_s: float = 20.0
    fetch_s: float = 3.0
    away: float = 0.0  # share that comes and goes
    noise: float = 0.3

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.fleet = {f"gw-{k:03}": self._gateway(k) for k in range(self.gateways)}
        self.now_s = 0.0
        self.applied_ever: set[str] = set()  # gateways that acted on something else than the old model
        self.told = 0

    def _gateway(self, k: int) -> Gateway:
        return Gateway(f"c{k % self.clusters}", self.random.uniform(0.5, 2.0), self.random.uniform(0.01, 0.05))

    # ---- Director

    def desire(self, gateway: str, one: Rollout, slot: str) -> None:
        self.told += 1
        self.fleet[gateway].wish = (one.digest, slot)

    def withdraw(self, gateway: str, one: Rollout) -> None:
        self.told += 1
        if gateway in self.fleet:
            self.fleet[gateway].wish = ("", one.digest)

    # ---- what gateways do

    def tick(self) -> None:
        self.now_s += 1
        tide = 1 + 0.4 * math.sin(self.now_s / 60)
        for one in self.fleet.values():
            if self.away and self.random.random() < 0.01:
                one.here = self.random.random() > self.away
            self._live(one, tide)

    def reports(self, _: str = "") -> dict[str, Report]:
        return {name: Report(one.here, one.cluster, one.vitals) for name, one in self.fleet.items()}

    def running(self, digest: str) -> set[str]:
        return {name for name, one in self.fleet.items() if digest in (one.vitals.current, one.vitals.candidate)}

    def _live(self, one: Gateway, tide: float) -> None:
        digest, slot = one.wish
        v = one.vitals
        if one.here and slot and not digest and slot in (v.candidate, v.current):
            self._set(one, candidate="", phase=0, current=OLD, refused=(slot, *v.refused), why="withdrawn")
        elif one.here and digest and digest not in (v.candidate, v.current, *v.refused):
            self._install(one, digest)
        elif v.candidate:
            self._trial(one, slot)
        self._measure(one, tide)

    def _install(self, one: Gateway, digest: str) -> None:
        one.since_s += 1
        if one.since_s < self.fetch_s:
            return
        if self.random.random() < self.kinds[digest].refused:
            self._set(one, refused=(digest, *one.vitals.refused), why="golden pairs differ")
        else:
            self._set(one, candidate=digest, phase=1)

    def _trial(self, one: Gateway, slot: str) -> None:
        one.since_s += 1
        v, kind = one.vitals, self.kinds[one.vitals.candidate]
        if v.phase == 1 and one.since_s > self.shadow_s and slot == "service":
            self._set(one, phase=2)
            self.applied_ever.add(next(name for name, each in self.fleet.items() if each is one))
        elif v.phase == 2 and one.since_s > self.probation_s:
            if self.random.random() < kind.goes_back:
                self._set(one, candidate="", phase=0, refused=(v.candidate, *v.refused), why="residuals drifted")
            else:
                self._set(one, candidate="", phase=0, current=v.candidate)

    def _set(self, one: Gateway, **changes: object) -> None:
        v = one.vitals
        kept = {"phase": v.phase, "current": v.current, "candidate": v.candidate, "refused": v.refused, "why": v.why}
        one.vitals = ModelVitals(**{**kept, **changes, "kpi": {"level": 0.0}})  # type: ignore[arg-type]
        one.since_s = 0.0

    def _measure(self, one: Gateway, tide: float) -> None:
        """One second: what a gateway adds to its totals."""
        v = one.vitals
        newest = self.kinds.get(v.newest, Kind())
        applied = self.kinds.get(v.candidate if v.phase == 2 else v.current, Kind())
        common = tide * math.exp(self.noise * self.random.standard_normal())
        own = one.error * newest.error * common
        beside = one.error * common * math.exp(0.1 * self.noise * self.random.standard_normal())
        paired = 1.0 if v.candidate else 0.0
        kpi = one.kpi * applied.kpi * tide * math.exp(self.noise * self.random.standard_normal())
        one.vitals = ModelVitals(
            phase=v.phase,
            violations_total=v.violations_total + (self.random.random() < newest.breaches),
            steps_total=v.steps_total + 10,
            late_total=v.late_total + 10 * newest.late,
            judged_total=v.judged_total + 1,
            error_total=v.error_total + own,
            paired_total=v.paired_total + paired,
            own_total=v.own_total + paired * own,
            beside_total=v.beside_total + paired * beside,
            kpi_seconds_total=v.kpi_seconds_total + 1,
            kpi={"level": v.kpi["level"] + kpi},
            current=v.current,
            candidate=v.candidate,
            refused=v.refused,
            why=v.why,
        )
