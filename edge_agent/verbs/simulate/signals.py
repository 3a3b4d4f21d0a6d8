"""What a simulated quantity does over time: smooth, in range, the same for the same seed, without any state.

Every value is a function of the time alone, so that two readers see the same and nothing has to be stepped. Days are
UTC days; counters only rise; states change every few minutes; everything else swings around a mean by day and hour.
"""

import hashlib
import math
from dataclasses import dataclass

from edge_agent.profile import PointSpec
from protos.units import coefficients

DAY_S = 86_400.0
COUNTER_DAYS = 4000.0  # then they begin anew: a counter of 32 bits has room for them, whatever its last digit
COUNTERS = {  # how much a day, in the quantity's internal unit
    "active_energy": 95_000.0,
    "reactive_energy": 10_000.0,
    "apparent_energy": 100_000.0,
    "heat_energy": 95_000.0,
    "count": 5000.0,
    "vehicle_count": 9000.0,
    "people_count": 3000.0,
    "water_volume": 280.0,
    "gas_volume": 60.0,
    "rain": 2.0,
}
DAYLIGHT = {"irradiance": 850.0, "illuminance": 70_000.0}  # at noon
SUNNY = {"active_power": 8200.0, "apparent_power": 8300.0, "current": 11.8}  # of a PV inverter at noon
# What is usually seen, in the quantity's internal unit: (mean, swing). Others swing around the middle of their range.
USUAL = {
    "voltage": (231.0, 4.0),
    "current": (9.0, 5.0),
    "active_power": (4200.0, 2600.0),
    "reactive_power": (450.0, 200.0),
    "apparent_power": (4600.0, 2600.0),
    "mains_frequency": (50.0, 0.04),
    "frequency": (48.0, 1.5),
    "power_factor": (0.93, 0.04),
    "harmonic_distortion": (2.1, 0.6),
    "state_of_charge": (55.0, 35.0),
    "temperature": (14.0, 9.0),
    "dew_point": (7.0, 5.0),
    "humidity": (64.0, 18.0),
    "air_pressure": (101_300.0, 900.0),
    "wind_speed": (4.0, 3.0),
    "wind_direction": (200.0, 110.0),
    "pm25": (14.0, 9.0),
    "pm10": (24.0, 14.0),
    "hcho": (30.0, 12.0),
    "co2": (520.0, 90.0),
    "noise": (58.0, 9.0),
    "battery_level": (86.0, 1.0),
    "pressure": (420_000.0, 50_000.0),
    "rotation": (1450.0, 120.0),
    "water_flow": (12.0, 7.0),
    "water_level": (2.4, 0.6),
    "flow_velocity": (1.1, 0.6),
    "distance": (1.4, 0.5),
}
# Never a fraction of one, whatever the unit: things counted, states by number, levels that batteries tell in whole %.
WHOLE = {"count", "vehicle_count", "people_count", "state", "signal_state", "lamp_state", "battery_level"}
STATES = {"state", "signal_state", "lamp_state"}
UNNAMED = 4  # of a state whose numbers the profile does not name: it is one of the first few
DUSK = 0.15  # of the noon's light: below it lamps come on


def fraction(*words: object) -> float:
    """A number in [0, 1) that belongs to these words for ever."""
    digest = hashlib.blake2b("\x1f".join(map(str, words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True, slots=True)
class Signal:
    """The value of one point in its `unit`, before scaling back to raw numbers."""

    point: PointSpec
    seed: str
    sunny: bool = False  # whether the sun drives its power: a PV inverter

    def __call__(self, time_s: float) -> float:
        point = self.point
        if point.enumeration:
            return float(self._state(time_s, sorted(point.enumeration)))
        one_bit = point.register is not None and (point.register.type == "bit" or point.register.mask)
        if one_bit or point.quantity == "presence":
            return float(self._state(time_s, [0, 0, 1]))
        if point.quantity in STATES:
            low, high = self._range()
            return float(self._state(time_s, list(range(int(low), int(min(high, low + UNNAMED - 1)) + 1))))
        value = self._number(time_s)
        return float(math.floor(value)) if point.quantity in WHOLE else value

    def _number(self, time_s: float) -> float:
        point = self.point
        if point.quantity in COUNTERS and "max" not in point.checks.get("range", {}):
            return self._counter(time_s)
        low, high = self._range()
        return min(max(self._swinging(time_s, low, high), low), high)

    def _swinging(self, time_s: float, low: float, high: float) -> float:
        quantity, light = self.point.quantity, daylight(time_s)
        if low == high:
            return low
        if noon := SUNNY.get(quantity) if self.sunny else DAYLIGHT.get(quantity):
            return self._in_unit(noon * light * (0.85 + 0.15 * self._wander(time_s)), 0.0)[0]
        if quantity == "lamp_level":
            return high * min(max((DUSK - light) / DUSK, 0.0), 1.0)
        mean, swing = self._usual(low, high)
        return mean + swing * (0.6 * math.sin(2 * math.pi * (time_s / DAY_S - 0.375)) + 0.4 * self._wander(time_s))

    def text(self) -> str:
        return f"{self.point.name}-{int(fraction(self.seed, self.point.name) * 1e6):06d}"

    def _range(self) -> tuple[float, float]:
        bounds = self.point.checks.get("range", {})
        low = bounds.get("min", 0.0)
        return low, bounds.get("max", max(100.0, 2 * low))

    def _usual(self, low: float, high: float) -> tuple[float, float]:
        """Mean and swing in the point's unit, within its range."""
        middle = (low + high) / 2, (high - low) / 8
        usual = USUAL.get(self.point.quantity)
        mean, swing = self._in_unit(*usual) if usual else middle
        return (mean, min(swing, (high - low) / 2)) if low <= mean <= high else middle

    def _in_unit(self, mean: float, swing: float) -> tuple[float, float]:
        """From the quantity's internal unit to the point's own."""
        scale, offset = coefficients(self.point.unit, self.point.quantity)
        return (mean - offset) / scale, swing / scale

    def _wander(self, time_s: float) -> float:
        """Smooth, between -1 and 1, with periods of minutes to an hour that do not repeat together."""
        phases = [2 * math.pi * fraction(self.seed, self.point.name, n) for n in range(3)]
        periods = (3607.0, 977.0, 263.0)
        weights = (0.5, 0.3, 0.2)
        return sum(w * math.sin(2 * math.pi * time_s / p + f) for w, p, f in zip(weights, periods, phases, strict=True))

    def _counter(self, time_s: float) -> float:
        """Rises all day, faster by day: the integral of 1 - cos/2, from a seeded start of up to fifty days' worth."""
        low, _ = self._range()
        a_day = self._in_unit(0.0, COUNTERS[self.point.quantity])[1]
        days = time_s / DAY_S % COUNTER_DAYS
        risen = days - math.sin(2 * math.pi * days) / (4 * math.pi)
        return low + a_day * (50 * fraction(self.seed, self.point.name) + risen)

    def _state(self, time_s: float, choices: list[int]) -> int:
        """One of `choices`, anew every few minutes."""
        lasts = 60 + 240 * fraction(self.seed, self.point.name)
        return choices[int(fraction(self.seed, self.point.name, int(time_s // lasts)) * len(choices))]


def daylight(time_s: float) -> float:
    """0 at night, 1 at noon UTC."""
    return max(0.0, math.sin(2 * math.pi * (time_s / DAY_S - 0.25)))
