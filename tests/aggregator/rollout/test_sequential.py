"""The test that may be looked at always: its errors under continuous peeking, its power, and what peeking does else."""

import math

import numpy as np
import pytest

from aggregator.rollout.sequential import Bet, Comparison, difference

TRIALS, LOOKS, ALPHA = 150, 250, 0.05
MARGIN = 0.05


def stopped(test: Comparison, differences: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[int, int]:
    """When `fine` and `worse` first spoke, looked at after each observation; LOOKS: never."""
    fine = worse = LOOKS
    for k, x in enumerate(differences):
        test = test.see(float(x))
        fine = min(fine, k) if test.fine.refutes(ALPHA) else fine
        worse = min(worse, k) if test.worse.refutes(ALPHA) else worse
    return fine, worse


@pytest.mark.parametrize("spread", [0.02, 0.1])
def test_type_one_error_under_continuous_peeking(spread: float) -> None:
    """At the margin itself both hypotheses are true: each may be refuted in 5 % of all series at most."""
    random = np.random.default_rng(5)
    ends = [stopped(Comparison.begin(MARGIN), random.uniform(-spread, spread, LOOKS) + MARGIN) for _ in range(TRIALS)]
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / TRIALS)
    assert sum(fine < LOOKS for fine, _ in ends) / TRIALS <= allowed
    assert sum(worse < LOOKS for _, worse in ends) / TRIALS <= allowed


def test_a_test_for_one_look_breaks_under_peeking() -> None:
    """Negative control: the same looks with a z-test of 5 % refute what is true far more often."""
    random = np.random.default_rng(5)
    noise = random.uniform(-0.1, 0.1, (TRIALS, LOOKS))
    counts = np.arange(1, LOOKS + 1)
    z = np.cumsum(noise, axis=1) / (0.2 / math.sqrt(12) * np.sqrt(counts))
    assert (z[:, 10:] > 1.645).any(axis=1).mean() > 4 * ALPHA


@pytest.mark.parametrize(("shift", "within"), [(-0.25, 10), (0.0, 60)])
def test_power_for_what_is_as_good(shift: float, within: int) -> None:
    random = np.random.default_rng(6)
    ends = [stopped(Comparison.begin(MARGIN), random.normal(shift, 0.05, LOOKS))[0] for _ in range(50)]
    assert np.quantile(ends, 0.9) <= within


def test_power_for_what_is_worse() -> None:
    random = np.random.default_rng(7)
    ends = [stopped(Comparison.begin(MARGIN), random.normal(0.3, 0.1, LOOKS))[1] for _ in range(50)]
    assert max(ends) <= 20


def test_means_that_move_are_no_excuse() -> None:
    """As bad as the margin in every look, in whatever order of noise and calm: still no false promotion."""
    random = np.random.default_rng(8)
    scale = np.where(np.arange(LOOKS) % 50 < 25, 0.01, 0.2)
    ends = [stopped(Comparison.begin(MARGIN), MARGIN + scale * random.uniform(-1, 1, LOOKS))[0] for _ in range(200)]
    assert sum(fine < LOOKS for fine in ends) / 200 <= 0.1


def test_differences() -> None:
    assert difference(2.0, 1.0) == pytest.approx(1 / 3)
    assert difference(0.0, 0.0) == 0
    assert difference(math.nan, 1.0) == difference(math.inf, 1.0) == 1.0
    assert abs(difference(2e-6, 1e-6, floor=0.01)) < 1e-3
    with pytest.raises(ValueError, match="not within"):
        Bet(0.5).see(1.1)


def test_the_next_wave_must_show_it_again() -> None:
    test = Comparison.begin(MARGIN)
    for _ in range(30):
        test = test.see(-0.2)
    assert test.fine.refutes(ALPHA)
    assert not test.again().fine.refutes(ALPHA)
    assert test.again().worse == test.worse
