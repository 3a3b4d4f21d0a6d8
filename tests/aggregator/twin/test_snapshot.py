"""Packed, unpacked, and nobody can tell the difference, now or later."""

from dataclasses import replace

import numpy as np
import pytest

from aggregator.twin import BadModel
from aggregator.twin.calibration import Tuning
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Fuser, Scheme, Settings
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.snapshot import pack, unpack
from tests.aggregator.twin.domains import Diffusion, play, ring

MODEL = Diffusion(12, np.arange(0, 12, 2), graph=ring(12), a=0.95, q=0.3)
MEAS = play(MODEL, 60, seed=1).meas
TUNING = Tuning(turn=7, evidence=5)


def fuser(scheme: Scheme, every: int) -> Fuser:
    return Fuser(MODEL, scheme, 0, Settings(lag=20, every=every, ahead=60), TUNING)


@pytest.mark.parametrize("scheme", [Gaussian(), Ensemble(3.0, members=8)], ids=["gaussian", "ensemble"])
@pytest.mark.parametrize("every", [1, 6])
def test_goes_on_as_if_nothing_had_been(scheme: Scheme, every: int) -> None:
    one, other = fuser(scheme, every), fuser(scheme, every)
    k = MEAS.steps(MODEL.dt_ns)
    late = (k == 33) & (MEAS.channel < 3)
    one.ingest(MEAS.take((k <= 45) & ~late))
    one.advance(44)
    unpack(pack(one), other)
    for each in (one, other):
        each.ingest(MEAS.take(late))  # goes back behind the snapshot's newest step
        each.ingest(MEAS.take(k > 40))
        each.advance(60)
    assert other.belief().digest() == one.belief().digest()
    assert other.health() == one.health()
    assert (other.held, other.oldest, other.log.same_as(one.log)) == (one.held, one.oldest, True)


def test_of_another_model_or_damaged() -> None:
    one = fuser(Gaussian(), 1)
    one.ingest(MEAS)
    one.advance(60)
    data = pack(one)
    other = Fuser(replace(MODEL, observed=np.arange(3)), Gaussian(), 0)
    before = other.belief().digest()
    with pytest.raises(BadModel, match="other states or channels"):
        unpack(data, other)
    for broken in (b"", b"PK", data[: len(data) // 2], data.replace(b"log.y", b"log.z")):
        with pytest.raises(BadModel):
            unpack(broken, fuser(Gaussian(), 1))
    assert other.belief().digest() == before
