"""The numbers that a gateway shows in registers: for each its place in the slot, type, meaning, and how it is found.

A slot is what one header, output, twin or estimate takes. The map of all slots is made of these tables, and so is
every answer: what is printed is what is served.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from edge_agent.setpoint import Authority
from edge_agent.snapshot import Mode, Snapshot
from protos.clock import NS

MAGIC = 0x4354  # "CT"
VERSION = 1  # of what the slots mean; a change of meaning is a new number
HEARTBEAT = 100  # the register that the other side writes
MS = NS // 1000
U16, U32 = 2**16 - 1, 2**32 - 1

MODES = {Mode.STARTING: 1, Mode.RUNNING: 2, Mode.FAILSAFE: 3, Mode.STOPPED: 4}
AUTHORITIES = {
    Authority.NOBODY: 0,
    Authority.LOCAL: 1,
    Authority.CENTRAL: 2,
    Authority.HAND: 3,
    Authority.FAILSAFE: 4,
}
OUTCOMES = {"none": 0, "applied": 1, "clamped": 2, "rejected": 3, "unknown": 4, "accepted": 5}
SLOTS = {"none": 0, "current": 1, "probation": 2}


class Moment(NamedTuple):
    """What one read is answered from: one snapshot, the time, and how the other side is."""

    snapshot: Snapshot
    now_ns: int
    digest: int = 0  # of the map
    other: int = 0  # its heartbeat, as it wrote it
    other_count: int = 0  # how often that changed
    other_age_ns: int | None = None  # since then; None: never
    other_alive: bool = False


Take = Callable[[Moment, int, int], float]  # of the output's or twin's place, and the state's


class Part(NamedTuple):
    """One number of a slot. `unit` "=" is that of the output or estimate."""

    offset: int
    type: str  # u16 u32 u64 f32
    name: str
    unit: str
    meaning: str
    take: Take


def listed(words: Mapping[str, int] | Mapping[Mode, int] | Mapping[Authority, int]) -> str:
    return ", ".join(f"{number} {getattr(word, 'value', word)}" for word, number in words.items())


def ms(ns: int) -> int:
    return max(0, ns // MS)


def since_ms(moment: Moment, at_ns: int) -> int:
    """How long ago; 0 stands for never."""
    return min(ms(moment.now_ns - at_ns), U32 - 1) if at_ns else U32


def decision_ms(moment: Moment, place: int, _: int = 0) -> int:
    """For how long the decision counts; 0: do not use it."""
    return ms(moment.snapshot.decision_until_ns(place) - moment.now_ns)


def estimate_ms(moment: Moment, twin: int, state: int) -> int:
    """For how long the estimate may be used; 0: do not use it."""
    return ms(moment.snapshot.estimate_until_ns(twin, state) - moment.now_ns)


def decided(field: str) -> Take:
    """NaN as soon as the decision does not count any more."""
    return lambda m, k, _: float(getattr(m.snapshot.decisions[k], field)) if decision_ms(m, k) else math.nan


def estimated(field: str) -> Take:
    return lambda m, k, j: float(getattr(m.snapshot.twins[k], field)[j]) if estimate_ms(m, k, j) else math.nan


def output_flags(moment: Moment, place: int, _: int) -> int:
    decision, applied = moment.snapshot.decisions[place], moment.snapshot.applied[place]
    return (
        (decision_ms(moment, place) > 0)
        | bool(decision.limited) << 1
        | bool(decision.overruled) << 2
        | (applied.outcome in ("applied", "clamped")) << 3
        | any(hold.output == place for hold in moment.snapshot.holds) << 4
    )


def header_flags(moment: Moment, *_: int) -> int:
    snapshot = moment.snapshot
    return (snapshot.utc_ns is not None) | snapshot.central.connected << 1 | moment.other_alive << 2


# fmt: off
HEADER = (
    Part(0, "u16", "magic", "", f"always {MAGIC}", lambda *_: MAGIC),
    Part(1, "u16", "map_version", "", "of the meaning of the slots", lambda *_: VERSION),
    Part(2, "u32", "map_digest", "", "of this map: another one, other registers", lambda m, *_: m.digest),
    Part(4, "u16", "mode", "", listed(MODES), lambda m, *_: MODES[m.snapshot.mode]),
    Part(5, "u16", "heartbeat", "", "counts ticks; where it stands still, the loop does",
         lambda m, *_: m.snapshot.tick & U16),
    Part(6, "u64", "tick", "", "of all numbers in this answer", lambda m, *_: m.snapshot.tick),
    Part(10, "u64", "utc", "ms", "of the tick, since 1970; 0: unknown", lambda m, *_: (m.snapshot.utc_ns or 0) // MS),
    Part(14, "u32", "age", "ms", "of the tick", lambda m, *_: ms(m.now_ns - m.snapshot.now_ns)),
    Part(16, "u16", "period", "ms", "of the loop", lambda m, *_: m.snapshot.roster.period_ns // MS),
    Part(17, "u16", "flags", "", "bit 0 time of day known, 1 aggregator connected, 2 other side alive", header_flags),
    Part(18, "u32", "late", "", "ticks that ended late, since the start", lambda m, *_: m.snapshot.late),
    Part(20, "u32", "missed", "", "ticks that never began", lambda m, *_: m.snapshot.missed),
    Part(22, "u16", "outputs", "", "how many", lambda m, *_: len(m.snapshot.decisions)),
    Part(23, "u16", "twins", "", "how many", lambda m, *_: len(m.snapshot.twins)),
    Part(24, "u32", "central_age", "ms", f"since the aggregator's last heartbeat; {U32}: never",
         lambda m, *_: since_ms(m, m.snapshot.central.heard_ns)),
    Part(26, "u32", "other_age", "ms", f"since register {HEARTBEAT} last changed; {U32}: never",
         lambda m, *_: U32 if m.other_age_ns is None else min(ms(m.other_age_ns), U32 - 1)),
    Part(28, "u32", "other_count", "", f"changes of register {HEARTBEAT}", lambda m, *_: m.other_count),
    Part(HEARTBEAT, "u16", "other_heartbeat", "", "the only one that may be written: change it to show life",
         lambda m, *_: m.other),
)
OUTPUT = (
    Part(0, "f32", "value", "=", "decided; NaN: do not use", decided("value")),
    Part(2, "u32", "valid", "ms", "for how long that counts; 0: do not use", decision_ms),
    Part(4, "u16", "authority", "", listed(AUTHORITIES),
         lambda m, k, _: AUTHORITIES[m.snapshot.decisions[k].authority]),
    Part(5, "u16", "flags", "", "bit 0 valid, 1 limited by the guard, 2 others overruled, 3 last write taken, 4 held by"
         " a person", output_flags),
    Part(6, "f32", "applied", "=", "last told to the device; NaN: unknown",
         lambda m, k, _: m.snapshot.applied[k].value),
    Part(8, "f32", "shown", "=", "last read back; NaN: unknown", lambda m, k, _: m.snapshot.applied[k].shown),
    Part(10, "u32", "shown_age", "ms", f"since then; {U32}: never",
         lambda m, k, _: since_ms(m, m.snapshot.applied[k].shown_ns)),
    Part(12, "f32", "low", "=", "interlocks leave nothing below; NaN: do not use", decided("low")),
    Part(14, "f32", "high", "=", "interlocks leave nothing above; NaN: do not use", decided("high")),
    Part(16, "u16", "outcome", "", f"of the last write: {listed(OUTCOMES)}",
         lambda m, k, _: OUTCOMES[m.snapshot.applied[k].outcome or "none"]),
)
TWIN = (
    Part(0, "u16", "slot", "", f"model in use: {listed(SLOTS)}",
         lambda m, k, _: SLOTS.get(m.snapshot.twins[k].slot, 0)),
    Part(1, "u16", "flags", "", "bit 0 coasting: something is not measured",
         lambda m, k, _: m.snapshot.twins[k].coasting_ns > 0),
    Part(2, "f32", "nis", "", "normalised innovation squared per channel: about 1 where the model fits",
         lambda m, k, _: m.snapshot.twins[k].nis),
    Part(4, "u32", "coasting", "ms", "for how long", lambda m, k, _: ms(m.snapshot.twins[k].coasting_ns)),
)
ESTIMATE = (
    Part(0, "f32", "value", "=", "estimated; NaN: do not use", estimated("values")),
    Part(2, "f32", "sd", "=", "standard deviation; NaN: do not use", estimated("sd")),
    Part(4, "u32", "valid", "ms", "for how long that may be used; 0: do not use", estimate_ms),
    Part(6, "u16", "quality", "", "below 64 GOOD, below 128 UNCERTAIN, else BAD; the low 6 bits say why",
         lambda m, k, j: int(m.snapshot.twins[k].codes[j])),
)
# fmt: on
