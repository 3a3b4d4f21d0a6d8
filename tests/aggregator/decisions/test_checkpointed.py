"""The city as its server has kept it: its last checkpoint, a moment in the lag, one before it, and what cannot be."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aggregator.city.file import City
from aggregator.decisions.checkpointed import of_live, opened
from aggregator.decisions.scenario import NS, Scenario
from aggregator.stores import StoreError
from aggregator.stores.city import CityStore
from aggregator.twin import BadModel
from tests.aggregator.city.ponds import START_NS
from tests.aggregator.decisions.hills import hills, ran, watered

END_NS = START_NS + 300 * NS


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    with hills(tmp_path, monkeypatch) as one:
        yield one


@pytest.fixture
def store(tmp_path: Path, city: City) -> Iterator[CityStore]:
    one = CityStore(tmp_path / "city.sqlite")
    one.save(7, watered(city).pack())
    for name, n in (("blueprint", 1), ("below", 1)):
        dt_ns = 10 * NS if name == "blueprint" else 20 * NS
        k = (START_NS - 100 * NS) // dt_ns
        one.record(name, dt_ns, START_NS, [(k, np.full(n, 0.25, np.float32), np.full(n, 0.5, np.float32))])
    yield one
    one.close()


def test_the_last_checkpoint_is_the_live_city(city: City, store: CityStore) -> None:
    found, live = opened(city, store, END_NS), of_live(watered(city))
    assert found.t_ns == END_NS
    assert found.digest() == live.digest()
    assert found.fingerprint("below") == live.fingerprint("below")
    assert not found.verdict("below").allowed
    assert not found.verdict("nothing").allowed
    plain = Scenario("x", 100 * NS)
    assert np.array_equal(
        ran(found, plain).tracks["below"].indicators[0].members, ran(live, plain).tracks["below"].indicators[0].members
    )


def test_a_moment_that_the_lag_holds(city: City, store: CityStore) -> None:
    found = opened(city, store, END_NS, END_NS - 100 * NS)
    assert found.t_ns == END_NS - 100 * NS
    assert not found.notes


def test_an_older_moment_is_begun_from_its_picture_and_says_so(city: City, store: CityStore) -> None:
    found = opened(city, store, END_NS, START_NS - 90 * NS)
    assert found.t_ns == START_NS - 100 * NS
    assert found.standing["blueprint"][1].sd.tolist() == [0.5]
    assert "without correlations" in ran(found, Scenario("x", 100 * NS)).notes[0]
    with pytest.raises(StoreError, match="nothing is kept"):
        opened(city, store, END_NS, START_NS - 10**6 * NS)


def test_a_city_that_the_server_has_not_kept(city: City, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no checkpoint of this city: blueprint: nothing is kept of it"):
        opened(city, CityStore(tmp_path / "empty.sqlite"), END_NS)


def test_what_has_other_states_is_no_change(city: City) -> None:
    now = of_live(watered(city))
    part = city.parts["blueprint"]
    more = replace(part, assets=[*part.assets, replace(part.assets[0], id="third")])
    with pytest.raises(BadModel, match="gives it other states"):
        now.fresh({"blueprint": more})
