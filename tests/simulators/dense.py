"""A bundle with a dense network of any widths on a random stable plant: to time, not to believe."""

from itertools import pairwise

import numpy as np

from aggregator.learning.bundling import Linear, Residual, make
from aggregator.learning.flatbuffer import Dense
from protos.model import Manifest, Variable
from tests.simulators.bundles import signing_key


def dense_layers(widths: tuple[int, ...], seed: int = 1) -> list[Dense]:
    """Random layers, their ranges as 4,096 inputs within ±3 take them."""
    random = np.random.default_rng(seed)
    values = np.clip(random.normal(0, 1, (4096, widths[0])), -3, 3)
    layers = []
    for number, (width, out) in enumerate(pairwise(widths)):
        weights, bias = random.normal(0, (2 / width) ** 0.5, (out, width)), random.normal(0, 0.1, out)
        relu = number < len(widths) - 2
        values = values @ weights.T + bias
        values = np.maximum(values, 0) if relu else values
        layers.append(Dense(weights, bias, float(values.min()), float(values.max()), relu=relu))
    return layers


def dense_bundle(widths: tuple[int, ...], seed: int = 1) -> bytes:
    """As many states as the network gives values, inputs for the rest that it takes; half the states are measured."""
    n, m = widths[-1], widths[0] - widths[-1]
    p = max(1, n // 2)
    random = np.random.default_rng(seed)
    dynamics = random.normal(0, 1, (n, n))
    dynamics *= 0.95 / np.abs(np.linalg.eigvals(dynamics)).max()
    states = tuple(Variable.of(f"x{k}", "ratio") for k in range(n))
    inputs = tuple(Variable.of(f"u{k}", "ratio") for k in range(m))
    manifest = Manifest("dense", "1", "any", 10_000_000, states, states[:p], inputs)
    linear = Linear(
        A=dynamics,
        B=random.normal(0, 0.1, (n, m)),
        H=np.eye(p, n),
        Q=1e-4 * np.eye(n),
        R=1e-2 * np.eye(p),
        x0=np.zeros(n),
        u0=np.zeros(m),
        f0=np.zeros(n),
        y0=np.zeros(p),
        x_low=np.full(n, -100.0),
        x_high=np.full(n, 100.0),
        u_sd=np.ones(m),
    )
    f = n + m
    residual = Residual(
        tuple(one.name for one in (*states, *inputs)),
        tuple(one.name for one in states),
        dense_layers(widths, seed),
        z_mean=np.zeros(f),
        z_sd=np.ones(f),
        z_low=np.full(f, -5.0),
        z_high=np.full(f, 5.0),
        r_mean=np.zeros(n),
        r_sd=np.full(n, 0.01),
        Q=1e-4 * np.eye(n),
    )
    return make(manifest, linear, residual, card="# Dense\n", keys=[signing_key()])
