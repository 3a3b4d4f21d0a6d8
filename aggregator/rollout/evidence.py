"""What the figures of all gateways say in one look: is the new model, and what rests on it, worse than the old?

Each gateway is compared with itself: with the other model on the same views where both step (shadow, probation), else
with how it did before. What moved at gateways without the new model in the same time, weather or traffic, is taken off
(difference in differences). Where nobody is left to compare with, in the last wave, before and after say nothing: a day
has its tides. Only a fleet so small that its first wave is all of it has no better.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from aggregator.rollout.plan import Marks, Rollout
from aggregator.rollout.sequential import difference
from protos.vitals import NUMBERS, ModelVitals

BEFORE_LEAST = 3  # looks at the old model that a comparison with it needs
KPI_FLOOR = 0.002  # of the reference: what is nearer than a fifth of a per cent is as good as nothing
STEPS_LEAST = 100  # of which a share of late ones means something


@dataclass(frozen=True, slots=True)
class Look:
    """Relative differences, 0 as good, more is worse; NaN where there was nothing to compare."""

    error: float
    kpi: float


def applied(vitals: ModelVitals) -> str:
    """The digest whose estimates the gateway acts on."""
    return vitals.candidate if vitals.phase == 2 else vitals.current


def totals(vitals: ModelVitals) -> dict[str, float]:
    kept = {name: getattr(vitals, name) for name in NUMBERS}
    return kept | {f"kpi.{loop}": value for loop, value in vitals.kpi.items()}


def since(vitals: ModelVitals, marks: Marks) -> dict[str, float]:
    """How much each total grew since the last look; nothing where it began anew."""
    now = totals(vitals)
    if vitals.newest != marks.digest or any(now[name] < marks.totals.get(name, 0.0) for name in now):
        return {}
    return {name: value - marks.totals.get(name, 0.0) for name, value in now.items() if name in marks.totals}


def look(one: Rollout, told: Mapping[str, ModelVitals], *, small: bool) -> tuple[Rollout, Look]:
    """Take note of what all gateways of the twin told; what the new model's ones say together.

    `small`: there are no others to compare with, so before and after count as they are.
    """
    grown = {name: since(vitals, one.marks.get(name, Marks())) for name, vitals in told.items()}
    tide = Look(
        _mean(_error(one.marks[name], grown[name]) for name in grown if _before(one, name, told[name]) and grown[name]),
        _mean(_kpi(one.marks[name], grown[name]) for name in grown if _before(one, name, told[name]) and grown[name]),
    )
    errors, kpis = [], []
    for name, grew in grown.items():
        if name not in one.members or not grew:
            continue
        marks = one.marks.get(name, Marks())
        if told[name].newest == one.digest:
            errors.append(
                _paired(grew) if grew["paired_total"] > 0 else _less(_error(marks, grew), tide.error, small=small)
            )
        if applied(told[name]) == one.digest:
            kpis.append(_less(_kpi(marks, grew), tide.kpi, small=small))
    noted = {name: _noted(one, one.marks.get(name, Marks()), told[name], grown[name]) for name in told}
    return replace(one, marks={**one.marks, **noted}), Look(_mean(errors), _mean(kpis))


def late(vitals: ModelVitals, share: float) -> bool:
    """Whether more than this share of the newest model's steps was beyond the deadline: of 1 %, the p99 is."""
    return vitals.steps_total >= STEPS_LEAST and vitals.late_total > share * vitals.steps_total


def _before(one: Rollout, name: str, vitals: ModelVitals) -> bool:
    return name in one.marks and one.digest not in (vitals.newest, applied(vitals))


def _noted(one: Rollout, marks: Marks, vitals: ModelVitals, grew: Mapping[str, float]) -> Marks:
    """The means of what was before go on only while what was before is applied."""
    fresh = replace(marks, digest=vitals.newest, totals=totals(vitals))
    mean = _old(one, vitals, grew) if grew else math.nan
    if math.isfinite(mean):
        fresh = replace(fresh, looks=marks.looks + 1, error=marks.error + (mean - marks.error) / (marks.looks + 1))
    if grew and applied(vitals) != one.digest and (now := _loops(grew)):
        count = marks.kpi_looks + 1
        kpi = {loop: marks.kpi.get(loop, x) + (x - marks.kpi.get(loop, x)) / count for loop, x in now.items()}
        fresh = replace(fresh, kpi_looks=count, kpi=kpi)
    return fresh


def _old(one: Rollout, vitals: ModelVitals, grew: Mapping[str, float]) -> float:
    """The error of what the gateway had before: alone, or in service with the new one in its shadow; NaN: not known."""
    if applied(vitals) == one.digest:
        return math.nan
    part, seconds = ("beside_total", "paired_total") if vitals.newest == one.digest else ("error_total", "judged_total")
    return grew[part] / grew[seconds] if grew[seconds] > 0 else math.nan


def _loops(grew: Mapping[str, float]) -> dict[str, float]:
    seconds = grew["kpi_seconds_total"]
    return {n.removeprefix("kpi."): x / seconds for n, x in grew.items() if n.startswith("kpi.")} if seconds > 0 else {}


def _paired(grew: Mapping[str, float]) -> float:
    seconds = grew["paired_total"]
    return difference(grew["own_total"] / seconds, grew["beside_total"] / seconds)


def _error(marks: Marks, grew: Mapping[str, float]) -> float:
    if marks.looks < BEFORE_LEAST or grew["judged_total"] <= 0:
        return math.nan
    return difference(grew["error_total"] / grew["judged_total"], marks.error)


def _kpi(marks: Marks, grew: Mapping[str, float]) -> float:
    if marks.kpi_looks < BEFORE_LEAST:
        return math.nan
    now = _loops(grew)
    return _mean(difference(value, marks.kpi[loop], KPI_FLOOR) for loop, value in now.items() if loop in marks.kpi)


def _less(found: float, tide: float, *, small: bool) -> float:
    return found if small and not math.isfinite(tide) else found - tide


def _mean(values: Iterable[float]) -> float:
    finite = [one for one in values if math.isfinite(one)]
    return math.fsum(finite) / len(finite) if finite else math.nan
