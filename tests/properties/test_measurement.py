"""Whatever a gateway sends: every number of a batch is in exactly one place, and what is kept can be fused."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.twin.measurement import AGE_NS, AHEAD_NS, Channel, Channels, Stamp, measurements
from protos.batch import Batch
from tests.properties.batches import BATCHES, INT64

STAMPS = st.builds(Stamp, st.integers(0, 2**62), INT64, INT64)


def some(batch: Batch, every: int, scale: float) -> Channels:
    """Channels for a part of the points of `batch`."""
    names = [(batch.key.gateway, block.device, point) for block in batch.blocks for point in block.points]
    return Channels.of({name: Channel(i, 1.0, scale, 0.5) for i, name in enumerate(names[::every])})


@settings(max_examples=150, deadline=None)
@given(BATCHES, STAMPS, st.integers(1, 3), st.sampled_from([1.0, -0.001, 1e300]))
def test_every_number_is_somewhere(batch: Batch, stamp: Stamp, every: int, scale: float) -> None:
    found = measurements(batch, some(batch, every, scale), stamp)
    meas, total = found.meas, sum(block.values.size for block in batch.blocks)
    assert len(meas) + found.foreign + found.bad + found.impossible + found.repeated == total
    meas.check(total)
    assert ((meas.t_ns > stamp.arrived_ns - AGE_NS) & (meas.t_ns < stamp.arrived_ns + AHEAD_NS)).all()
    assert meas.ordered().same_as(meas)
    again = measurements(batch, some(batch, every, scale), stamp).meas
    assert again.same_as(meas)
    assert np.array_equal(again.code, meas.code)
