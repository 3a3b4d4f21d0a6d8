"""What a domain of the city brings: how its state moves, how it is seen, what may be done about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from aggregator.twin import Flags, Floats
from aggregator.twin.belief import Belief
from aggregator.twin.exchange import Inputs
from aggregator.twin.model import Model, Sparse
from aggregator.twin.part import Flow, Key, Kind, Part
from aggregator.twin.risk import Risk
from aggregator.twin.series import Series


@dataclass(frozen=True, slots=True)
class Limits:
    """G x + L u ≤ c (c (l,)); where `hard` (l,), no plan may go beyond, whatever it costs."""

    G: Sparse
    L: Sparse
    c: Floats
    hard: Flags


@dataclass(frozen=True, slots=True)
class Plan:
    """u (T, inputs), one column for each of the domain's `controls`; what it costs, and why it is as it is.

    `bound`: no plan can cost less. `without`: what doing nothing new costs by the same measure; the gain is the rest.
    """

    u: Floats
    cost: float
    bound: float
    status: Literal["optimal", "feasible", "fallback"]
    why: str
    without: float = float("nan")

    @property
    def gain(self) -> float:
        return self.without - self.cost


class Stated(NamedTuple):
    """What one state is a number of."""

    asset: str
    quantity: str
    unit: str


class Control(NamedTuple):
    """What one column of a plan sets. `point` gateway/device/point; empty where people carry it out."""

    asset: str
    quantity: str
    unit: str
    point: str = ""


class Domain(Model, Protocol):
    """A model with something to decide and something to tell."""

    inputs: Inputs  # what `exogenous` reads; the wiring and scenarios put into it

    @property
    def states(self) -> Sequence[Stated]:
        """n names."""
        ...

    @property
    def controls(self) -> Sequence[Control]: ...

    def steer(self, u: Floats, row: Floats, k: int) -> Floats:
        """The exogenous inputs u of step k when `row` (inputs,) of a plan is carried out; NaN leaves a thing alone."""
        ...

    def gives(self, x: Floats, k: int) -> Mapping[str, Floats]:
        """What others may take, by the names in GIVES: one number per asset of the flow's kind, in the part's order."""
        ...

    def indicators(self, X: Floats, u: Floats, k: int) -> Mapping[str, Floats]:
        """(N,) each: what people judge a step by, lower is better, per step; columns of X are members."""
        ...

    def limits(self, x: Floats, k: int) -> Limits: ...

    def plan(self, belief: Belief, horizon: int, deadline_s: float) -> Plan: ...

    def risks(self, series: Series) -> list[Risk]:
        """What a forecast makes probable, the largest expectation first."""
        ...

    def contingencies(self, belief: Belief, series: Series) -> list[Risk]:
        """What the loss of any one asset would do (N-1), with the chance of that loss within the horizon."""
        ...


class Module(Protocol):
    """A domain's package, as the city reads it."""

    KINDS: Mapping[str, Kind]
    SETTINGS: Mapping[str, Key]
    TAKES: Mapping[str, Flow]
    GIVES: Mapping[str, Flow]

    def build(self, part: Part) -> Domain:
        """Raises BadModel with all faults, one per line, each naming the asset."""
        ...

    def example(self) -> Domain:
        """A small one for the battery."""
        ...
