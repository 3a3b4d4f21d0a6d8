"""What the control loop shows to everyone else: one immutable picture per tick, made by it and read by anybody.

The loop puts the newest one where others find it, a single assignment, and never looks who reads it; readers take the
reference once and so see one tick whole. Times are monotonic ns of this boot; `utc` maps them while the time of day is
known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from edge_agent.cell import Cell
from edge_agent.image import Codes, Floats, Frame
from edge_agent.profile import Device
from edge_agent.setpoint import Decision
from protos.clock import NS
from protos.quality import Quality, code
from protos.vocabulary import internal_unit

ESTIMATE_STEPS = 3  # an estimate that is not renewed in so many periods is not to be used any more,
ESTIMATE_NS = NS  # but not before a second has passed: those who read are slower than a fast loop
BAD = code(Quality.BAD)  # codes from here on are BAD


class Mode(Enum):
    """What the loop as a whole is doing."""

    STARTING = "starting"  # until inputs are valid
    RUNNING = "running"
    FAILSAFE = "failsafe"  # every output is at its safe value, or on its way there
    STOPPED = "stopped"  # decides no more


class TwinNames(NamedTuple):
    """One twin: `states` are the names of its estimates, those of points that nobody measures too."""

    name: str
    states: tuple[str, ...]
    units: tuple[str, ...]  # of each state
    period_ns: int = 0  # of its steps; 0: that of the loop

    @classmethod
    def of(cls, name: str, quantities: Mapping[str, str], period_ns: int = 0) -> "TwinNames":
        """Of a twin's points with the quantity of each (twin/points.py): what has an `_sd` is an estimate."""
        states = tuple(point for point in quantities if f"{point}_sd" in quantities)
        return cls(name, states, tuple(internal_unit(quantities[one]) for one in states), period_ns)


@dataclass(frozen=True, slots=True)
class Roster:
    """What the numbers of a snapshot are of, in the order of the gateway's file. One object until a reload."""

    outputs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()  # device/point of each output
    units: tuple[str, ...] = ()  # internal unit of each output
    twins: tuple[TwinNames, ...] = ()
    period_ns: int = 100_000_000

    @classmethod
    def of(cls, cell: Cell, devices: Iterable[Device], twins: Iterable[TwinNames] = ()) -> "Roster":
        """Of a configuration whose points were checked; `twins` say what their bundles estimate."""
        units = {f"{d.name}/{p.name}": internal_unit(p.quantity) for d in devices for p in d.profile.points}
        return cls(
            outputs=tuple(output.name for output in cell.outputs),
            points=tuple(output.point for output in cell.outputs),
            units=tuple(units[output.point] for output in cell.outputs),
            twins=tuple(twins),
            period_ns=cell.period_ns,
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """How one output really stands. NaN: not known."""

    value: float  # as last told to the device, or found there at the start
    shown: float  # as last read back
    shown_ns: int  # when; 0: never
    outcome: str = ""  # of the last write: applied, clamped, rejected, unknown; "" not written yet
    why: str = ""  # what the device said, or what is wrong with what it shows
    writes: int = 0  # of its whole life


@dataclass(frozen=True, eq=False, slots=True)
class TwinState:
    """One twin after its step. Arrays (states,), internal units; what the loop gives away it never changes again."""

    values: Floats
    sd: Floats  # standard deviation of each
    codes: Codes  # protos/quality.py: UNCERTAIN ESTIMATED, or BAD where it may not be used
    model: str = ""  # name and version of the bundle
    slot: str = ""  # where the model that is applied comes from: current, probation, none
    nis: float = float("nan")  # normalised innovation squared per channel: about 1 when it fits
    coasting_ns: int = 0  # how long it has gone on without a measurement of some channel; 0: it has all
    at_ns: int = 0  # when it made the step; 0: in this tick

    @classmethod
    def of(cls, names: TwinNames, frame: Frame, model: str = "", slot: str = "") -> "TwinState":
        """Of the frame that the twin's step gave."""
        points = frame.layout.points
        values = {point: float(value) for point, value in zip(points, frame.values, strict=True)}
        places = [points.index(state) for state in names.states]
        return cls(
            values=frame.values[places],
            sd=np.array([values[f"{state}_sd"] for state in names.states]),
            codes=np.zeros(len(places), np.uint8) if frame.codes is None else frame.codes[places],
            model=model,
            slot=slot,
            nis=values.get("nis", np.nan),
            coasting_ns=round(values.get("coasting", 0) * NS),
            at_ns=frame.receive_ns,
        )


class Central(NamedTuple):
    """The aggregator's side, as this gateway hears it."""

    connected: bool = False
    heartbeats: int = 0  # that came from it, of this start
    heard_ns: int = 0  # when the last one came; 0: never


class Hold(NamedTuple):
    """A person's value for an output, in force until `until_ns`, even where an interlock narrows it."""

    output: int  # index
    value: float
    who: str
    why: str
    until_ns: int


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """One tick. `decisions` and `applied` are per output, `twins` per twin of the roster."""

    roster: Roster
    tick: int  # since the start of the loop
    now_ns: int
    utc_ns: int | None  # of `now_ns`; None while nobody trustworthy has said what time it is
    mode: Mode
    decisions: Sequence[Decision]
    applied: Sequence[Applied]
    twins: Sequence[TwinState] = ()
    late: int = 0  # ticks that ended after their period, since the start
    missed: int = 0  # ticks that never began
    central: Central = field(default_factory=Central)
    holds: tuple[Hold, ...] = ()
    disabled: Mapping[str, str] = field(default_factory=dict)  # controllers that are not asked now, and why

    def utc(self, at_ns: int) -> int | None:
        """UTC ns of a monotonic time."""
        return None if self.utc_ns is None else self.utc_ns + at_ns - self.now_ns

    def decision_until_ns(self, output: int) -> int:
        """Until when others may act on the decision; 0: not at all."""
        decision = self.decisions[output]
        return decision.not_after_ns if decision.acts and self.mode is not Mode.STOPPED else 0

    def estimate_until_ns(self, twin: int, state: int) -> int:
        """Until when others may act on the estimate; 0: not at all."""
        if self.mode is Mode.STOPPED or self.twins[twin].codes[state] >= BAD:
            return 0
        period_ns = self.roster.twins[twin].period_ns or self.roster.period_ns
        return (self.twins[twin].at_ns or self.now_ns) + max(ESTIMATE_STEPS * period_ns, ESTIMATE_NS)
