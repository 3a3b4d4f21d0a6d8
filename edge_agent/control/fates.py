"""What becomes of accepted orders: applied, clamped, superseded, expired. Each change is told once. No IO."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from edge_agent.control.order import CentralOrder, EmergencyOrder, Instruction
from edge_agent.setpoint import Decision

ON_ITS_WAY = "slew"  # the guard's rule that only delays
KEPT = 1000  # fates of orders that are over, for one that is received again


class Fate(NamedTuple):
    """`outcome`: accepted, applied, clamped, rejected, expired, superseded or unknown. `value` as decided, or NaN."""

    id: str
    outcome: str
    reason: str
    value: float


class Found(NamedTuple):
    """How an order stands in a tick. `maker`: who or what made it so; a change of it is told, one of words is not."""

    outcome: str
    maker: str
    reason: str
    value: float


@dataclass(slots=True)
class Open:
    """An order that may act."""

    instruction: Instruction
    by: str  # the controller that carries it
    since_ns: int
    told: tuple[str, str]  # outcome, and who or what made it so


class Fates:
    """Of the orders of one cell; instructions name outputs by index."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], Open] = {}
        self._known: dict[str, Fate] = {}

    def accepted(self, instruction: Instruction, now_ns: int, *, emergency: bool) -> list[Fate]:
        """It has been handed to the control loop; the one that it replaces is over."""
        by = EmergencyOrder.name if emergency else CentralOrder.name
        place = instruction.output, by
        told = []
        if place in self._open:
            told.append(self._over(place, "superseded", f"by order {instruction.id}"))
        self._open[place] = Open(instruction, by, now_ns, ("accepted", ""))
        return [*told, self._note(Fate(instruction.id, "accepted", "", instruction.value))]

    def refused(self, order_id: str, reason: str) -> Fate:
        return Fate(order_id, "rejected", reason, float("nan"))

    def again(self, order_id: str) -> Fate:
        """Of an order that is received once more."""
        known = self._known.get(order_id)
        return known or Fate(order_id, "unknown", "it was accepted before the gateway restarted", float("nan"))

    def revoked(self, fence: int) -> list[Fate]:
        """By an all-stop."""
        hit = [place for place, one in self._open.items() if one.instruction.fence <= fence]
        return [self._over(place, "superseded", f"revoked by all-stop {fence}") for place in hit]

    def moved(self, places: Mapping[int, int], reason: str) -> list[Fate]:
        """The cell was built anew: `places` has the new index of each output that is still there."""
        gone = [place for place in self._open if place[0] not in places]
        told = [self._over(place, "expired", reason) for place in gone]
        self._open = {(places[place], by): one for (place, by), one in self._open.items()}
        for (place, _), one in self._open.items():
            one.instruction = replace(one.instruction, output=place)
        return told

    def open(self) -> list[tuple[Instruction, str]]:
        """Every order that may act, and the controller that carries it."""
        return [(one.instruction, one.by) for one in self._open.values()]

    def follow(
        self, decisions: Sequence[Decision], shown: Sequence[float], obeyed: Sequence[bool], now_ns: int
    ) -> list[Fate]:
        """What has changed by the tick of `now_ns`: each point reads `shown`, and `obeyed` if that is what was set."""
        over = [place for place, one in self._open.items() if now_ns >= one.instruction.until_ns]
        told = [self._over(place, "expired", "its time is up") for place in over]
        for one in self._open.values():
            number = one.instruction.output
            if now_ns > one.since_ns:  # the control loop has heard of it
                found = self._judge(one, decisions[number], shown[number], obeyed[number])
                if found is not None and (found.outcome, found.maker) != one.told:
                    one.told = found.outcome, found.maker
                    told.append(self._note(Fate(one.instruction.id, found.outcome, found.reason, found.value)))
        return told

    def _judge(self, one: Open, decision: Decision, shown: float, obeyed: bool) -> Found | None:
        """None while it is on its way."""
        if not decision.by:
            return None
        if decision.by != one.by:
            return Found("clamped", decision.by, f"{decision.by} decides: {decision.why}", decision.value)
        if one.by in decision.overruled:
            return Found("clamped", "interlock", decision.why, decision.value)
        if decision.limited and decision.limited != ON_ITS_WAY:
            return Found("clamped", decision.limited, f"limited by the {decision.limited} rule", decision.value)
        return Found("applied", "", "", shown) if obeyed and decision.value == one.instruction.value else None

    def _over(self, place: tuple[int, str], outcome: str, reason: str) -> Fate:
        instruction = self._open.pop(place).instruction
        return self._note(Fate(instruction.id, outcome, reason, float("nan")))

    def _note(self, fate: Fate) -> Fate:
        self._known.pop(fate.id, None)
        self._known[fate.id] = fate
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return fate
