"""What a whole day says of each of its steps: surer than what was believed then, whenever readings came."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregator.city.file import City, load
from aggregator.city.live import Live
from aggregator.city.night import Span, points_of, smoothed, spans
from aggregator.stores.history import PointName, Readings
from protos.batch import Batch
from tests.aggregator.city.ponds import NS, START_NS, batches, stamp, two_hills

SECONDS = 600


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with two_hills(tmp_path, monkeypatch) as path:
        yield load(path)


def readings(made: Sequence[Batch]) -> Iterator[Readings]:
    """As history gives them: of one point after the other."""
    for name in ("gw-a/gauge/level", "gw-b/gauge/level", "gw-a/weather/rain"):
        gateway, device, point = name.split("/")
        rows = [
            (START_NS + int(t), float(y), one.key.sequence)
            for one in made
            if one.key.gateway == gateway
            for block in one.blocks
            if block.device == device
            for t, y in zip(block.source_ns, block.values[:, 0], strict=True)
        ]
        times, values, sequences = (np.array(column) for column in zip(*rows, strict=True))
        codes, epochs = np.zeros(len(rows), np.uint8), np.ones(len(rows), np.int64)
        yield Readings(PointName(gateway, device, point), times, times, values, codes, None, epochs, sequences, times)


def test_all_readings_of_a_day_say_more_than_those_before_each_step(city: City) -> None:
    made = batches(SECONDS)
    span = Span(START_NS + 100 * NS, START_NS + SECONDS * NS - 100 * NS)
    live = Live(
        replace(city, twins={name: {**twin, "lag_s": 3600.0} for name, twin in city.twins.items()}), span.from_ns
    )
    live.advance(span.until_ns)
    for one in made:
        live.accept(one, stamp())
    live.advance(span.until_ns)
    for lane, beliefs in smoothed(city, span, readings(made)):
        assert [one.k * lane.domain.dt_ns for one in (beliefs[0], beliefs[-1])] == [
            span.first_ns + lane.domain.dt_ns,
            span.last_ns,
        ]
        filtered = [live.lanes[lane.name].fuser.belief(one.k) for one in beliefs]
        assert all(
            (one.variance <= before.variance * (1 + 1e-9)).all() for one, before in zip(beliefs, filtered, strict=True)
        )
        assert sum(one.variance.sum() for one in beliefs) < 0.9 * sum(one.variance.sum() for one in filtered)


def test_a_day_is_cut_into_windows_without_gap_or_overlap(city: City) -> None:
    found = spans(START_NS, START_NS + 9000 * NS)
    assert [(one.first_ns - START_NS) // NS for one in found] == [0, 3600, 7200]
    assert [one.last_ns for one in found[:-1]] == [one.first_ns for one in found[1:]]
    assert found[-1].last_ns == START_NS + 9000 * NS
    assert {str(one) for one in points_of(city)} == {"gw-a/gauge/level", "gw-b/gauge/level", "gw-a/weather/rain"}
