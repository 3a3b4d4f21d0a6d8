"""Small bundles to test with: a tank that a pump empties while an unmeasured inflow fills it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aggregator.learning.bundling import Linear, Residual, make
from aggregator.learning.flatbuffer import Dense
from protos.bundle import PrivateKey
from protos.model import Manifest, Variable

Floats = npt.NDArray[np.float64]

AREA_M2, LIFT_M3H = 2.0, 0.36  # of the tank; what the pump takes out an hour for each per cent of its speed
NOMINAL_SPEED = 50.0
CARD = "# Tank\n\nA tank of 2 m² with a pump. Made for tests.\n"


def signing_key(seed: int = 1) -> PrivateKey:
    """The same key for the same seed: a bundle made of it is the same file every time."""
    return PrivateKey.from_private_bytes(bytes([seed]) * 32)


def write_trust(path: Path, key: PrivateKey) -> Path:
    """The public key as the PEM file that a gateway's `[control] trust` names."""
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def tank_manifest(version: str = "1", period_ms: int = 100) -> Manifest:
    return Manifest(
        name="tank",
        version=version,
        asset_class="level-tank",
        period_ns=period_ms * 1_000_000,
        states=(Variable.of("level", "water_level"), Variable.of("inflow", "water_flow")),
        channels=(Variable.of("level", "water_level"),),
        inputs=(Variable.of("speed", "pump_speed"),),
        made_at="2026-01-01T00:00:00Z",
    )


def tank_linear(period_ms: int = 100, area_m2: float = AREA_M2) -> Linear:
    """level⁺ = level + T / area · (inflow − lift · speed) / 3600; the inflow is a slow random walk."""
    gain = period_ms / 1000 / 3600 / area_m2
    inflow = LIFT_M3H * NOMINAL_SPEED
    return Linear(
        A=np.array([[1.0, gain], [0.0, 1.0]]),
        B=np.array([[-gain * LIFT_M3H], [0.0]]),
        H=np.array([[1.0, 0.0]]),
        Q=np.diag([1e-8, 1e-2]),
        R=np.array([[1e-6]]),
        x0=np.array([1.0, inflow]),
        u0=np.array([NOMINAL_SPEED]),
        f0=np.array([1.0, inflow]),
        y0=np.array([1.0]),
        x_low=np.array([0.0, -10.0]),
        x_high=np.array([4.0, 100.0]),
        u_sd=np.array([20.0]),
    )


def tank_residual(strength: float = 1.0, seed: int = 1) -> Residual:
    """A network that says next to nothing (`strength` 1: within 1e-5 m a step), for what must run and not be right."""
    random = np.random.default_rng(seed)
    first = Dense(random.normal(0, 0.5, (8, 3)), random.normal(0, 0.1, 8), 0.0, 6.0, relu=True)
    last = Dense(random.normal(0, 0.3, (1, 8)), random.normal(0, 0.1, 1), -3.0, 3.0)
    return Residual(
        features=("level", "inflow", "speed"),
        targets=("level",),
        layers=(first, last),
        z_mean=np.array([1.0, 18.0, 50.0]),
        z_sd=np.array([0.6, 10.0, 20.0]),
        z_low=np.array([0.0, -10.0, 0.0]),
        z_high=np.array([4.0, 60.0, 100.0]),
        r_mean=np.zeros(1),
        r_sd=np.array([3e-6 * strength]),
        Q=np.diag([1e-8, 1e-2]),
    )


def tank_bundle(
    path: Path,
    key: PrivateKey | None = None,
    *,
    version: str = "1",
    network: bool = False,
    period_ms: int = 100,
    area_m2: float = AREA_M2,
    strength: float = 1.0,
) -> Path:
    """Write a bundle of the tank; `area_m2` other than the tank's own makes a wrong model that is whole and signed."""
    residual = tank_residual(strength) if network else None
    manifest = tank_manifest(version, period_ms)
    linear = tank_linear(period_ms, area_m2)
    path.write_bytes(make(manifest, linear, residual, card=CARD, keys=[key or signing_key()]))
    return path


def other_tank(path: Path, key: PrivateKey | None = None) -> Path:
    """A bundle of another kind of thing: its input has another name, so that no tank can run it."""
    manifest = replace(tank_manifest(), inputs=(Variable.of("lift", "water_flow"),))
    path.write_bytes(make(manifest, tank_linear(), card=CARD, keys=[key or signing_key()]))
    return path
