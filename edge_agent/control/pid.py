"""PID in the ISA form, with what a real plant needs.

    u = K [ (b·w − y) + 1/Ti ∫(w − y) dt − Td dyf/dt ] + ff + u0        yf = y behind a first-order lag of Td/N

After K. J. Åström and T. Hägglund, Advanced PID Control (ISA, 2006): derivative of the filtered measurement, set-point
weight b, anti-windup by back-calculation with the tracking time Tt. Whoever else decides, the integral follows the
applied value, so that taking over makes no bump.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from edge_agent.cell import ControllerSpec
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class Pid:
    """Keeps `input` at the set-point by moving `output`. A negative gain where more output lowers the input."""

    KIND: ClassVar[str] = "pid"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = "no wish while the input, or a set-point that is a point, may not be used"
    BUMPLESS: ClassVar[bool] = True
    INPUTS: ClassVar[Mapping[str, Role]] = {
        "input": Role("what is to be kept at the set-point"),
        "setpoint": Role("the set-point, where it is a point", "of the input", optional=True),
        "feed_forward": Role("a disturbance that is added before it shows; 0 while it may not be used", optional=True),
    }
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output": Role("what is moved")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "setpoint": Setting("the set-point, where it is no point", "of the input"),
        "gain": Setting("K; its sign is the direction", "output per input", required=True),
        "integral_s": Setting("Ti; 0: no integral part", "s", 0.0, low=0, high=1e6),
        "derivative_s": Setting("Td; 0: no derivative part", "s", 0.0, low=0, high=1e6),
        "filter": Setting("N: the derivative is filtered with Td/N", "1", 10.0, low=1, high=100),
        "weight": Setting("b: share of the set-point in the proportional part", "1", 1.0, low=0, high=1),
        "tracking_s": Setting(
            "Tt of the anti-windup; 0: √(Ti·Td), or Ti without derivative", "s", 0.0, low=0, high=1e6
        ),
        "bias": Setting(
            "u0: the output where nothing is to be done; without an integral part it stays", "of the output", 0.0
        ),
        "feed_forward_gain": Setting("what one unit of feed_forward adds", "output per input", 1.0),
        "deadband": Setting("an error up to this is none", "of the input", 0.0, low=0),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "pressure"
kind = "pid"
inputs = { input = "network/pressure" }
outputs = { output = "pump-speed" }
settings = { setpoint = 450000, gain = 0.0002, integral_s = 8 }
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        if "setpoint" not in spec.inputs and not wired.has("setpoint"):
            wired.refuse("settings.setpoint", "is missing", "give a number, or a point as inputs.setpoint")
        wired.require(wired.number("gain") != 0, ("gain",), "moves nothing", "its sign is the direction")
        return cls(wired) if wired.sound else None

    def __init__(self, wired: Wired) -> None:
        self.name = wired.name
        self._slot = wired.slot("output")
        self._input = wired.sense("input")
        self._setpoint, self._fixed = wired.maybe("setpoint"), wired.number("setpoint")
        self._disturbance, self._ff = wired.maybe("feed_forward"), wired.number("feed_forward_gain")
        self._k, self._ti, self._td = wired.number("gain"), wired.number("integral_s"), wired.number("derivative_s")
        self._tf, self._b = self._td / wired.number("filter"), wired.number("weight")
        self._tt = wired.number("tracking_s") or math.sqrt(self._ti * self._td) or self._ti
        self._bias, self._deadband = wired.number("bias"), wired.number("deadband")
        self._integral = self._bias
        self._slope = 0.0  # of the filtered measurement
        self._y, self._y_ns = math.nan, -1  # the measurement before, for the slope
        self._wished, self._wished_ns = math.nan, -1  # before it was clamped

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        y, w = self._input.read(view), self._wanted(view)
        if y is None or w is None:
            self._y_ns = self._wished_ns = -1
            return ()
        self._differentiate(y)
        error = math.copysign(max(abs(w - y) - self._deadband, 0.0), w - y)
        proportional = self._k * (error + (self._b - 1.0) * w)
        rest = proportional - self._k * self._td * self._slope + self._feed_forward(view)
        self._integrate(error, rest, view.now_ns, standing[self._slot.index])
        self._wished, self._wished_ns = rest + self._integral, view.now_ns
        return [self._slot.exactly(self._wished, f"{y:.6g} for {w:.6g}")]

    def _wanted(self, view: View) -> float | None:
        found = self._setpoint.read(view) if self._setpoint is not None else None
        return found if found is not None or math.isnan(self._fixed) else self._fixed

    def _feed_forward(self, view: View) -> float:
        found = self._disturbance.read(view) if self._disturbance is not None else None
        return 0.0 if found is None else self._ff * found

    def _differentiate(self, y: float) -> None:
        """Only a new sample has a slope; between two the old one stands."""
        came_ns = self._input.received_ns
        if self._y_ns < 0:
            self._slope = 0.0
        elif came_ns > self._y_ns:
            h = (came_ns - self._y_ns) / 1e9
            self._slope = (self._tf * self._slope + (y - self._y)) / (self._tf + h)
        self._y, self._y_ns = y, came_ns

    def _integrate(self, error: float, rest: float, now_ns: int, standing: Standing) -> None:
        """Follow the applied value unless this controller has been deciding; else integrate and calculate back."""
        if not self._ti:
            return
        applied = standing.value
        if self._wished_ns < 0 or standing.by != self.name:
            if math.isfinite(applied):
                self._integral = applied - rest
            return
        h = (now_ns - self._wished_ns) / 1e9
        self._integral += self._k * error * h / self._ti
        if math.isfinite(applied):
            self._integral += (applied - self._wished) * -math.expm1(-h / self._tt)
