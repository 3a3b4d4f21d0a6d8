"""The small network on the residual of the linear twin, in PyTorch (extra `train`): dense, or conv1d over the lags.

A convolution over the lags of a window is a dense layer whose matrix repeats its kernel along the diagonal (Toeplitz),
so that both become the one kind of layer that gateways run. Quantisation-aware training rounds weights and layers in
the forward pass and lets the gradient pass as if it had not (straight through: Bengio, Léonard and Courville, 2013),
with the true minimum and maximum of each layer over the whole training part: a moving average would clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aggregator.learning.flatbuffer import Dense
from protos.model import CLAMP_SD

Floats = npt.NDArray[np.float64]

KINDS = ("dense", "conv1d")


@dataclass(frozen=True, slots=True)
class Shape:
    """`taps` times of the window, `wide` values each, the newest first; `kernel` times and `channels` of conv1d."""

    kind: str
    taps: int
    wide: int
    hidden: tuple[int, ...]
    targets: int
    kernel: int = 2
    channels: int = 8

    @property
    def features(self) -> int:
        return self.taps * self.wide


class Residuals(nn.Module):
    """z (B, features) → r (B, targets), both in standard deviations. It begins as zero: the linear twin itself."""

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.ranges: list[tuple[float, float]] = []  # of each layer, when it trains as if quantised
        chance = torch.Generator().manual_seed(seed)
        width, self.kernel, self.kernel_bias = shape.features, None, None
        if shape.kind == "conv1d":
            fan = shape.kernel * shape.wide
            self.kernel = nn.Parameter(_drawn(shape.channels, fan, chance))
            self.kernel_bias = nn.Parameter(torch.zeros(shape.channels, dtype=torch.float64))
            width = (shape.taps - shape.kernel + 1) * shape.channels
        widths = (width, *shape.hidden, shape.targets)
        weights = [_drawn(out, into, chance) for into, out in pairwise(widths)]
        weights[-1].zero_()
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList([torch.zeros(len(one), dtype=torch.float64) for one in weights])

    def matrices(self) -> list[tuple[Tensor, Tensor]]:
        """W (out, in) and b (out,) of every layer; the first is the convolution's, where there is one."""
        found = list(zip(self.weights, self.biases, strict=True))
        if self.kernel is None or self.kernel_bias is None:
            return found
        one, places = self.shape, self.shape.taps - self.shape.kernel + 1
        fan = one.kernel * one.wide
        rows = [
            nn.functional.pad(self.kernel, (place * one.wide, one.features - fan - place * one.wide))
            for place in range(places)
        ]
        return [(torch.cat(rows), self.kernel_bias.repeat(places)), *found]

    def forward(self, z: Tensor) -> Tensor:
        layers, quantised = self.matrices(), bool(self.ranges)
        if quantised:
            z = _rounded(z, -CLAMP_SD, CLAMP_SD)
        for place, (W, b) in enumerate(layers):
            z = z @ (_rounded_rows(W) if quantised else W).T + b
            if place < len(layers) - 1:
                z = torch.relu(z)
            if quantised:
                z = _rounded(z, *self.ranges[place])
        return z.clamp(-CLAMP_SD, CLAMP_SD)

    def dense(self, z: Floats) -> list[Dense]:
        """As gateways run it; the ranges are the true ones over z (N, features)."""
        layers = [(W.detach().numpy().copy(), b.detach().numpy().copy()) for W, b in self.matrices()]
        found, h = [], z
        for place, (W, b) in enumerate(layers):
            last = place == len(layers) - 1
            h = h @ W.T + b if last else np.maximum(h @ W.T + b, 0.0)
            high = float(h.max())
            found.append(Dense(W, b, float(h.min()), max(high, 1e-6), relu=not last))
        return found

    def measure(self, z: Floats) -> None:
        """Train as if quantised from now on, with the true ranges over z (N, features)."""
        ranges = [(one.low, one.high) for one in self.dense(z)]
        self.ranges = [*ranges[:-1], (-CLAMP_SD, CLAMP_SD)]


def pruned(network: Residuals, z: Floats, share: float, seed: int) -> Residuals:
    """Without the `share` of hidden units that matter least: what they give on z times what the next layer makes of it.

    Whole units go, so that the file and the time of a step shrink. Zeros sprinkled in would not make LiteRT faster.
    """
    layers = network.dense(z)
    first = len(layers) - len(network.weights)
    kept_before: npt.NDArray[np.intp] | None = None
    weights: list[Floats] = []
    biases: list[Floats] = []
    h = z
    for place, layer in enumerate(layers):
        h = np.maximum(h @ layer.weights.T + layer.bias, 0.0) if layer.relu else h
        if place < first:
            continue
        W = layer.weights if kept_before is None else layer.weights[:, kept_before]
        keep = np.arange(len(W))
        if place < len(layers) - 1:
            worth = h.std(axis=0) * np.linalg.norm(layers[place + 1].weights, axis=0)
            keep = np.sort(np.argsort(-worth, kind="stable")[: max(1, round(len(W) * (1 - share)))])
        weights.append(W[keep])
        biases.append(layer.bias[keep])
        kept_before = keep
    smaller = Residuals(replace(network.shape, hidden=tuple(len(one) for one in biases[:-1])), seed)
    with torch.no_grad():
        for mine, one in zip((*smaller.weights, *smaller.biases), (*weights, *biases), strict=True):
            mine.copy_(torch.from_numpy(one))
        for name in ("kernel", "kernel_bias"):
            if getattr(network, name) is not None:
                getattr(smaller, name).copy_(getattr(network, name))
    return smaller


def count(layers: Sequence[Dense]) -> int:
    """Weights and biases, as they are in the file."""
    return sum(one.weights.size + one.bias.size for one in layers)


def _drawn(out: int, into: int, chance: torch.Generator) -> Tensor:
    """He initialisation, for layers that cut at zero."""
    return torch.randn(out, into, generator=chance, dtype=torch.float64) * (2.0 / into) ** 0.5


def _rounded(x: Tensor, low: float, high: float) -> Tensor:
    """As `Scale.of` quantises, straight through."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high / 127) if low == -high else (high - low) / 255
    zero = 0.0 if low == -high else float(np.clip(round(-128 - low / scale), -128, 127))
    q = (torch.round(x.detach() / scale) + zero).clamp(-128, 127)
    return x + ((q - zero) * scale - x).detach()


def _rounded_rows(W: Tensor) -> Tensor:
    scale = W.detach().abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
    return W + (torch.round(W.detach() / scale) * scale - W).detach()
