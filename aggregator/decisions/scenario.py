"""A scenario: from when, for how long, with how many members, and what is otherwise than it is.

Times of changes are from the scenario's beginning on. A change counts for the steps that end in its span.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from aggregator.twin import Floats
from aggregator.twin.domain import Domain
from aggregator.twin.part import Part

NS = 1_000_000_000
ALWAYS_NS = 2**62


class Span(NamedTuple):
    """After from_ns, until until_ns, from the beginning of the scenario."""

    from_ns: int = 0
    until_ns: int = ALWAYS_NS

    def has(self, since_ns: int) -> bool:
        return self.from_ns < since_ns <= self.until_ns


ALWAYS = Span()


@dataclass(frozen=True, slots=True)
class InputChange:
    """Of a flow that a domain takes; `assets` empty: of all. What others give to it is replaced, scaled or added to."""

    domain: str
    flow: str
    how: Literal["value", "factor", "add"]
    amount: float
    assets: Sequence[str] = ()
    span: Span = ALWAYS

    def on(self, values: Floats, all_assets: Sequence[str]) -> Floats:
        """`values` (a,) as they are changed; NaN where they are not."""
        here = np.array([not self.assets or one in self.assets for one in all_assets], np.bool_)
        if self.how == "value":
            changed = np.full_like(values, self.amount)
        else:
            changed = values * self.amount if self.how == "factor" else values + self.amount
        return np.where(here, changed, np.nan)


@dataclass(frozen=True, slots=True)
class AssetChange:
    """A closure, an outage, a smaller pump: a value of an asset is another one."""

    domain: str
    asset: str
    key: str
    value: float | str
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class ControlChange:
    """One column of a domain's plan has this value; in the unit of the control."""

    domain: str
    asset: str
    quantity: str
    value: float
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class Watch:
    """How likely a state, or with `flow` what the domain gives to others, goes beyond a limit is counted."""

    domain: str
    asset: str
    quantity: str
    limit: float
    above: bool = True
    flow: bool = False

    @property
    def name(self) -> str:
        return f"{self.asset} {self.quantity} {'above' if self.above else 'below'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`planned` domains carry out the plan they make at the beginning; `rows` (T, controls) says one out, the last
    row to the end; `controls` come on top. Controls that nobody names are 0."""

    name: str
    horizon_ns: int
    at_ns: int | None = None  # UTC; None is now
    members: int = 50
    seed: int = 0
    times: int = 12
    inputs: Sequence[InputChange] = ()
    assets: Sequence[AssetChange] = ()
    planned: Sequence[str] = ()
    rows: Mapping[str, Floats] = field(default_factory=dict)
    controls: Sequence[ControlChange] = ()
    watches: Sequence[Watch] = ()
    text: str = ""  # the file

    def assets_at(self, since_ns: int) -> tuple[AssetChange, ...]:
        return tuple(one for one in self.assets if one.span.has(since_ns))

    def steers(self, domain: str) -> bool:
        """Whether this domain is told what to do."""
        named = domain in self.planned or domain in self.rows
        return named or any(one.domain == domain for one in self.controls)


def changed(parts: Mapping[str, Part], changes: Sequence[AssetChange]) -> dict[str, Part]:
    """The city's parts with other values."""
    found = dict(parts)
    for one in changes:
        part = found[one.domain]
        assets = [
            replace(asset, values={**asset.values, one.key: one.value}) if asset.id == one.asset else asset
            for asset in part.assets
        ]
        found[one.domain] = replace(part, assets=assets)
    return found


def row_of(domain: Domain, changes: Sequence[ControlChange], planned: Floats) -> Floats:
    """(inputs,) `planned` with what `changes` say."""
    row = planned.copy()
    for one in changes:
        for column, control in enumerate(domain.controls):
            if (control.asset, control.quantity) == (one.asset, one.quantity):
                row[column] = one.value
    return row
