"""From the `checks` of the points to the parameters of the checks, in internal units; every fault at once."""

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np

from edge_agent.cleaning.check import Check, Parameter
from edge_agent.cleaning.window import Floats, Ints
from edge_agent.profile import PointSpec
from protos.units import Linear, UnitError, coefficients
from protos.vocabulary import QUANTITIES


class CleaningError(ValueError):
    """Checks that cannot be set up; one line for each fault: point, key, value, remedy."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Limits:
    """Collects what every point wants of every check. `CleaningError` is raised by `done`, with all faults."""

    def __init__(self, points: Sequence[PointSpec], kinds: Mapping[str, type[Check]]) -> None:
        self._points, self._kinds = points, kinds
        self.faults: list[str] = []
        self._linear = [self._linear_of(point) for point in points]
        for point in points:
            for name in point.checks:
                if name not in kinds:
                    self._blame(point, name, "is no check", f"there are {', '.join(kinds)}")

    def _blame(self, point: PointSpec, key: str, what: str, remedy: str) -> None:
        fault = f"point {point.name!r}: checks.{key} {what}; {remedy}"
        if fault not in self.faults:  # a profile that many devices share is blamed once
            self.faults.append(fault)

    def _linear_of(self, point: PointSpec) -> Linear:
        try:
            return coefficients(point.unit, point.quantity)
        except UnitError as error:
            self.faults.append(f"point {point.name!r}: {error}")
            return Linear(1.0, 0.0)

    def of(self, name: str) -> tuple[Ints, dict[str, Floats]]:
        """Each point's place in check `name` (-1: not checked), and the check's parameters by place."""
        kind = self._kinds[name]
        place_of = np.full(len(self._points), -1, np.int64)
        rows: list[list[float]] = []
        for index, point in enumerate(self._points):
            given = point.checks.get(name)
            if given is None and not kind.ALWAYS:
                continue
            place_of[index] = len(rows)
            rows.append(self._row(name, kind, point, given or {}, self._linear[index]))
        columns = np.array(rows, np.float64).reshape(len(rows), len(kind.PARAMETERS)).T.copy()
        return place_of, dict(zip(kind.PARAMETERS, columns, strict=True))

    def _row(
        self, name: str, kind: type[Check], point: PointSpec, given: Mapping[str, float], linear: Linear
    ) -> list[float]:
        for key in given.keys() - kind.PARAMETERS.keys():
            has = f"it has {', '.join(kind.PARAMETERS)}" if kind.PARAMETERS else "it has none: leave it empty"
            self._blame(point, f"{name}.{key}", "is no parameter of this check", has)
        values = [self._value(name, key, one, point, given, linear) for key, one in kind.PARAMETERS.items()]
        if name == "range":
            quantity = QUANTITIES.get(point.quantity)
            low = quantity.low if "min" not in given and quantity else values[0]
            high = quantity.high if "max" not in given and quantity else values[1]
            if low > high:
                self._blame(point, name, f"leaves nothing between {low:g} and {high:g}", "min must be below max")
            return [low, high]
        return values

    def _value(
        self, name: str, key: str, one: Parameter, point: PointSpec, given: Mapping[str, float], linear: Linear
    ) -> float:
        if key not in given:
            if one.default is None:
                self._blame(point, name, f"does not say {key}", f"write checks.{name} = {{ {key} = … }}")
            return one.default if one.default is not None else 0.0
        value = float(given[key])
        if not isfinite(value) or value < one.least:
            self._blame(point, f"{name}.{key}", f"is {given[key]!r}", f"a finite number of at least {one.least:g}")
            return 0.0
        if one.kind == "value":
            return value * linear.scale + linear.offset
        return value * linear.scale if one.kind == "change" else value

    def done(self) -> None:
        if self.faults:
            raise CleaningError(self.faults)
