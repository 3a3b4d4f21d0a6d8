"""How far a model goes astray when nothing corrects it: one step ahead, and free runs, as a gateway computes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from aggregator.learning.bundling import Linear, Residual
from aggregator.learning.identify import filtered
from aggregator.learning.stretch import Stretch
from protos.model import CLAMP_SD

Floats = npt.NDArray[np.float64]

RUNS_MAX = 400  # free runs that are looked at: more say the same


class Correction(Protocol):
    """What a network adds to the linear step, from x (B, n) and u (B, m): (B, n) in internal units."""

    def __call__(self, x: Floats, u: Floats) -> Floats: ...


@dataclass(frozen=True, eq=False, slots=True)
class Runs:
    """B free runs of T steps: from x (B, n) on with u (B, T, m), against y (B, T + 1, p)."""

    x: Floats
    u: Floats
    y: Floats

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False, slots=True)
class Errors:
    """Root mean squares by channel (p,), internal units; `by_step` (T, p)."""

    one_step: Floats
    free: Floats
    by_step: Floats

    def total(self, sd: Floats) -> float:
        """All channels of the free run as one number, each by its standard deviation in training."""
        return float(np.sqrt(np.mean((self.free / sd) ** 2)))


def runs_of(linear: Linear, stretches: Sequence[Stretch], steps: int, warm: int) -> Runs:
    """Windows after `warm` steps of filtering, overlapping by half. Raises ValueError where nothing is long enough."""
    x, u, y = [], [], []
    for one in stretches:
        if len(one) <= warm + steps:
            continue
        states = filtered(linear, one)[0]
        for k in range(warm, len(one) - steps, max(steps // 2, 1)):
            x.append(states[k])
            u.append(one.u[k : k + steps])
            y.append(one.y[k : k + steps + 1])
    if not x:
        raise ValueError(f"no stretch of {warm + steps + 1} steps without a gap: a shorter horizon, or a longer time")
    chosen = np.linspace(0, len(x) - 1, min(len(x), RUNS_MAX)).astype(int)
    picked = [np.asarray([kind[k] for k in chosen]) for kind in (x, u, y)]
    return Runs(picked[0], picked[1], picked[2])


def run_free(linear: Linear, runs: Runs, correction: Correction | None = None) -> Floats:
    """ŷ (B, T, p) of steps 1 to T."""
    x, found = runs.x, []
    for k in range(runs.u.shape[1]):
        after = linear.f0 + (x - linear.x0) @ linear.A.T + (runs.u[:, k] - linear.u0) @ linear.B.T
        if correction is not None:
            after = after + correction(x, runs.u[:, k])
        x = np.clip(after, linear.x_low, linear.x_high)
        found.append(linear.y0 + (x - linear.x0) @ linear.H.T)
    return np.stack(found, axis=1)


def judged(found: Floats, runs: Runs) -> Errors:
    missed = found - runs.y[:, 1:]
    by_step = np.sqrt((missed**2).mean(axis=0))
    return Errors(by_step[0], np.sqrt((missed**2).mean(axis=(0, 1))), by_step)


def persistence(runs: Runs) -> Errors:
    """As if nothing ever changed."""
    return judged(np.repeat(runs.y[:, :1], runs.u.shape[1], axis=1), runs)


class FloatNetwork:
    """The network in floating point, clamped as a gateway clamps it."""

    def __init__(self, residual: Residual, states: Sequence[str], inputs: Sequence[str]) -> None:
        names = [*states, *inputs]
        self.residual = residual
        self._features = [names.index(one) for one in residual.features]
        self._targets = [list(states).index(one) for one in residual.targets]

    def __call__(self, x: Floats, u: Floats) -> Floats:
        one = self.residual
        z = (np.hstack((x, u))[:, self._features] - one.z_mean) / one.z_sd
        r = self.net(np.clip(z, -CLAMP_SD, CLAMP_SD))
        found = np.zeros_like(x)
        found[:, self._targets] = one.r_mean + one.r_sd * np.clip(r, -CLAMP_SD, CLAMP_SD)
        return found

    def net(self, z: Floats) -> Floats:
        for layer in self.residual.layers:
            z = z @ layer.weights.T + layer.bias
            z = np.maximum(z, 0.0) if layer.relu else z
        return z


class Int8Network(FloatNetwork):
    """The same as the file that is shipped, on the runtime that gateways have."""

    def __init__(
        self, residual: Residual, states: Sequence[str], inputs: Sequence[str], content: bytes | None = None
    ) -> None:
        """`content`: the file, where there is one already."""
        super().__init__(residual, states, inputs)
        self.content = residual.file() if content is None else content
        self._interpreter = Interpreter(model_content=self.content, num_threads=1)
        into, out = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._into, self._out = into["index"], out["index"]
        self._z, self._r = into["quantization"], out["quantization"]
        self._rows = 0

    def net(self, z: Floats) -> Floats:
        if len(z) != self._rows:
            self._rows = len(z)
            self._interpreter.resize_tensor_input(self._into, list(z.shape))
            self._interpreter.allocate_tensors()
        scale, zero = self._z
        q = np.clip(np.rint(z / scale) + zero, -128, 127).astype(np.int8)
        self._interpreter.set_tensor(self._into, q)
        self._interpreter.invoke()
        scale, zero = self._r
        found: Floats = scale * (self._interpreter.get_tensor(self._out).astype(np.float64) - zero)
        return found
