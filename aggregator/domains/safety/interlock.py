"""Interlocks across domains: what may not be done while something else is so. Checked last, before anything is asked.

    route      not over a road that a flood closes, or that is closed
    preempt    not at signals that are out of order: nobody answers there, and crews must know that it is not green
    dispatch   not a unit that is busy; not to a place that no road leads to

A dispatch desk decides on its own what these refuse: every refusal says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aggregator.domains.safety.ground import Ground
from aggregator.twin import Flags, Floats

CERTAIN = 0.5  # a flag that comes as a probability counts from here on


@dataclass(frozen=True, eq=False, slots=True)
class Interlocks:
    """What is refused now."""

    roads: Flags  # (roads,) not to be driven
    signals: Flags  # (crossings,) not to be asked
    units: Flags  # (units,) not to be sent

    @classmethod
    def of(cls, ground: Ground, levels: Floats, taken: Mapping[str, Floats]) -> "Interlocks":
        """`levels` (w,) as believed."""
        return cls(
            flooded(ground, levels) | (taken["closed"] > CERTAIN),
            taken["dark"] > CERTAIN,
            taken["busy"] > CERTAIN,
        )

    def seconds(self, ground: Ground, live: Floats) -> Floats:
        """(roads,) times to reckon with: live ones where known, inf where nobody may drive."""
        return np.where(self.roads, np.inf, np.where(live > 0, live, ground.free_s))


def flooded(ground: Ground, levels: Floats) -> Flags:
    """(roads,) closed by a flood as believed."""
    over = levels > ground.values("limit")
    found: Flags = np.asarray(ground.flooding[over].any(axis=0), np.bool_)
    return found
