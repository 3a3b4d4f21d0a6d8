"""Two coupled domains: whatever order readings come in, the whole city is the same to the bit, also after a restart."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from aggregator.city.file import City, load
from aggregator.city.live import Lane, Live
from aggregator.twin import Floats
from protos.batch import Batch
from tests.aggregator.city.ponds import NS, START_NS, batches, stamp, two_hills

SECONDS = 300
END_NS = START_NS + SECONDS * NS


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with two_hills(tmp_path, monkeypatch) as path:
        yield load(path)


def state(live: Live) -> dict[str, tuple[Floats, Floats]]:
    return {name: (one.fuser.belief().x, one.fuser.belief().variance) for name, one in live.lanes.items()}


def same(one: Live, other: Live) -> bool:
    return all(
        np.array_equal(a, b)
        for name, numbers in state(one).items()
        for a, b in zip(numbers, state(other)[name], strict=True)
    )


def in_order(city: City, made: Sequence[Batch]) -> Live:
    """Each batch as it comes, the twin following a little behind."""
    live = Live(city, START_NS)
    for one in made:
        newest = max(int(block.receive_ns[-1]) for block in one.blocks)
        live.accept(one, stamp())
        live.advance(START_NS + newest - 10 * NS)
    live.advance(END_NS)
    return live


def test_what_overflows_above_runs_in_below(city: City) -> None:
    live = in_order(city, batches(SECONDS))
    below, above = live.lanes["below"], live.lanes["blueprint"]
    assert list(live.city.parts) == ["blueprint", "below"]
    steps = range(START_NS // below.domain.dt_ns + 1, below.fuser.k + 1)
    over = [max(above.fuser.belief(2 * k).x[0] - 1.0, 0.0) for k in steps]  # of the step that ends at the same time
    assert max(over) > 0
    assert [below.domain.inputs.at("rain", k)[0] for k in steps] == [0.5 * one for one in over]
    assert live.now_ns == END_NS


@pytest.mark.parametrize("seed", range(5))
def test_any_order_gives_the_same_city(city: City, seed: int) -> None:
    """Shuffled within the lag, some twice, the city going on from where each leaves it."""
    made = batches(SECONDS)
    noise = np.random.default_rng(seed)
    live = Live(city, START_NS)
    live.advance(END_NS - 60 * NS)
    shuffled = [made[i] for i in noise.permutation(len(made))]
    for number, one in enumerate([*shuffled, *shuffled[::3]]):
        live.accept(one, stamp())
        if number % 3 == 0:
            live.advance(END_NS - 30 * NS)
    live.advance(END_NS)
    assert same(live, in_order(city, made))


def test_taking_late_readings_without_going_back_gives_another_city(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: without the replay of those who take, the state depends on the order."""
    made = batches(SECONDS)
    right = in_order(city, made)
    live = Live(city, START_NS)
    monkeypatch.setattr(Lane, "go_back", lambda lane: None)
    for one in reversed(made):
        live.accept(one, stamp())
        live.advance(END_NS)
    assert not same(live, right)


def test_a_restart_changes_nothing(city: City) -> None:
    made = batches(SECONDS)
    live = Live(city, START_NS)
    live.advance(START_NS + 100 * NS)
    for one in made[:30]:
        live.accept(one, stamp())
    live.advance(START_NS + 140 * NS)
    again = Live(city, START_NS)
    assert again.unpack(live.pack()) == {}
    assert same(again, live)
    again.advance(END_NS - 60 * NS)
    for one in made[20:]:  # some twice
        again.accept(one, stamp())
    again.advance(END_NS)
    assert same(again, in_order(city, made))


def test_a_snapshot_of_another_city_is_told_and_left(city: City) -> None:
    live = Live(city, START_NS)
    lost = live.unpack({"blueprint": b"nonsense"})
    assert set(lost) == {"blueprint", "below"}
    assert "snapshot" in lost["blueprint"]


def test_a_domain_without_numbers_begins_anew_and_the_others_go_on(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    live = Live(city, START_NS)
    domain = live.lanes["blueprint"].domain
    whole = domain.f
    broken = START_NS // domain.dt_ns + 5
    monkeypatch.setattr(domain, "f", lambda x, u, k: whole(x, u, k) * (np.nan if k == broken else 1.0), raising=False)
    for one in batches(SECONDS):
        live.accept(one, stamp())
    live.advance(END_NS)
    assert "not finite" in live.failures()["blueprint"]
    assert live.failures() == {}
    assert live.now_ns == END_NS
    assert np.isfinite(live.lanes["blueprint"].fuser.belief().x).all()


def test_a_reading_that_cannot_be_is_found(city: City) -> None:
    made = batches(SECONDS)
    made[40].blocks[0].values[:] = 9.0
    live = in_order(city, made)
    found = live.findings()
    assert {one.detector for one in found["blueprint"]} >= {"gate"}
    assert live.findings() == {"blueprint": [], "below": []}
