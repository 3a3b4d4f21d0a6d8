"""Does calibration see what is wrong, correct it within bounds, and refuse what it must?"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from aggregator.twin.calibration import Calibration, Trial, Tuning, crps
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.measurement import Meas
from aggregator.twin.observation import Innovation
from tests.aggregator.twin.domains import Diffusion, play, ring

STEPS = 250
MODEL = Diffusion(16, np.arange(0, 16, 2), graph=ring(16), a=0.9, q=0.3)


def run(sd_told: float, q_told: float = 0.3, tuning: Tuning | None = None) -> Fuser:
    """Truth has q = 0.3 and readings with sd 0.5; the twin is told otherwise."""
    truth = play(MODEL, STEPS, seed=1, sd=0.5)
    meas = replace(truth.meas, var=np.full(len(truth.meas), sd_told**2))
    fuser = Fuser(replace(MODEL, q=q_told), Gaussian(gate=np.inf), 0, Settings(ahead=STEPS), tuning)
    fuser.ingest(meas)
    fuser.advance(STEPS)
    return fuser


FIXED = Tuning(turn=20, q_bounds=(1.0, 1.0), r_bounds=(1.0, 1.0))


def test_true_variances_stay_as_they_are() -> None:
    found = run(0.5, tuning=Tuning(turn=20)).calibration
    assert 0.9 < found.domain_nis < 1.1
    assert 0.8 < found.q_scale < 1.25
    assert 0.7 < np.median(found.r_scale) < 1.4
    assert 0.85 < found.inside90 < 0.95
    assert 0.4 < found.inside50 < 0.6
    assert 0.85 < found.ratio() < 1.15
    assert found.automatic().allowed


def test_too_sure_is_seen_corrected_and_refused() -> None:
    """Told a third of the true errors: NIS/m beyond 3 and no automatic decisions; with correction it comes back."""
    naive = run(0.15, 0.1, FIXED).calibration
    assert naive.domain_nis > 3
    assert naive.automatic().allowed is False
    assert "NIS/m" in naive.automatic().why
    assert naive.ratio() > 1.3  # and the intervals shown are widened
    better = run(0.15, 0.1, Tuning(turn=20)).calibration
    assert better.domain_nis < 0.5 * naive.domain_nis
    assert better.q_scale > 1.5
    assert (better.r_scale > 1.2).mean() > 0.5


def test_corrections_are_bounded_and_slow() -> None:
    found = run(0.01, 0.001, Tuning(turn=20, q_bounds=(0.5, 2.0), r_bounds=(0.5, 3.0))).calibration
    assert found.q_scale == 2.0
    assert found.r_scale.max() <= 3.0
    one_step = run(0.01, 0.001, Tuning(turn=20, rate=0.001)).calibration
    assert one_step.q_scale < np.exp(0.001 * STEPS) + 1e-9


def test_too_unsure_is_seen() -> None:
    found = run(1.5, 1.0, FIXED).calibration
    assert found.domain_nis < 0.8
    assert found.inside90 > 0.95
    assert found.automatic().allowed


def test_a_channel_with_a_worse_sensor_is_found() -> None:
    truth = play(MODEL, STEPS, seed=1, sd=0.5)
    noise = np.random.default_rng(0).standard_normal(len(truth.meas))
    bad = truth.meas.channel == 4
    meas = replace(truth.meas, y=truth.meas.y + np.where(bad, 1.5 * noise, 0.0))
    fuser = Fuser(MODEL, Gaussian(), 0, Settings(ahead=STEPS))
    fuser.ingest(meas)
    fuser.advance(STEPS)
    scale = fuser.calibration.r_scale
    assert scale.argmax() == 4
    assert scale[4] > 2 * np.median(scale)


def test_coverage_refuses() -> None:
    found = Calibration.begin(1)
    z, one = np.full(1, 0.5), np.ones(1)
    calm = Innovation(0, np.array([0]), one, z, one, z, one, 0.25, 0)
    assert "too little" in found.automatic().why
    for _ in range(40):
        found = found.met(calm)
    assert "too little" in found.automatic().why
    for _ in range(40):
        found = found.tried(Trial(np.array([0]), 5 * one, 0 * one, one, 0 * one, one))
    assert found.automatic().why == "0% of withheld readings inside 90 %, below 60%"


def test_every_channel_is_withheld_in_turn() -> None:
    calibration, channel = Calibration.begin(250), np.arange(250)
    times = np.sum([calibration.withheld(k, channel) for k in range(1000)], axis=0)
    assert set(times.tolist()) == {10}
    assert not Calibration.begin(3, Tuning(turn=0)).withheld(0, np.arange(3)).any()


@pytest.mark.parametrize(("y", "mean", "sd"), [(0.0, 0.0, 1.0), (2.5, 1.0, 0.3), (-4.0, 1.0, 2.0)])
def test_crps_is_the_integral_it_stands_for(y: float, mean: float, sd: float) -> None:
    below, _ = quad(lambda t: norm.cdf(t, mean, sd) ** 2, -30, y, limit=200)
    above, _ = quad(lambda t: norm.sf(t, mean, sd) ** 2, y, 30, limit=200)
    found = crps(np.array([y]), np.array([mean]), np.array([sd**2]))
    assert found[0] == pytest.approx(below + above, rel=1e-6)


def test_the_conformal_ratio_is_a_ratio_of_quantiles() -> None:
    """Scores of a normal with twice the spread that was claimed ask for twice the width."""
    scores = tuple(np.abs(2 * norm.ppf((np.arange(499) + 0.5) / 499)).tolist())
    found = replace(Calibration.begin(1), scores=scores)
    assert found.ratio(0.9) == pytest.approx(2.0, rel=0.02)
    assert found.ratio(0.5) == pytest.approx(2.0, rel=0.02)
    assert replace(found, scores=scores[:10]).ratio() == 1.0


def test_nothing_read_changes_nothing() -> None:
    found = Calibration.begin(2)
    none = np.zeros(0)
    nothing = Innovation(0, Meas.none().channel, none, none, none, none, none, 0.0, 0)
    assert found.met(nothing) is found
