"""Estimates and decisions in the words that people and programs get: the same over MQTT and in `edge-agent status`.

What may not be used (any more) has the value null and 0 ms left. A time of day is null while nobody knows it.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from edge_agent.snapshot import Snapshot
from protos.clock import NS
from protos.quality import text

MS = NS // 1000
Told = dict[str, object]


def number(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None


def time_of_day(snapshot: Snapshot, at_ns: int) -> str | None:
    """ISO 8601, UTC, ms."""
    utc_ns = snapshot.utc(at_ns) if at_ns else None
    if utc_ns is None:
        return None
    return datetime.fromtimestamp(utc_ns / NS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age_s(at_ns: int, now_ns: int) -> float | None:
    return round((now_ns - at_ns) / NS, 3) if at_ns else None


def left_s(until_ns: int, now_ns: int) -> float:
    return round(max(0, until_ns - now_ns) / NS, 1)


def until(snapshot: Snapshot, until_ns: int, now_ns: int) -> Told:
    """How long something counts: from now on, and by the time of day."""
    return {"valid_ms": max(0, (until_ns - now_ns) // MS), "not_after": time_of_day(snapshot, until_ns)}


def decisions(snapshot: Snapshot, now_ns: int) -> Iterator[Told]:
    """One for each output: what was decided, by whom, until when, and how the output really stands."""
    roster = snapshot.roster
    held = {hold.output: hold.until_ns for hold in snapshot.holds}
    for place, (decision, applied) in enumerate(zip(snapshot.decisions, snapshot.applied, strict=True)):
        until_ns = snapshot.decision_until_ns(place)
        yield {
            "output": roster.outputs[place],
            "value": number(decision.value) if until_ns > now_ns else None,
            "unit": roster.units[place],
            **until(snapshot, until_ns, now_ns),
            "authority": decision.authority.value,
            "by": decision.by,
            "why": decision.why,
            "model": decision.model,
            "limited": decision.limited,
            "overruled": list(decision.overruled),
            "hand_s": left_s(held[place], now_ns) if place in held else None,
            "point": roster.points[place],
            "applied": number(applied.value),
            "shown": number(applied.shown),
            "shown_age_s": age_s(applied.shown_ns, now_ns),
            "outcome": applied.outcome,
            "trouble": applied.why,
            "writes": applied.writes,
            "tick": snapshot.tick,
        }


def estimates(snapshot: Snapshot, now_ns: int) -> Iterator[Told]:
    """One for each state of each twin."""
    for place, (names, twin) in enumerate(zip(snapshot.roster.twins, snapshot.twins, strict=True)):
        for state, (name, unit) in enumerate(zip(names.states, names.units, strict=True)):
            until_ns = snapshot.estimate_until_ns(place, state)
            usable = until_ns > now_ns
            yield {
                "twin": names.name,
                "state": name,
                "value": number(float(twin.values[state])) if usable else None,
                "sd": number(float(twin.sd[state])) if usable else None,
                "unit": unit,
                **until(snapshot, until_ns, now_ns),
                "quality": text(int(twin.codes[state])),
                "model": twin.model,
                "tick": snapshot.tick,
            }


def twins(snapshot: Snapshot) -> Iterator[Told]:
    """One for each twin: which model is in use and how well it fits."""
    for names, twin in zip(snapshot.roster.twins, snapshot.twins, strict=True):
        yield {
            "twin": names.name,
            "model": twin.model,
            "slot": twin.slot,
            "nis": number(twin.nis),
            "coasting_s": round(twin.coasting_ns / NS, 3),
        }


def report(snapshot: Snapshot, now_ns: int) -> Told:
    """All of it, for the status."""
    roster = snapshot.roster
    return {
        "mode": snapshot.mode.value,
        "tick": snapshot.tick,
        "utc": time_of_day(snapshot, snapshot.now_ns),
        "age_ms": max(0, (now_ns - snapshot.now_ns) // MS),
        "period_ms": roster.period_ns / MS,
        "late": snapshot.late,
        "missed": snapshot.missed,
        "central": {
            "connected": snapshot.central.connected,
            "heartbeats": snapshot.central.heartbeats,
            "age_s": age_s(snapshot.central.heard_ns, now_ns),
        },
        "outputs": list(decisions(snapshot, now_ns)),
        "estimates": list(estimates(snapshot, now_ns)),
        "twins": list(twins(snapshot)),
        "hands": [
            {
                "output": roster.outputs[hold.output],
                "value": hold.value,
                "unit": roster.units[hold.output],
                "who": hold.who,
                "why": hold.why,
                "left_s": left_s(hold.until_ns, now_ns),
            }
            for hold in snapshot.holds
        ],
        "disabled": dict(snapshot.disabled),
    }
