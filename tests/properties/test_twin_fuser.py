"""Any cutting, order and repetition of the same readings, any steps between: one state, to the last bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.twin.calibration import Tuning
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Fuser, Scheme, Settings
from aggregator.twin.gaussian import Gaussian
from tests.aggregator.twin.domains import Diffusion, play, ring

STEPS = 12
MODEL = Diffusion(8, np.arange(0, 8, 2), graph=ring(8), a=0.95, q=0.3, shift=1)
MEAS = play(MODEL, STEPS, seed=3).meas
SETTINGS = [Settings(lag=STEPS, every=every, ahead=STEPS) for every in (1, 4)]
SCHEMES: list[Scheme] = [Gaussian(), Ensemble(3.0, members=8, compiled=False)]


def fused(number: int) -> Fuser:
    fuser = Fuser(MODEL, SCHEMES[number], 0, SETTINGS[0], Tuning(turn=5, evidence=5))
    fuser.ingest(MEAS)
    fuser.advance(STEPS)
    return fuser


EXPECTED = [fused(number) for number in range(len(SCHEMES))]
deliveries = st.lists(
    st.tuples(st.lists(st.integers(0, len(MEAS) - 1), min_size=1, max_size=12), st.integers(0, 3)), max_size=15
)


@settings(max_examples=40, deadline=None)
@given(deliveries, st.sampled_from([0, 1]), st.sampled_from(SETTINGS))
def test_one_state(batches: list[tuple[list[int], int]], number: int, settings: Settings) -> None:
    """Each batch some readings, then some steps; what was left out comes at the very end, in one batch."""
    fuser = Fuser(MODEL, SCHEMES[number], 0, settings, Tuning(turn=5, evidence=5))
    for places, steps in batches:
        receipt = fuser.ingest(MEAS.take(np.array(places)))
        assert receipt.new + receipt.repeated == len(places)
        assert len(receipt.too_old) == receipt.ahead == 0
        fuser.advance(min(STEPS, fuser.k + steps))
    fuser.advance(STEPS)
    fuser.ingest(MEAS)
    expected = EXPECTED[number]
    assert fuser.belief().digest() == expected.belief().digest()
    assert fuser.calibration.health() == expected.calibration.health()
    assert fuser.counts.new == len(MEAS)
    assert np.abs(fuser.belief().x - expected.belief().x).max() == 0.0


def test_the_property_can_fail() -> None:
    """Negative control: the same readings a step later are another state."""
    fuser = Fuser(MODEL, SCHEMES[0], 0, SETTINGS[0], Tuning(turn=5, evidence=5))
    late = MEAS.t_ns.copy()
    late[5] += MODEL.dt_ns
    fuser.ingest(type(MEAS)(late, *(getattr(MEAS, name) for name in list(MEAS.__slots__)[1:])))
    fuser.advance(STEPS)
    assert fuser.belief().digest() != EXPECTED[0].belief().digest()
