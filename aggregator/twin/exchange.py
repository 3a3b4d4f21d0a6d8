"""What a domain takes from outside, step by step: from other domains, from a forecast of the weather, from a scenario.

A value counts from its step on until a newer one of the same source; what several sources give to one asset adds up.
A replay reads again what was put, so the same readings and the same inputs give the same state; who puts other values
for a step that has been passed has the fuser redo it from there.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.twin import BadModel, Floats
from aggregator.twin.part import Flow

STEPS_MAX = 100_000  # held of one source: two months of minutes


@dataclass(slots=True)
class Given:
    """What one source has put, and from when on."""

    steps: list[int] = field(default_factory=list)  # ascending
    values: dict[int, Floats] = field(default_factory=dict)

    def at(self, k: int) -> Floats | None:
        place = bisect_right(self.steps, k)
        return self.values[self.steps[place - 1]] if place else None

    def put(self, k: int, values: Floats) -> bool:
        """Kept even where it changes nothing now: an earlier one that comes later must not reach beyond it."""
        known = self.at(k)
        if k not in self.values:
            insort(self.steps, k)
        self.values[k] = values.copy()
        return known is None or not np.array_equal(known, values, equal_nan=True)

    def forget(self, before: int) -> None:
        """Drop what no step from `before` on needs."""
        old = max(0, bisect_right(self.steps, before) - 1)
        for k in self.steps[:old]:
            del self.values[k]
        del self.steps[:old]


@dataclass(slots=True)
class Taken:
    """One flow: its assets, in order, and who gives it."""

    assets: Sequence[str]
    default: Floats  # (a,)
    sources: dict[str, Given] = field(default_factory=dict)

    def at(self, k: int) -> Floats:
        given = [v for name in sorted(self.sources) if (v := self.sources[name].at(k)) is not None]
        if not given:
            return self.default
        stacked = np.array(given)
        silent = np.isnan(stacked)
        return np.where(silent.all(axis=0), self.default, np.where(silent, 0.0, stacked).sum(axis=0))


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
        """(a,) of flow `name` for step k; not to be changed."""
        return self._taken[name].at(k)

    def put(self, name: str, k: int, values: Floats, source: str = "") -> bool:
        """`values` (a,) count from step k on; whether that is news. NaN says nothing about an asset.

        Raises BadModel for what does not fit.
        """
        one = self._taken.get(name)
        if one is None or values.shape != (len(one.assets),) or np.isinf(values).any():
            known = ", ".join(f"{name} ({len(taken.assets)})" for name, taken in self._taken.items()) or "nothing"
            raise BadModel(f"input {name}: {values.shape} numbers, finite ones; this domain takes {known}")
        given = one.sources.setdefault(source, Given())
        news = given.put(k, values)
        if len(given.steps) > STEPS_MAX:
            given.forget(given.steps[1])
        return news

    def forget(self, before: int) -> None:
        """Drop what no step from `before` on needs."""
        for one in self._taken.values():
            for given in one.sources.values():
                given.forget(before)

    def copied(self) -> "Inputs":
        """For a scenario: what it puts, nobody else sees."""
        other = Inputs({}, {})
        other._taken = {
            name: Taken(
                one.assets,
                one.default,
                {source: Given(list(given.steps), dict(given.values)) for source, given in one.sources.items()},
            )
            for name, one in self._taken.items()
        }
        return other

    def arrays(self) -> dict[str, Floats]:
        """All that was put, to keep: flow/source → (steps, 1 + a), the step first."""
        return {
            f"{name}/{source}": np.array([[k, *given.values[k]] for k in given.steps])
            for name, one in self._taken.items()
            for source, given in one.sources.items()
            if given.steps
        }

    def load(self, arrays: Mapping[str, Floats]) -> None:
        """What `arrays` gave. Raises BadModel for what does not fit."""
        for key, rows in arrays.items():
            name, _, source = key.partition("/")
            for row in rows:
                self.put(name, int(row[0]), row[1:], source)
