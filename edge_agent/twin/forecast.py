"""One step of a twin ahead, for many rows at once: the linear step, and the network on what that misses.

    x⁺ = x + [f0 − x0 + (A − I)(x − x0) + B (u − u0)] + r,   r = r_mean + r_sd · net((z − z_mean) / z_sd)

z are features of (x, u). The bracket is computed in float32 and added to x in float64, so that no increment is lost,
however slow the plant. One product with one matrix gives bracket and features, the latter in quantisation steps.
Quantised is the residual, never the state: on the Silverbox benchmark the step of an int8 state dominates the error.
"""

import numpy as np

from edge_agent.image import Floats, Singles
from edge_agent.twin.int8 import SHIFT, Bools, Network
from protos.bundle import Bundle
from protos.model import Manifest, Numbers


class Forecast:
    """x⁺ of `rows` states at once. `linear` rows (B,) leave the network out; changed by whoever judges it."""

    def __init__(self, bundle: Bundle, rows: int) -> None:
        """Raises ModelRefused for a network that cannot run here."""
        manifest, numbers = bundle.manifest, bundle.numbers
        self.n, self.m = len(manifest.states), len(manifest.inputs)
        self.rows = rows
        self.x0, self.u0 = numbers.x0, numbers.u0
        self.network = network_of(bundle, rows)
        matrix = np.vstack(((numbers.A - np.eye(self.n)).T, numbers.B.T, numbers.f0 - numbers.x0))
        self.linear: Bools = np.full(rows, self.network is None)
        self._all_nets = self.network is not None
        self._none: Bools = np.zeros(rows, np.bool_)
        self._targets: slice | list[int] = []
        self._features: Singles = np.zeros((rows, 0), np.float32)
        if self.network is not None and manifest.network is not None:
            matrix = np.hstack((matrix, feature_matrix(manifest, numbers, self.network)))
            places = [[one.name for one in manifest.states].index(name) for name in manifest.network.targets]
            run = places == list(range(places[0], places[0] + len(places)))
            self._targets = slice(places[0], places[0] + len(places)) if run else places
            self._step = (numbers.r_sd * self.network.out.scale).astype(np.float32)
            self._offset = (numbers.r_mean - self.network.out.zero * numbers.r_sd * self.network.out.scale).astype(
                np.float32
            )
            self._residual: Singles = np.zeros((rows, len(places)), np.float32)
        self.matrix: Singles = np.ascontiguousarray(matrix, np.float32)
        self._w: Singles = np.ones((rows, self.n + self.m + 1), np.float32)
        self._dx, self._du = self._w[:, : self.n], self._w[:, self.n : -1]
        self.product: Singles = np.zeros((rows, matrix.shape[1]), np.float32)
        self.bracket, self._features = self.product[:, : self.n], self.product[:, self.n :]
        run = isinstance(self._targets, slice)
        self._corrected = self.bracket[:, self._targets] if run else None  # what the network speaks of, as a view

    def use_network(self, wanted: Bools) -> None:
        """Which rows (B,) the network corrects; the others are linear twins."""
        self.linear = ~wanted | (self.network is None)
        self._all_nets = not self.linear.any()

    def __call__(self, x: Floats, u: Floats) -> Floats:
        """x (B, n), u (B, m) → x⁺ (B, n), new; internal units."""
        np.subtract(x, self.x0, out=self._dx)
        np.subtract(u, self.u0, out=self._du)
        np.dot(self._w, self.matrix, self.product)
        self.correct()
        return x + self.bracket

    def correct(self) -> None:
        """Add what the network says of the features in `product` to the bracket."""
        if self.network is None:
            return
        residual = self._residual
        np.multiply(self.network.run(self._features), self._step, out=residual)
        residual += self._offset
        if not self._all_nets:
            residual[self.linear] = 0.0
        if self._corrected is not None:
            np.add(self._corrected, residual, out=self._corrected)
        else:
            self.bracket[:, self._targets] += residual

    def outside(self) -> Bools:
        """Which rows (B,) of the last step asked for more than the network was trained on, or got its extremes. Not to
        be written to."""
        return self._none if self.network is None else self.network.outside()


def network_of(bundle: Bundle, rows: int) -> Network | None:
    """The bundle's network for so many rows, told the range of its training. Raises ModelRefused."""
    about = bundle.manifest.network
    if bundle.network is None or about is None:
        return None
    network = Network(bundle.network, rows, (len(about.features), len(about.targets)))
    numbers, into = bundle.numbers, network.into
    scale = numbers.z_sd * into.scale
    low = (numbers.z_low - numbers.z_mean) / scale + into.zero
    high = (numbers.z_high - numbers.z_mean) / scale + into.zero
    network.trained(low, high)
    return network


def feature_matrix(manifest: Manifest, numbers: Numbers, network: Network) -> Floats:
    """(n + m + 1, f): from [x − x0, u − u0, 1] to features as `Network.run` takes them, zero point included."""
    assert manifest.network is not None
    names = [one.name for one in (*manifest.states, *manifest.inputs)]
    places = [names.index(name) for name in manifest.network.features]
    origin = np.concatenate((numbers.x0, numbers.u0))[places]
    scale = numbers.z_sd * network.into.scale
    matrix = np.zeros((len(names) + 1, len(places)))
    matrix[places, np.arange(len(places))] = 1 / scale
    matrix[-1] = (origin - numbers.z_mean) / scale + network.into.zero + SHIFT
    return matrix
