"""What a domain takes from outside, step by step: from other domains, from a forecast of the weather, from a scenario.

A value counts from its step on until a newer one. A replay reads again what was put, so the same readings and the same
inputs give the same state; who puts other values for a step that has been passed has the fuser redo it from there.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.twin import BadModel, Floats
from aggregator.twin.part import Flow

STEPS_MAX = 100_000  # held of one flow: two months of minutes


@dataclass(slots=True)
class Taken:
    """One flow: its assets, in order, and what was put when."""

    assets: Sequence[str]
    default: Floats  # (a,)
    steps: list[int] = field(default_factory=list)
    values: dict[int, Floats] = field(default_factory=dict)

    def at(self, k: int) -> Floats:
        place = bisect_right(self.steps, k)
        return self.values[self.steps[place - 1]] if place else self.default


class Inputs:
    """Bounded. `names` are the flows a domain takes, each with one number per asset."""

    def __init__(self, takes: Mapping[str, Flow], assets: Mapping[str, Sequence[str]]) -> None:
        """`assets` names, for each flow, the assets of its kind in the domain's order."""
        self._taken = {
            name: Taken(tuple(assets[name]), np.full(len(assets[name]), flow.default)) for name, flow in takes.items()
        }

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._taken)

    def assets(self, name: str) -> Sequence[str]:
        return self._taken[name].assets

    def at(self, name: str, k: int) -> Floats:
        """(a,) of flow `name` for step k."""
        return self._taken[name].at(k)

    def put(self, name: str, k: int, values: Floats) -> bool:
        """`values` (a,) count from step k on; whether that is news. Raises BadModel for what does not fit."""
        one = self._taken.get(name)
        if one is None or values.shape != (len(one.assets),) or not np.isfinite(values).all():
            known = ", ".join(f"{name} ({len(taken.assets)})" for name, taken in self._taken.items()) or "nothing"
            raise BadModel(f"input {name}: {values.shape} numbers, finite ones; this domain takes {known}")
        if k not in one.values:
            if np.array_equal(one.at(k), values):
                return False
            insort(one.steps, k)
        elif np.array_equal(one.values[k], values):
            return False
        one.values[k] = values.copy()
        if len(one.steps) > STEPS_MAX:
            self.forget(one.steps[1])
        return True

    def forget(self, before: int) -> None:
        """Drop what no step from `before` on needs."""
        for one in self._taken.values():
            keep = max(0, bisect_right(one.steps, before) - 1)
            for k in one.steps[:keep]:
                del one.values[k]
            del one.steps[:keep]

    def copied(self) -> "Inputs":
        """For a scenario: what it puts, nobody else sees."""
        other = Inputs({}, {})
        other._taken = {
            name: Taken(one.assets, one.default, list(one.steps), dict(one.values)) for name, one in self._taken.items()
        }
        return other
