"""What a simulated quantity does over time: smooth, in range, the same for the same seed, without any state.

Every value is a function of the time alone, so that two readers see the same and nothing has to be stepped. Days are
UTC days; counters only rise; states change every few minutes; everything else swings around a mean by day and hour.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.profile import PointSpec

DAY_S = 86_400.0
COUNTER_MAX = 4e8  # of counters of 32 bits, whatever their last digit is
COUNTERS = (
    "active_energy",
    "reactive_energy",
    "apparent_energy",
    "heat_energy",
    "count",
    "vehicle_count",
    "people_count",
    "water_volume",
    "gas_volume",
    "rain",
)
DAYLIGHT = ("irradiance", "illuminance")
# Where the range in a profile is the range of the sensor, this is what it usually sees: (mean, swing).
USUAL = {
    "voltage": (231.0, 4.0),
    "mains_frequency": (50.0, 0.04),
    "frequency": (48.0, 1.5),
    "power_factor": (0.93, 0.04),
    "temperature": (14.0, 9.0),
    "dew_point": (7.0, 5.0),
    "humidity": (64.0, 18.0),
    "air_pressure": (1013.0, 9.0),
    "wind_speed": (4.0, 3.0),
    "wind_direction": (200.0, 110.0),
    "pm25": (14.0, 9.0),
    "pm10": (24.0, 14.0),
    "co2": (520.0, 90.0),
    "noise": (58.0, 9.0),
    "battery_level": (86.0, 1.0),
    "state_of_charge": (55.0, 35.0),
    "water_flow": (12.0, 7.0),
    "flow_velocity": (1.1, 0.6),
}
FACTORS = {"hPa": 1.0, "Pa": 100.0, "kPa": 0.1, "mbar": 1.0}  # the mean pressure above is in hPa


def fraction(*words: object) -> float:
    """A number in [0, 1) that belongs to these words for ever."""
    digest = hashlib.blake2b("\x1f".join(map(str, words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True, slots=True)
class Signal:
    """The value of one point in its `unit`, before scaling back to raw numbers."""

    point: PointSpec
    seed: str

    def __call__(self, time_s: float) -> float:
        point = self.point
        if point.enumeration:
            return float(self._state(time_s, sorted(point.enumeration)))
        if point.register is not None and (point.register.type == "bit" or point.register.mask):
            return float(self._state(time_s, [0, 0, 1]))
        if point.quantity in COUNTERS and "max" not in point.checks.get("range", {}):
            return self._counter(time_s)
        low, high = self._range()
        if low == high:
            return low
        if point.quantity in DAYLIGHT:
            return low + (high - low) * 0.6 * daylight(time_s) * (0.85 + 0.15 * self._wander(time_s))
        mean, swing = self._usual(low, high)
        value = mean + swing * (0.6 * math.sin(2 * math.pi * (time_s / DAY_S - 0.375)) + 0.4 * self._wander(time_s))
        return min(max(value, low), high)

    def text(self) -> str:
        return f"{self.point.name}-{int(fraction(self.seed, self.point.name) * 1e6):06d}"

    def _range(self) -> tuple[float, float]:
        bounds = self.point.checks.get("range", {})
        low = bounds.get("min", 0.0)
        return low, bounds.get("max", max(100.0, 2 * low))

    def _usual(self, low: float, high: float) -> tuple[float, float]:
        mean, swing = USUAL.get(self.point.quantity, ((low + high) / 2, (high - low) / 8))
        if self.point.quantity == "air_pressure":
            factor = FACTORS.get(self.point.unit, 1.0)
            mean, swing = mean * factor, swing * factor
        if self.point.quantity == "power_factor" and high > 1.5:  # in percent
            mean, swing = mean * 100, swing * 100
        if not low <= mean <= high:
            mean, swing = (low + high) / 2, (high - low) / 8
        return mean, min(swing, (high - low) / 2)

    def _wander(self, time_s: float) -> float:
        """Smooth, between -1 and 1, with periods of minutes to an hour that do not repeat together."""
        phases = [2 * math.pi * fraction(self.seed, self.point.name, n) for n in range(3)]
        periods = (3607.0, 977.0, 263.0)
        weights = (0.5, 0.3, 0.2)
        return sum(w * math.sin(2 * math.pi * time_s / p + f) for w, p, f in zip(weights, periods, phases, strict=True))

    def _counter(self, time_s: float) -> float:
        """Rises all day, faster by day: the integral of 1 - cos/2; about 20 units a day from a seeded start."""
        low, _ = self._range()
        days = time_s / DAY_S
        risen = 20 * (days - math.sin(2 * math.pi * days) / (4 * math.pi))
        start = 1000 * fraction(self.seed, self.point.name)
        return low + start + risen % COUNTER_MAX

    def _state(self, time_s: float, choices: list[int]) -> int:
        """One of `choices`, anew every few minutes."""
        lasts = 60 + 240 * fraction(self.seed, self.point.name)
        return choices[int(fraction(self.seed, self.point.name, int(time_s // lasts)) * len(choices))]


def daylight(time_s: float) -> float:
    """0 at night, 1 at noon UTC."""
    return max(0.0, math.sin(2 * math.pi * (time_s / DAY_S - 0.25)))


Value = Callable[[float], float]
