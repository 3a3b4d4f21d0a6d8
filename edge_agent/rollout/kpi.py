"""How well the loops that rest on a twin do: the control KPI by which a model is judged in the end.

The error of a loop is how far what is *measured* lies from what is wanted, as a share of it where that is not 0:
|w − y| / |w| for a reference, the distance to the nearer end for a range. A loop that reads an estimate is judged by
the point that is measured in its place: a model that is wrong must not be judged by itself. The mean of it over time
is the integrated absolute error (IAE) per second. Looked at once a second, outside the control thread.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edge_agent.cell import ControllerSpec, TwinSpec
from edge_agent.image import View

LOOPS_MAX = 8  # of one twin: each is a gauge in every status
STALE_NS = 10_000_000_000  # a reading that is older says nothing about how the loop does now


@dataclass(frozen=True, slots=True)
class Loop:
    """What one loop is to keep, in internal units. `wanted`: a point that says it, instead of `low` and `high`."""

    name: str
    twin: str
    point: str
    low: float
    high: float
    wanted: str = ""

    def error(self, view: View, names: Sequence[str]) -> float:
        """NaN while what is measured, or wanted, is not known."""
        y = _value(self.point, view, names)
        low, high = self.low, self.high
        if self.wanted:
            low = high = _value(self.wanted, view, names)
        middle = abs(low + high) / 2
        return max(low - y, y - high, 0.0) / (middle or 1.0) if math.isfinite(y + low + high) else math.nan


def loops(controllers: Iterable[ControllerSpec], twins: Sequence[TwinSpec]) -> list[Loop]:
    """The loops of a gateway's file that rest on a twin and say what they want; others have no KPI."""
    measured = {f"{twin.name}/{name}": point for twin in twins for name, point in twin.points.items()}
    found: dict[str, list[Loop]] = {}
    for spec in controllers:
        twin = _twin(spec, [one.name for one in twins])
        for one in _of(spec, twin, measured) if twin else ():
            found.setdefault(twin, []).append(one)
    return [one for each in found.values() for one in each[:LOOPS_MAX]]


def _twin(spec: ControllerSpec, names: Sequence[str]) -> str:
    named = spec.settings.get("twin")
    if isinstance(named, str) and named in names:
        return named
    return next((head for point in spec.inputs.values() if (head := point.partition("/")[0]) in names), "")


def _of(spec: ControllerSpec, twin: str, measured: dict[str, str]) -> Iterator[Loop]:
    def place(role: str) -> str:
        point = spec.inputs.get(role, "")
        return measured.get(point, point)

    match spec.kind:
        case "pid":
            low = _number(spec, "setpoint")
            yield Loop(spec.name, twin, place("input"), low, low, spec.inputs.get("setpoint", ""))
        case "hysteresis":
            low, high = sorted((_number(spec, "on_at"), _number(spec, "off_at")))
            yield Loop(spec.name, twin, place("input"), low, high)
        case "mpc":
            given = spec.settings.get("references", ())
            for text in given if isinstance(given, tuple) else ():
                state, _, value = str(text).partition("=")
                yield Loop(f"{spec.name}.{state.strip()}", twin, place(state.strip()), float(value), float(value))


def _number(spec: ControllerSpec, name: str) -> float:
    value = spec.settings.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _value(point: str, view: View, names: Sequence[str]) -> float:
    """The newest one that may be trusted, NaN where there is none."""
    if point not in names:
        return math.nan
    place = names.index(point)
    return float(view.values[place]) if view.trusted(place, STALE_NS) else math.nan
