"""From real batches to readings in one order; every number of a batch ends in exactly one place."""

from dataclasses import replace

import numpy as np
import pytest

from aggregator.twin import BadMeas
from aggregator.twin.measurement import NS, UNCERTAIN_FACTOR, Channel, Channels, Meas, Stamp, measurements
from protos.batch import Batch, decode, encode
from protos.quality import Quality, Reason, code
from tests.aggregator.stores.batches import NOON, batch, block

STAMP = Stamp(arrived_ns=NOON + 60 * NS, clock_offset_ns=NOON, clock_error_ns=1_000_000)
CHANNELS = Channels.of(
    {
        ("g1", "loop", "flow"): Channel(0, var=4.0),
        ("g1", "loop", "speed"): Channel(1, var=1.0, scale=0.5, offset=2.0),
        ("g0", "loop", "flow"): Channel(2, var=4.0),
    }
)
BAD, DOUBTFUL = code(Quality.BAD, Reason.RANGE), code(Quality.UNCERTAIN, Reason.STUCK)


def sent(*blocks: object) -> Batch:
    """Through the bytes, as it comes."""
    return decode(encode(batch("g1", 2, 7, blocks)))  # type: ignore[arg-type]


def test_points_become_channels_in_their_units() -> None:
    found = measurements(sent(block("loop", ["flow", "speed"], [NS, 2 * NS], [[10, 20], [11, 21]])), CHANNELS, STAMP)
    meas = found.meas
    assert meas.t_ns.tolist() == [NOON + NS, NOON + NS, NOON + 2 * NS, NOON + 2 * NS]
    assert meas.channel.tolist() == [0, 1, 0, 1]
    assert meas.y.tolist() == [10.0, 12.0, 11.0, 12.5]
    assert meas.var.tolist() == [4.0, 1.0, 4.0, 1.0]
    assert (meas.gateway.tolist(), meas.epoch.tolist(), meas.sequence.tolist()) == ([1] * 4, [2] * 4, [7] * 4)
    assert set(meas.arrived_ns.tolist()) == {STAMP.arrived_ns}


def test_every_number_is_in_one_place() -> None:
    one = sent(
        block(
            "loop", ["flow", "speed"], [NS, 2 * NS, 3 * NS], [[1, np.nan], [2, 5], [3, 6]], [[0, 0], [BAD, 0], [0, 0]]
        ),
        block("loop", ["flow"], [NS, -(10**18)], [[7], [8]]),
        block("lamp", ["power"], [NS], [[1]]),
    )
    found = measurements(one, CHANNELS, STAMP)
    assert (found.foreign, found.bad, found.impossible, found.repeated) == (1, 2, 1, 1)
    assert len(found.meas) + 5 == sum(each.values.size for each in one.blocks)
    nowhere = measurements(one, Channels.of({}), STAMP)
    assert (len(nowhere.meas), nowhere.foreign) == (0, 9)
    assert measurements(one, Channels.of({("g1", "x", "y"): Channel(0, 1.0)}), STAMP).foreign == 9


def test_doubt_widens_the_error() -> None:
    one = sent(block("loop", ["flow"], [NS, 2 * NS], [[1], [2]], [[DOUBTFUL], [0]]))
    assert measurements(one, CHANNELS, STAMP).meas.var.tolist() == [4.0 * UNCERTAIN_FACTOR, 4.0]
    unsynced = replace(STAMP, clock_error_ns=3 * NS)
    meas = measurements(one, CHANNELS, unsynced).meas
    assert meas.var.tolist() == [4.0 * UNCERTAIN_FACTOR] * 2
    assert meas.code.tolist() == [DOUBTFUL, code(Quality.UNCERTAIN, Reason.CLOCK)]


def test_the_order_is_that_of_event_gateway_epoch_sequence_channel() -> None:
    noise = np.random.default_rng(0)
    columns = {name: noise.integers(0, 3, 200) for name in ("t_ns", "gateway", "epoch", "sequence", "channel")}
    meas = Meas.of(**columns, y=noise.standard_normal(200), var=1.0)
    expected = sorted(set(zip(*(column.tolist() for column in columns.values()), strict=True)))
    ordered = meas.ordered()
    assert list(zip(*(getattr(ordered, name).tolist() for name in columns), strict=True)) == expected
    shuffled = meas.take(noise.permutation(np.concatenate([np.arange(200), np.arange(50)]))).ordered()
    assert shuffled.same_as(ordered)


def test_steps_are_the_nearest() -> None:
    meas = Meas.of(t_ns=[29, 30, 89, 90], gateway=0, epoch=1, sequence=[1, 2, 3, 4], channel=0, y=0.0, var=1.0)
    assert meas.steps(60).tolist() == [0, 1, 1, 2]
    assert [(k, part.t_ns.tolist()) for k, part in meas.by_step(60)] == [(0, [29]), (1, [30, 89]), (2, [90])]


def test_all_faults_at_once() -> None:
    bad = Meas.of(t_ns=0, gateway=0, epoch=1, sequence=1, channel=[0, 5], y=[np.inf, 1], var=[1, -1])
    with pytest.raises(BadMeas) as told:
        bad.check(3)
    assert len(str(told.value).splitlines()) == 3
    with pytest.raises(BadMeas, match="unequal length"):
        replace(bad, y=np.zeros(3)).check(3)
    Meas.none().check(0)
