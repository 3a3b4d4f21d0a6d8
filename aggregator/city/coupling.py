"""How one domain's numbers become another's inputs: traffic's emissions the air's sources, an outage dark signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from aggregator.twin import Floats

EARTH_M = 111_194.9  # of a degree on a great circle, mean radius 6,371 km

Place = tuple[float, float]  # degrees: longitude, latitude


class End(NamedTuple):
    """`domain.flow` as a city file names it."""

    domain: str
    flow: str


@dataclass(frozen=True, eq=False, slots=True)
class Coupling:
    """taken = W given, in the taker's unit. `late`: the taker sees it one step of its own later."""

    gives: End
    takes: End
    W: sp.csr_array = field(repr=False)  # (assets of the taker, assets of the giver)
    late: bool = False

    def __call__(self, given: Floats) -> Floats:
        taken: Floats = self.W @ given
        return taken


def order(domains: Sequence[str], couplings: Sequence[Coupling]) -> list[str]:
    """Domains such that none comes before what it takes from, late couplings aside.

    Raises CycleError where they lead in a circle; its second argument is the circle.
    """
    needs: dict[str, set[str]] = {name: set() for name in domains}
    for one in couplings:
        if not one.late:
            needs[one.takes.domain].add(one.gives.domain)
    return list(TopologicalSorter(needs).static_order())


def circle(domains: Sequence[str], couplings: Sequence[Coupling]) -> list[str]:
    """The domains of a circle of couplings, first and last the same; empty where there is none."""
    try:
        order(domains, couplings)
    except CycleError as error:
        return list(error.args[1])
    return []


def by_pairs(pairs: Mapping[tuple[str, str], float], givers: Sequence[str], takers: Sequence[str]) -> sp.csr_array:
    """W from (giver, taker) → weight."""
    row = {name: place for place, name in enumerate(takers)}
    column = {name: place for place, name in enumerate(givers)}
    rows, columns = [row[taker] for _, taker in pairs], [column[giver] for giver, _ in pairs]
    return sp.csr_array((np.array([*pairs.values()], float), (rows, columns)), shape=(len(takers), len(givers)))


def to_nearest(givers: Sequence[Place], takers: Sequence[Place]) -> sp.csr_array:
    """Every giver's number goes to the nearest taker, where they add up: masses, vehicles, power."""
    near = nearest(takers, givers)
    return sp.csr_array((np.ones(len(givers)), (near, np.arange(len(givers)))), shape=(len(takers), len(givers)))


def from_nearest(givers: Sequence[Place], takers: Sequence[Place]) -> sp.csr_array:
    """Every taker takes the number of the nearest giver: temperatures, prices, states."""
    near = nearest(givers, takers)
    return sp.csr_array((np.ones(len(takers)), (np.arange(len(takers)), near)), shape=(len(takers), len(givers)))


def nearest(among: Sequence[Place], of: Sequence[Place]) -> list[int]:
    """For each of `of` the place in `among` that is nearest, the first where two are.

    On a plane that touches the earth in their middle: right to a per mille over a city.
    """
    metres = EARTH_M * np.array([np.cos(np.radians(np.mean([lat for _, lat in among]))), 1.0])
    there = np.array(among) * metres
    return [int(np.argmin(((there - one) ** 2).sum(axis=1))) for one in np.array(of) * metres]
