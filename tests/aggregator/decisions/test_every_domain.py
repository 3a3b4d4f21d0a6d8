"""Every domain in the table, as its own example: it can be imagined, with its own plan, and its risks ranked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from aggregator.city.file import City
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.comparison import compare
from aggregator.decisions.risks import assess
from aggregator.decisions.scenario import Scenario
from aggregator.domains import DOMAINS, module_of
from aggregator.twin.domain import Domain
from aggregator.twin.part import Part
from tests.aggregator.decisions.hills import ran

STEPS = 4


@dataclass(frozen=True, slots=True)
class Alone(City):
    """A city of one domain, which has no file: its example."""

    def domains(self) -> dict[str, Domain]:
        return {self.name: module_of(self.name).example()}


def standing(name: str) -> Checkpointed:
    city = Alone(name, {name: Part(name)}, {})
    domain = city.domains()[name]
    return Checkpointed(city, {name: (domain, domain.prior(1000))})


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_is_imagined_planned_and_its_risks_are_ranked(name: str) -> None:
    city = standing(name)
    domain = city.standing[name][0]
    plain = Scenario("as it is", STEPS * domain.dt_ns, members=6, times=2)
    planned = Scenario("planned", STEPS * domain.dt_ns, members=6, times=2, planned=[name] if domain.controls else [])
    one, other = ran(city, plain), ran(city, planned)
    track = one.tracks[name]
    assert all(np.isfinite(each.members).all() and each.members.shape == (STEPS, 6) for each in track.indicators)
    assert np.isfinite(track.mean).all()
    assert bool(other.tracks[name].plan) == bool(domain.controls)
    assert len(compare(one, other).indicators) == len(track.indicators)
    found = numbers(city, STEPS * domain.dt_ns)
    assert found["risks"] >= 0
    assert found["critical"] > 0


def numbers(city: Checkpointed, horizon_ns: int) -> Mapping[str, int]:
    steps = assess(city, horizon_ns)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return {"risks": len(end.value.risks), "critical": len(end.value.critical)}
