"""How an output goes where it should: behind a first-order lag or along a ramp, beginning where it stands."""

import math

from edge_agent.setpoint import Standing


def follows(standing: Standing, name: str) -> bool:
    """Whether somebody else decided the value that is applied, so that `name` would have to begin from it."""
    return standing.by != name and math.isfinite(standing.value)


class Lag:
    """y' = (target − y) / T. Without a time constant it jumps."""

    def __init__(self, time_ns: int) -> None:
        self._time_ns = time_ns
        self._y = math.nan
        self._ns = 0

    def towards(self, target: float, now_ns: int, standing: Standing, name: str) -> float:
        h = now_ns - self._ns if math.isfinite(self._y) else 0
        if follows(standing, name):
            self._y = standing.value
        self._ns = now_ns
        if math.isnan(self._y) or not self._time_ns:
            self._y = target
        else:
            self._y += (target - self._y) * -math.expm1(-h / self._time_ns)
        return self._y

    def jump(self, value: float, now_ns: int) -> float:
        self._y, self._ns = value, now_ns
        return value


class Ramp:
    """At most `per_s` in a second, up and down; 0 jumps."""

    def __init__(self, per_s: float) -> None:
        self._per_ns = per_s / 1e9
        self._y = math.nan
        self._ns = 0

    def towards(self, target: float, now_ns: int, standing: Standing, name: str) -> float:
        step = self._per_ns * (now_ns - self._ns) if math.isfinite(self._y) else 0.0
        if follows(standing, name):
            self._y = standing.value
        self._ns = now_ns
        if math.isnan(self._y) or not self._per_ns:
            self._y = target
        else:
            self._y += min(max(target - self._y, -step), step)
        return self._y
