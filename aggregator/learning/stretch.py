"""Gap-free pieces of what one site showed, on the grid of a model's period; and where they are divided in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TRAIN, VALIDATE = 0.6, 0.2  # shares of the time; what is left is held out for the gate


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """N steps of one site without a gap: y (N, p) channels and u (N, m) inputs, internal units; k0 counts periods
    since 1970. u[k] acts from step k to k + 1."""

    site: str
    k0: int
    y: Floats
    u: Floats

    def __len__(self) -> int:
        return len(self.y)

    def cut(self, first: int, until: int) -> "Stretch":
        """Steps first ≤ k < until, counted since 1970; may be empty."""
        begin = min(max(first - self.k0, 0), len(self))
        end = min(max(until - self.k0, begin), len(self))
        return Stretch(self.site, self.k0 + begin, self.y[begin:end], self.u[begin:end])


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """Training, validation (orders, early stop) and held-out (the gate) time, each later than the one before."""

    train: tuple[Stretch, ...]
    validate: tuple[Stretch, ...]
    test: tuple[Stretch, ...]


def divide(stretches: Sequence[Stretch], apart: int, least: int) -> Parts:
    """By time, the same moments for all sites; `apart` steps between the parts are left out, so that no window of one
    reaches into another. Pieces shorter than `least` steps are left out too."""
    first = min(one.k0 for one in stretches)
    until = max(one.k0 + len(one) for one in stretches)
    a = first + round(TRAIN * (until - first))
    b = first + round((TRAIN + VALIDATE) * (until - first))
    bounds = ((first, a), (a + apart, b), (b + apart, until))
    cut = [[one.cut(*bound) for one in stretches] for bound in bounds]
    return Parts(*(tuple(one for one in part if len(one) >= least) for part in cut))
