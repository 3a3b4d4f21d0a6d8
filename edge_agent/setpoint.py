"""The words of acting: who may want what for an output, until when, and what was decided.

Every controller wishes; the arbiter narrows what is feasible in the fixed order of `Rank`; the guard has the last
word. A wish is an interval: a set-point is one of zero width.
"""

import math
from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from typing import ClassVar, NamedTuple, Protocol

from edge_agent.cell import ControllerSpec, Output
from edge_agent.image import Floats, Singles, View

FAULTS = (  # by which one controller or one twin fails in a tick, and not all of them with it
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Rank(IntEnum):
    """Who narrows first. The order is fixed: no file, order or model can change it. The guard comes after all."""

    INTERLOCK = 0  # local safety rules
    HAND = 1  # a person at the gateway, for a time
    EMERGENCY = 2  # an order of emergency class
    CENTRAL = 3  # an order of the aggregator
    OPTIMISER = 4  # controllers on measurements and on the twin
    DEFAULT = 5  # schedules and fixed values


class Authority(Enum):
    """Who has the say over an output now, as people are told."""

    LOCAL = "local"
    CENTRAL = "central"
    HAND = "hand"
    FAILSAFE = "failsafe"
    NOBODY = "nobody"  # not touched since the start


class Wish(NamedTuple):
    """One controller's will for one output, in internal units. It lapses at `not_after_ns` (monotonic) or its TTL."""

    output: int  # index among the cell's outputs
    low: float
    high: float
    why: str
    not_after_ns: int = 0  # 0: the output's TTL from now
    model: str = ""  # bundle and version it rests on

    @classmethod
    def exactly(cls, output: int, value: float, why: str, not_after_ns: int = 0, model: str = "") -> "Wish":
        return cls(output, value, value, why, not_after_ns, model)


class Standing(NamedTuple):
    """How an output stands while a tick is decided."""

    value: float  # as last applied or read back; NaN: unknown
    low: float  # what earlier controllers left
    high: float
    by: str  # who decided last; "" nobody


class Decision(NamedTuple):
    """What was decided for one output in one tick."""

    value: float  # NaN: leave it alone
    authority: Authority
    by: str  # controller, "guard" or ""
    why: str
    not_after_ns: int  # when it lapses if nobody renews it
    model: str = ""
    limited: str = ""  # rule of the guard that changed the value, "" none
    overruled: tuple[str, ...] = ()  # controllers that wished otherwise
    low: float = -math.inf  # what interlocks leave, even to the safe value
    high: float = math.inf

    @property
    def acts(self) -> bool:
        return not math.isnan(self.value)


class Port(NamedTuple):
    """Where a controller finds an input in the image, and how old it may be."""

    place: int
    stale_ns: int

    def good(self, view: View, *, uncertain: bool = True) -> bool:
        """Whether the value may be used: fresh, finite, not BAD; with `uncertain=False` GOOD only."""
        return view.usable(self.place, self.stale_ns, uncertain)

    def trusted(self, view: View) -> bool:
        """Whether the value may be fed back: as `good`, and not one that cleaning doubts (stuck, spike, rate, …)."""
        return view.trusted(self.place, self.stale_ns)

    def received_ns(self, view: View) -> int:
        """When the value came: a new one is a new time, even if it is the same."""
        return view.now_ns - int(view.age_ns[self.place])

    def value(self, view: View) -> float:
        return float(view.values[self.place])


class Controller(Protocol):
    """One way of deciding. Deterministic, no IO, no clock of its own; state of its own is allowed.

    It returns no wish for an output that it has no opinion on, or when its inputs may not be used (its documented
    fallback); it then must not pretend: the output falls to lower ranks, and in the end to its safe value.
    `standing` has the value that really is applied, so that it can take over without a bump: whoever is not in charge
    (`standing[k].by != name`) follows the applied value.
    """

    KIND: ClassVar[str]
    RANK: ClassVar[Rank]
    FALLBACK: ClassVar[str]  # one sentence: what it does when its inputs are missing, stale, BAD or frozen
    name: str

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]: ...


class Ahead(Protocol):
    def __call__(self, u: Singles, out: Singles) -> None:
        """The next step of all candidates: u (B, m) → states (B, n), both as distance from where they began."""


class Predictor(Protocol):
    """The model of a twin, for controllers that look ahead: B candidates at once, internal units."""

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    period_ns: int

    def ahead(self, rows: int, x: Floats, inputs: Floats, moved: Sequence[int]) -> Ahead:
        """The steps of `rows` candidates from x (n,) on, with these inputs (k,), of which those at `moved` are moved.
        Good until the next call."""


class Wiring(Protocol):
    """What a controller is built with: names become places. Faults are collected, not raised; see `Faulty`."""

    period_ns: int
    outputs: Sequence[Output]

    def port(self, spec: ControllerSpec, role: str) -> Port | None:
        """The place of an input; None where the role is not given, and a fault where the point does not exist."""

    def ports(self, spec: ControllerSpec, prefix: str) -> Mapping[str, Port]:
        """All inputs whose role begins with `prefix`, in the file's order."""

    def output(self, spec: ControllerSpec, role: str) -> int | None:
        """Which of `outputs` it is; None where the role is not given, and a fault where there is no such output."""

    def predictor(self, twin: str) -> Predictor | None: ...

    def fault(self, spec: ControllerSpec, key: str, value: object, wrong: str, remedy: str) -> None: ...
