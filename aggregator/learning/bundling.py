"""From matrices and a trained network to a signed bundle; the golden pairs are made by the runtime itself.

BadTwin         numbers that make no twin, or golden pairs that differ between batch sizes
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from aggregator.learning.flatbuffer import Dense, write
from aggregator.learning.steady import steady
from protos.bundle import PrivateKey, pack
from protos.model import CLAMP_SD, GOLDEN_MAX, Golden, Int8s, Manifest, Network, Numbers

Floats = npt.NDArray[np.float64]

GOLDEN_LEAST = 64  # pairs: they reach every unit of a small network at both of its ends
GOLDEN_BYTES = 64 << 10  # as many more as fit: of 12 flipped bits that matter 64 pairs miss 3, 256 none
GOLDEN_SEED = 20_111  # any; fixed, so that the same model is the same file


class BadTwin(ValueError):
    """Numbers or a network that make no twin; the message says which and why."""


def _none() -> Floats:
    return np.zeros(0)


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """x⁺ = f0 + A (x − x0) + B (u − u0) + w, y = y0 + H (x − x0) + v; w ~ N(0, Q), v ~ N(0, R). Internal units."""

    A: Floats
    B: Floats
    H: Floats
    Q: Floats
    R: Floats
    x0: Floats
    u0: Floats
    f0: Floats
    y0: Floats
    x_low: Floats  # what the states can physically be
    x_high: Floats
    u_sd: Floats  # how far an input may be from its last known value


@dataclass(frozen=True, eq=False, slots=True)
class Residual:
    """What the linear step misses, as a network from z = (features − mean) / sd to (residual − mean) / sd.

    `z` (N, f) are the features and `r` (N, t) the residuals of the training data, in internal units; `Q` is the
    covariance of what a step still misses with the network.
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    layers: Sequence[Dense] = field(default=())
    z_mean: Floats = field(default_factory=_none)
    z_sd: Floats = field(default_factory=_none)
    z_low: Floats = field(default_factory=_none)
    z_high: Floats = field(default_factory=_none)
    r_mean: Floats = field(default_factory=_none)
    r_sd: Floats = field(default_factory=_none)
    Q: Floats = field(default_factory=_none)

    def file(self) -> bytes:
        """The TFLite file: both ends are in standard deviations, from −3 to 3."""
        last = self.layers[-1]
        ends = (*self.layers[:-1], replace(last, low=-CLAMP_SD, high=CLAMP_SD))
        return write(ends, -CLAMP_SD, CLAMP_SD)


def numbers_of(linear: Linear, residual: Residual | None = None) -> Numbers:
    """All numbers of a twin, gains and covariances at steady state included. Raises NoSteadyState, BadTwin."""
    n, p = len(linear.x0), len(linear.y0)
    settled = steady(linear.A, linear.H, linear.Q, linear.R)
    beside = steady(linear.A, linear.H, residual.Q, linear.R) if residual else None
    one = residual or Residual((), ())
    numbers = Numbers(
        x0=linear.x0,
        u0=linear.u0,
        f0=linear.f0,
        y0=linear.y0,
        A=linear.A,
        B=linear.B,
        H=linear.H,
        Q=linear.Q,
        R=linear.R,
        K=settled.K,
        P=settled.P,
        x_low=linear.x_low,
        x_high=linear.x_high,
        u_sd=linear.u_sd,
        Q_net=one.Q if residual else np.zeros((n, n)),
        K_net=beside.K if beside else np.zeros((n, p)),
        P_net=beside.P if beside else np.zeros((n, n)),
        z_mean=one.z_mean,
        z_sd=one.z_sd,
        z_low=one.z_low,
        z_high=one.z_high,
        r_mean=one.r_mean,
        r_sd=one.r_sd,
    )
    if faults := numbers.faults():
        raise BadTwin("; ".join(faults))
    return numbers


def make(
    manifest: Manifest,
    linear: Linear,
    residual: Residual | None = None,
    *,
    card: str,
    keys: Sequence[PrivateKey],
) -> bytes:
    """The signed bundle. `manifest.network` and `manifest.golden` are filled in here.

    Raises BadTwin, NoSteadyState, BadNetwork, and ValueError for what no gateway would take.
    """
    numbers = numbers_of(linear, residual)
    parts = {"card.md": card.encode()}
    count = golden_pairs(numbers)
    network, z, r = None, np.zeros((count, 0), np.int8), np.zeros((count, 0), np.int8)
    if residual is not None:
        widths = (len(residual.features), *(len(layer.bias) for layer in residual.layers))
        network = Network(residual.features, residual.targets, widths)
        parts["residual.tflite"] = residual.file()
        z = questions(widths[0], count)
        r = answers(parts["residual.tflite"], z)
    x, u = points(numbers, count)
    steps = numbers.f0 + (x - numbers.x0) @ numbers.A.T + (u - numbers.u0) @ numbers.B.T
    parts["numbers"] = numbers.encode()
    parts["golden"] = Golden(x, u, steps, z, r).encode()
    return pack(replace(manifest, network=network, golden=count), parts, *keys)


def golden_pairs(numbers: Numbers) -> int:
    """How many there are of a model: the smaller it is, the more."""
    row_bytes = 8 * (2 * len(numbers.x0) + len(numbers.u0))
    return min(max(GOLDEN_BYTES // row_bytes, GOLDEN_LEAST), GOLDEN_MAX)


def questions(width: int, count: int) -> Int8s:
    """Inputs for golden pairs (count, width): all of the range, and both ends of it."""
    z = np.random.default_rng(GOLDEN_SEED).integers(-128, 128, (count, width)).astype(np.int8)
    z[0], z[1], z[2] = -128, 127, 0
    return z


def points(numbers: Numbers, count: int) -> tuple[Floats, Floats]:
    """States and inputs for golden steps, about the operating point."""
    random = np.random.default_rng(GOLDEN_SEED)
    spread = np.minimum(numbers.x_high - numbers.x_low, 10 * np.maximum(np.abs(numbers.x0), 1.0))
    x = numbers.x0 + spread * random.uniform(-0.5, 0.5, (count, len(numbers.x0)))
    return x, numbers.u0 + numbers.u_sd * random.standard_normal((count, len(numbers.u0)))


def answers(network: bytes, z: Int8s) -> Int8s:
    """What the runtime makes of `z`, row by row and all at once. Raises BadTwin when these differ."""
    together = run(network, z)
    alone = np.concatenate([run(network, z[k : k + 1]) for k in range(len(z))])
    if not np.array_equal(together, alone):
        raise BadTwin("the runtime gives other outputs at another batch size: it must not be used for golden pairs")
    return together


def run(network: bytes, z: Int8s) -> Int8s:
    interpreter = Interpreter(model_content=network, num_threads=1)
    into, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(into, list(z.shape))
    interpreter.allocate_tensors()
    interpreter.set_tensor(into, z)
    interpreter.invoke()
    result: Int8s = interpreter.get_tensor(out)
    return result
