"""A domain that does not fit is told all that is wrong with it at once."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.model import check
from tests.aggregator.twin.domains import Diffusion, Lorenz96, ring

MODEL = Diffusion(10, np.arange(0, 10, 2), graph=ring(10))


def test_good_ones() -> None:
    check(MODEL)
    check(Lorenz96(12, np.arange(12)))
    check(replace(MODEL, linear=False))


def test_shapes() -> None:
    with pytest.raises(BadModel) as told:
        check(replace(MODEL, graph=ring(9), observed=np.array([0, 99])))
    assert str(told.value).splitlines() == [
        "domain diffusion: places must be states 0 … 9",
        "domain diffusion: graph is (9, 9), must be (10, 10)",
    ]
    with pytest.raises(BadModel, match="at least 1"):
        check(replace(MODEL, dt_ns=0))


@dataclass(eq=False)
class Broken(Diffusion):
    def f(self, X: Floats, u: Floats, k: int) -> Floats:
        return np.full((self.n, 1), np.nan)

    def Q(self, x: Floats, k: int) -> tuple[Floats, Floats]:
        return np.full(self.n, -1.0), np.full((self.n, 1), np.inf)

    def prior(self, k: int) -> Belief:
        return Belief(k, np.zeros(self.n), np.ones(self.n), np.full((self.n, 2), np.nan))


def test_numbers() -> None:
    with pytest.raises(BadModel) as told:
        check(Broken(10, np.arange(0, 10, 2), graph=ring(10)))
    found = str(told.value)
    assert "prior variance has numbers that are not finite" in found
    assert "f is (10, 1), must be (10, 2)" in found
    assert "a variance of the prior or of Q is negative" in found
