"""Each detector finds what it is for, and nothing when all is well."""

import numpy as np
import pytest
from scipy.stats import chi2

from aggregator.twin import Floats
from aggregator.twin.anomalies import Detectors, Finding, Pattern, Thresholds, q_limit
from aggregator.twin.observation import Innovation

C = 12


def innovation(k: int, z: Floats, channel: object = None, nis: float | None = None) -> Innovation:
    one = np.ones(len(z))
    at = np.arange(len(z)) if channel is None else np.asarray(channel)
    return Innovation(k, at, z, z, one, 0.5 * z, one, float(z @ z) if nis is None else nis, 0)


def run(Z: Floats, thresholds: Thresholds | None = None, nis: float | None = None) -> list[Finding]:
    detectors = Detectors(C, thresholds or Thresholds())
    return [one for k, z in enumerate(Z) for one in detectors.look(innovation(k, z, nis=nis))]


def noise(steps: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((steps, C))


def first(found: list[Finding], detector: str, channel: int | None) -> int:
    """The step at which it is told first; -1 for never."""
    return next((one.k for one in found if (one.detector, one.channel) == (detector, channel)), -1)


def test_nothing_when_all_is_well() -> None:
    """4,000 steps of 12 channels: what is found although nothing is wrong comes less than once a day of minutes."""
    assert sum(len({one.detector for one in run(noise(2000, seed))}) for seed in range(2)) <= 1


def test_gate_finds_a_single_reading() -> None:
    Z = noise(200)
    Z[100, 3] = 6.0
    found = [one for one in run(Z) if one.detector == "gate"]
    assert [(one.k, one.channel, one.value, one.threshold) for one in found] == [(100, 3, 6.0, 5.0)]


def test_nis_finds_noise_that_has_grown() -> None:
    Z = noise(300)
    Z[150:, 5] *= 2.2
    found = run(Z, Thresholds(gate=np.inf, limit=np.inf))
    assert 155 < first(found, "nis", 5) < 200
    assert {one.channel for one in found if one.detector == "nis"} == {5}


def test_cusum_finds_a_small_shift_that_no_gate_sees() -> None:
    """One standard deviation, found after about h / (1 - κ) = 24 readings."""
    Z = noise(400)
    Z[200:, 7] -= 1.0
    found = run(Z)
    assert 210 < first(found, "cusum", 7) < 250
    assert first(found, "gate", 7) == -1


def test_cusum_sees_the_end_and_can_be_reset() -> None:
    detectors = Detectors(1)
    for k in range(500):
        told = detectors.look(innovation(k, np.array([2.0])))
    assert told
    back = 0
    while any(one.detector == "cusum" for one in detectors.look(innovation(500 + back, np.zeros(1)))):
        back += 1
    assert back < 30
    detectors.look(innovation(0, np.array([4.9])))
    detectors.reset(0)
    assert detectors.look(innovation(0, np.zeros(1))) == []


def test_t2_finds_a_little_of_everything() -> None:
    Z = noise(100)
    Z[50] = np.where(np.arange(C) % 2, 2.8, -2.8)
    found = run(Z)
    assert [(one.k, one.detector, one.channel) for one in found] == [(50, "t2", None)]
    assert found[0].threshold == pytest.approx(chi2.isf(2e-6, C))


def test_q_finds_what_the_pattern_misses() -> None:
    """Channels that move together; then one that goes the other way, well within its own limits."""
    rng = np.random.default_rng(1)
    Z = 0.9 * rng.standard_normal((1000, 1)) + 0.2 * rng.standard_normal((1000, C))
    Z[900] = 0.2 * rng.standard_normal(C)
    Z[900, 2] += 1.6
    found = [one for one in run(Z, Thresholds(learn=500, limit=np.inf), nis=C) if one.k >= 500]
    assert [(one.k, one.detector) for one in found] == [(900, "q")]


def test_missing_channels_say_nothing() -> None:
    detectors = Detectors(C)
    for k in range(50):
        assert detectors.look(innovation(k, np.zeros(2), [1, 4])) == []
    assert detectors.look(innovation(51, np.array([6.0, 0.0]), [4, 4], nis=2.0)) == []  # the newest of a channel counts


def test_limit_of_q_holds_what_it_says() -> None:
    """1 % of the squared lengths of normal vectors lie beyond; the weighted sum is approximated by one χ²."""
    λ = np.array([2.0, 1.0, 0.5, 0.5])
    squares = (np.random.default_rng(0).standard_normal((200_000, 4)) ** 2) @ λ
    assert np.mean(squares > q_limit(λ, 0.01)) == pytest.approx(0.01, rel=0.3)
    assert q_limit(np.zeros(0), 0.01) == np.inf


def test_pattern_takes_the_share_asked_for() -> None:
    Z = noise(1000) * np.array([10.0, 5.0] + [0.1] * (C - 2))
    assert Pattern.learned(Z, 0.9, 1e-4).P.shape == (C, 2)
