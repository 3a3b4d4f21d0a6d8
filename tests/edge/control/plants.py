"""Small honest plants, each from a textbook's balance, to close loops on."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_agent.image import Floats, Singles
from edge_agent.setpoint import Ahead


@dataclass
class FirstOrder:
    """T y' = k u − y, exactly over one step."""

    k: float
    t_s: float
    y: float = 0.0

    def step(self, u: float, dt_s: float) -> float:
        self.y += (self.k * u - self.y) * -math.expm1(-dt_s / self.t_s)
        return self.y


@dataclass
class Room:
    """CO2 of a well-mixed room: V c' = G · people + Q (c_out − c); G 20 l/h each (EN 16798-1, sedentary)."""

    volume_m3: float
    most_m3_h: float  # of the fan at 100 %
    c_ppm: float = 420.0
    outside_ppm: float = 420.0
    people: float = 0.0

    def step(self, fan_percent: float, dt_s: float) -> float:
        flow = self.most_m3_h * fan_percent / 100.0 / 3600.0
        source = self.people * 0.020 / 3600.0 * 1e6  # ppm·m³/s
        self.c_ppm += (source + flow * (self.outside_ppm - self.c_ppm)) / self.volume_m3 * dt_s
        return self.c_ppm


@dataclass
class Feeder:
    """Voltage at the end of a line: V ≈ V0 + (R P − X Q) / V0 with P fed in and Q taken (inductive)."""

    v0: float = 235.0
    r: float = 0.35
    x: float = 0.25

    def voltage(self, p_w: float, q_var: float) -> float:
        """Three phases: each carries a third."""
        return self.v0 + (self.r * p_w - self.x * q_var) / 3.0 / self.v0


class Foreseen(ABC):
    """A plant as the model that a controller looks ahead with."""

    @abstractmethod
    def predict(self, x: Floats, u: Floats) -> Floats:
        """x (B, n), u (B, k) → (B, n) one period on."""

    def ahead(self, rows: int, x: Floats, inputs: Floats, moved: Sequence[int]) -> Ahead:
        state, every = np.tile(x, (rows, 1)), np.tile(inputs, (rows, 1))

        def step(u: Singles, out: Singles) -> None:
            every[:, moved] = inputs[moved] + u
            state[:] = self.predict(state, every)
            np.subtract(state, x, out=out, casting="same_kind")

        return step


@dataclass
class Tanks(Foreseen):
    """Two tanks one above the other: A h1' = q − a √(2g h1), A h2' = a √(2g h1) − b √(2g h2); metres, litres/s."""

    area_m2: float = 2.0
    upper_m2: float = 0.0030
    lower_m2: float = 0.0030
    states: tuple[str, ...] = ("upper", "lower")
    inputs: tuple[str, ...] = ("pump",)
    period_ns: int = 5_000_000_000
    substeps: int = 5
    _g: float = field(default=9.81, repr=False)

    def predict(self, x: Floats, u: Floats) -> Floats:
        """x (B, 2), u (B, 1) → (B, 2) one period on."""
        h, dt = np.array(x), self.period_ns / 1e9 / self.substeps
        for _ in range(self.substeps):
            middle = self.upper_m2 * np.sqrt(2 * self._g * np.maximum(h[:, 0], 0.0))
            out = self.lower_m2 * np.sqrt(2 * self._g * np.maximum(h[:, 1], 0.0))
            h[:, 0] += (u[:, 0] / 1000.0 - middle) / self.area_m2 * dt
            h[:, 1] += (middle - out) / self.area_m2 * dt
        return h

    def resting(self, lower_m: float) -> tuple[float, float]:
        """The pump's flow in l/s and the upper level at which the lower one stays."""
        flow = self.lower_m2 * math.sqrt(2 * self._g * lower_m)
        return 1000.0 * flow, (flow / self.upper_m2) ** 2 / (2 * self._g)
