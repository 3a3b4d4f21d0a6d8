"""What a bundle holds, as both sides understand it: the manifest, the numbers of the twin, its golden pairs.

A twin is x(k+1) = f0 + A (x − x0) + B (u − u0) + r(x, u),  y = y0 + H (x − x0), once in `period_ns`, in the internal
units of protos/vocabulary.py. r is there in bundles with a network: an int8 network on normalised features of (x, u),
so r = r_mean + r_sd · net((z − z_mean) / z_sd), both sides of it clamped to ±`CLAMP_SD`.

    ModelError      a manifest, number or golden pair that cannot be used; the message says which and why
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from protos.vocabulary import QUANTITIES

Floats = npt.NDArray[np.float64]
Int8s = npt.NDArray[np.int8]

CLAMP_SD = 3.0  # a network is asked nothing and believed nothing beyond so many standard deviations of its training
VARIABLES_MAX = 128  # of each kind: a gateway's twin is small, and covariances grow with the square
GOLDEN_MAX = 1024
PERIOD_NS = (1_000_000, 86_400_000_000_000)  # 1 ms: faster than any loop; a day: slower than any twin
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # as of points: they become points
TEXT_MAX = 200
TAKEN = ("nis", "coasting", "network")  # a twin's own points, beside its states and their `_sd`


class ModelError(ValueError):
    """Not a model that a twin could run; the message says what is wrong."""


class Variable(NamedTuple):
    """A state, channel or input. Values are in `unit`, the internal one of the quantity."""

    name: str
    quantity: str
    unit: str

    @classmethod
    def of(cls, name: str, quantity: str) -> "Variable":
        """In the quantity's internal unit. Raises KeyError for an unknown quantity."""
        return cls(name, quantity, QUANTITIES[quantity].unit)


class Part(NamedTuple):
    name: str
    size: int
    sha256: str  # hex


