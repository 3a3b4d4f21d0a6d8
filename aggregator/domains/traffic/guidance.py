"""Which way to take now: routes with live times, and when a vehicle in a hurry needs green at which junction.

A link's time has a spread: what the twin does not know of its vehicles, and the wait at its signals, which is anything
from none to a whole red. Over a route means add up, and variances (links taken as independent, which makes the spread
of a jammed route a little too small). A route is recommended by how probable it is that it is the quickest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from aggregator.domains.traffic import Domain
from aggregator.domains.traffic.dynamics import flows
from aggregator.twin import BadModel, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.part import Asset

HURRY = 0.75  # of the usual time on a link, for one that others let pass
SURE_SD = 1.5  # before and after the expected arrival that green is asked for


class Way(NamedTuple):
    """`best`: probability that it is the quickest of its group, each compared with the next best alone."""

    route: str
    group: str
    mean_s: float
    sd_s: float
    best: float


@dataclass(frozen=True, slots=True)
class Green:
    """A request: this stage green at this junction, from and until so many seconds from now."""

    junction: str
    stage: str
    from_s: float
    until_s: float


def times(domain: Domain, belief: Belief) -> tuple[Floats, Floats]:
    """Mean and standard deviation (E,), s, of each link now."""
    one, E = domain.streets, domain.streets.E
    n, sd = np.maximum(belief.x[:E], 0.0), belief.sd[:E]
    mean = domain.times(n, belief.k)
    out = flows(one, domain.habits, n[:, None], domain.drive(belief.k))[:, 0]
    unknown = np.minimum(sd / np.maximum(out, 1e-3), mean)  # no more doubt than all of it
    red = one.cycles[one.ends[1]] * (1 - one.share(one.greens)) * one.held
    return mean, np.sqrt(unknown**2 + red**2 / 12)


def ways(domain: Domain, belief: Belief) -> list[Way]:
    """All routes of the city, group by group, the quickest first."""
    mean, sd = times(domain, belief)
    streets = domain.streets
    found = []
    for route in streets.routes:
        links = streets.routed(route)
        total, spread = float(mean[links].sum()), float(np.sqrt((sd[links] ** 2).sum()))
        found.append(Way(route.id, route.text("group"), total, spread, 1.0))
    return sorted((one._replace(best=chance(one, found)) for one in found), key=lambda one: (one.group, one.mean_s))


def chance(one: Way, every: Sequence[Way]) -> float:
    rivals = [other for other in every if other.group == one.group and other.route != one.route]
    if not rivals:
        return 1.0
    return min(float(ndtr((other.mean_s - one.mean_s) / max(np.hypot(other.sd_s, one.sd_s), 1e-6))) for other in rivals)


def wave(domain: Domain, belief: Belief, route: str) -> list[Green]:
    """Greens that a vehicle on its way along `route` asks for, starting now. Raises BadModel for an unknown route."""
    streets = domain.streets
    known: dict[str, Asset] = {one.id: one for one in streets.routes}
    if route not in known:
        raise BadModel(f"route {route} is not in the city; there are {', '.join(known) or 'none'}")
    mean, sd = times(domain, belief)
    found, at, spread = [], 0.0, 0.0
    for link in streets.routed(known[route]):
        at += max(HURRY * float(mean[link]), float(streets.free_s[link]) * HURRY)
        spread = float(np.hypot(spread, HURRY * sd[link]))
        stages = np.flatnonzero(streets.serves[[int(link)], :].toarray()[0])
        if len(stages):
            stage, junction = streets.stages[int(stages[0])], streets.junctions[int(streets.ends[1][link])]
            found.append(Green(junction.id, stage.id, max(at - SURE_SD * spread, 0.0), at + SURE_SD * spread))
    return found