@dataclass(frozen=True, slots=True)
class Network:
    """What the network reads and corrects: features are names of states and inputs, targets are names of states."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    layers: tuple[int, ...]  # widths, from features to targets, for people


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself; it is what is signed."""

    name: str
    version: str
    asset_class: str  # what kind of thing it is a twin of
    period_ns: int
    states: tuple[Variable, ...]
    channels: tuple[Variable, ...]  # measured outputs y
    inputs: tuple[Variable, ...]  # u: what was applied, and known disturbances
    network: Network | None = None
    golden: int = 0  # how many golden pairs there are
    made_at: str = ""  # UTC, ISO 8601
    parts: tuple[Part, ...] = ()  # filled in by `pack`

    @property
    def sizes(self) -> Mapping[str, int]:
        """The lengths that the letters in `SHAPES` stand for."""
        return {
            "n": len(self.states),
            "m": len(self.inputs),
            "p": len(self.channels),
            "f": len(self.network.features) if self.network else 0,
            "r": len(self.network.targets) if self.network else 0,
            "g": self.golden,
        }

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8; equal manifests are equal bytes."""
        return canonical(asdict(self))

    @classmethod
    def decode(cls, content: bytes) -> "Manifest":
        """Raises ModelError with every fault found in it."""
        try:
            table = json.loads(content)
            manifest = _manifest(table)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"the manifest cannot be read: {type(error).__name__}: {error}") from None
        if content != canonical(table):
            raise ModelError("the manifest is not canonical JSON")
        if faults := manifest.faults():
            raise ModelError("the manifest is wrong: " + "; ".join(faults))
        return manifest

    def faults(self) -> list[str]:
        """What no twin could be made of, in words."""
        found = [f"{key} {value!r} is no name" for key, value in self._names() if not NAME.fullmatch(value)]
        found += [f"{k} is longer than {TEXT_MAX}" for k in ("version", "made_at") if len(getattr(self, k)) > TEXT_MAX]
        if not PERIOD_NS[0] <= self.period_ns <= PERIOD_NS[1]:
            found.append(f"period_ns {self.period_ns} is not from {PERIOD_NS[0]} to {PERIOD_NS[1]}")
        if not 0 <= self.golden <= GOLDEN_MAX:
            found.append(f"golden {self.golden} is not from 0 to {GOLDEN_MAX}")
        for kind, variables in self._kinds().items():
            names = [one.name for one in variables]
            if len(set(names)) < len(names):
                found.append(f"{kind} has a name twice")
            if len(names) > VARIABLES_MAX or (not names and kind != "inputs"):
                found.append(f"{kind} are {len(names)}, not 1 to {VARIABLES_MAX}")
            found += [f"{kind} {one.name}: {wrong}" for one in variables if (wrong := unit_fault(one))]
        return found + self._name_faults() + self._network_faults()

    def _kinds(self) -> Mapping[str, tuple[Variable, ...]]:
        return {"states": self.states, "channels": self.channels, "inputs": self.inputs}

    def _names(self) -> list[tuple[str, str]]:
        own = [("name", self.name), ("version", self.version), ("asset_class", self.asset_class)]
        return own + [(kind, one.name) for kind, variables in self._kinds().items() for one in variables]

    def _name_faults(self) -> list[str]:
        """An input is no state and no channel; nothing is called like what the twin itself says."""
        outputs = {one.name for one in (*self.states, *self.channels)}
        both = sorted(outputs & {one.name for one in self.inputs})
        taken = sorted(name for name in outputs if name in TAKEN or name.removesuffix("_sd") in outputs - {name})
        found = [f"{name} is an input and a state or channel" for name in both]
        return found + [f"{name} is a name that the twin gives itself" for name in taken]

    def _network_faults(self) -> list[str]:
        if self.network is None:
            return []
        states = {one.name for one in self.states}
        known = states | {one.name for one in self.inputs}
        found = [f"feature {name!r} is no state or input" for name in self.network.features if name not in known]
        found += [f"target {name!r} is no state" for name in self.network.targets if name not in states]
        for kind in ("features", "targets"):
            names: tuple[str, ...] = getattr(self.network, kind)
            if not names or len(set(names)) < len(names):
                found.append(f"the network's {kind} are none or there twice")
        return found


def unit_fault(one: Variable) -> str:
    if one.quantity not in QUANTITIES:
        return f"quantity {one.quantity!r} is not in the vocabulary of this version"
    unit = QUANTITIES[one.quantity].unit
    return "" if one.unit == unit else f"unit {one.unit!r} is not {unit!r}, the internal one of {one.quantity}"


def canonical(table: object) -> bytes:
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise TypeError(f"{value!r} is no count")
    return value


def _each(kind: type[Any], rows: Any, *readers: Any) -> tuple[Any, ...]:
    if not isinstance(rows, list) or any(not isinstance(row, list) or len(row) != len(readers) for row in rows):
        raise TypeError(f"expected a list of {kind.__name__} rows")
    return tuple(kind(*(read(cell) for read, cell in zip(readers, row, strict=True))) for row in rows)


def _all(read: Any, values: Any) -> tuple[Any, ...]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return tuple(read(value) for value in values)


def _manifest(table: Any) -> Manifest:
    if set(table) != {one.name for one in fields(Manifest)}:
        raise KeyError(", ".join(sorted(set(table) ^ {one.name for one in fields(Manifest)})))
    variables = {k: _each(Variable, table[k], _text, _text, _text) for k in ("states", "channels", "inputs")}
    network = table["network"]
    if network is not None:
        if set(network) != {"features", "targets", "layers"}:
            raise KeyError("network")
        names = {k: _all(_text, network[k]) for k in ("features", "targets")}
        network = Network(names["features"], names["targets"], _all(_count, network["layers"]))
    return Manifest(
        _text(table["name"]),
        _text(table["version"]),
        _text(table["asset_class"]),
        _count(table["period_ns"]),
        variables["states"],
        variables["channels"],
        variables["inputs"],
        network,
        _count(table["golden"]),
        _text(table["made_at"]),
        _each(Part, table["parts"], _text, _count, _text),
    )


SHAPES = {  # each number of a twin, in the order of the part; letters are lengths, see `Manifest.sizes`
    "x0": "n",
    "u0": "m",
    "f0": "n",
    "y0": "p",
    "A": "nn",
    "B": "nm",
    "H": "pn",
    "Q": "nn",
    "R": "pp",
    "K": "np",
    "P": "nn",
    "x_low": "n",
    "x_high": "n",
    "u_sd": "m",
    "Q_net": "nn",
    "K_net": "np",
    "P_net": "nn",
    "z_mean": "f",
    "z_sd": "f",
    "z_low": "f",
    "z_high": "f",
    "r_mean": "r",
    "r_sd": "r",
}


@dataclass(frozen=True, eq=False, slots=True)
class Numbers:
    """The twin's numbers, float64, shapes as in `SHAPES` (n states, m inputs, p channels, f features, r targets)."""

    x0: Floats  # where the plant was linearised
    u0: Floats
    f0: Floats  # the state one period after (x0, u0)
    y0: Floats  # what is measured at x0
    A: Floats
    B: Floats
    H: Floats
    Q: Floats  # covariance of what one linear step misses
    R: Floats  # covariance of what the sensors add
    K: Floats  # Kalman gain at steady state
    P: Floats  # covariance of the analysis at steady state
    x_low: Floats  # what the states can physically be; bounds the variance too
    x_high: Floats
    u_sd: Floats  # how far an input may be from its last known value
    Q_net: Floats  # covariance of what a step with the network misses; zeros without one
    K_net: Floats
    P_net: Floats
    z_mean: Floats  # of the features in training
    z_sd: Floats
    z_low: Floats  # the range of the features in training
    z_high: Floats
    r_mean: Floats  # of the residual in training
    r_sd: Floats

    def encode(self) -> bytes:
        return b"".join(np.ascontiguousarray(getattr(self, name), "<f8").tobytes() for name in SHAPES)

    @classmethod
    def decode(cls, content: bytes, sizes: Mapping[str, int]) -> "Numbers":
        """Raises ModelError for a wrong size, a value that is not finite, or one that cannot be what it is."""
        shapes = {name: tuple(sizes[letter] for letter in letters) for name, letters in SHAPES.items()}
        numbers = cls(**_arrays(content, shapes, "numbers"))
        if faults := numbers.faults():
            raise ModelError("the numbers are wrong: " + "; ".join(faults))
        return numbers

    def faults(self) -> list[str]:
        """What no twin could run on, in words."""
        found = [f"{name} is not finite" for name in SHAPES if not np.isfinite(getattr(self, name)).all()]
        if found:
            return found
        for name in ("Q", "R", "P", "Q_net", "P_net"):
            one = getattr(self, name)
            scale = np.abs(one).max(initial=0.0)
            if not np.allclose(one, one.T, rtol=0.0, atol=1e-9 * scale):
                found.append(f"{name} is not symmetric")
            elif np.linalg.eigvalsh(one).min(initial=0.0) < -1e-9 * scale:
                found.append(f"{name} is no covariance")
        if (np.diag(self.R) <= 0).any():
            found.append("R has a channel without noise")
        if (self.x_low >= self.x_high).any():
            found.append("x_low is not below x_high")
        if (self.z_sd <= 0).any() or (self.r_sd < 0).any() or (self.u_sd < 0).any():
            found.append("a standard deviation is negative or zero")
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Golden:
    """Pairs that a gateway must reproduce before it runs the model.

    `z` (g, f) and `r` (g, r) int8: into and out of the network, equal bit for bit on every machine.
    `x` (g, n), `u` (g, m) and `linear` (g, n) float64: one linear step, equal to about 1e-9.
    """

    x: Floats
    u: Floats
    linear: Floats
    z: Int8s
    r: Int8s

    def encode(self) -> bytes:
        wide = b"".join(np.ascontiguousarray(one, "<f8").tobytes() for one in (self.x, self.u, self.linear))
        return wide + np.ascontiguousarray(self.z).tobytes() + np.ascontiguousarray(self.r).tobytes()

    @classmethod
    def decode(cls, content: bytes, sizes: Mapping[str, int]) -> "Golden":
        """Raises ModelError for a wrong size or a value that is not finite."""
        g, n, m, f, r = (sizes[letter] for letter in "gnmfr")
        wide = 8 * g * (2 * n + m)
        if len(content) != wide + g * (f + r):
            raise ModelError(f"the golden pairs have {len(content)} bytes, not {wide + g * (f + r)}")
        steps = _arrays(content[:wide], {"x": (g, n), "u": (g, m), "linear": (g, n)}, "golden pairs")
        if any(not np.isfinite(one).all() for one in steps.values()):
            raise ModelError("the golden pairs are not finite")
        narrow = np.frombuffer(content, np.int8, offset=wide)
        return cls(**steps, z=narrow[: g * f].reshape(g, f), r=narrow[g * f :].reshape(g, r))


def _arrays(content: bytes, shapes: Mapping[str, Sequence[int]], what: str) -> dict[str, Floats]:
    """Read-only views of consecutive float64 arrays."""
    lengths = {name: int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}
    if len(content) != 8 * sum(lengths.values()):
        raise ModelError(f"the {what} have {len(content)} bytes, not {8 * sum(lengths.values())}")
    ends = np.cumsum(list(lengths.values()))
    values = np.frombuffer(content, "<f8").astype(np.float64, copy=False)
    return {
        name: values[end - lengths[name] : end].reshape(shape)
        for (name, shape), end in zip(shapes.items(), ends, strict=True)
    }
