"""Accepted orders of the aggregator, as one more controller with its place in the local priority. Never a write.

What is accepted is judged elsewhere (`orders.py`), in the main loop; here an order is only a value with an end. It is
over at the first tick after its end, at most one period late, and nobody rides it out: the output goes to lower ranks,
or to its safe value. An end that must be met to the tick is given a period earlier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from edge_agent.control.inbox import Inbox
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wish


@dataclass(frozen=True, slots=True)
class Instruction:
    """An accepted order. `output` is its index, `until_ns` monotonic."""

    id: str
    output: int
    value: float
    until_ns: int
    fence: int
    why: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """Nothing at or below this fence counts any more."""

    fence: int


class CentralOrder:
    """Orders of the usual class. The newest for an output replaces the one before; none is renewed by itself.

    `give` and `revoke` are called by the main loop, `decide` by the control loop; `active` may be read by both.
    """

    KIND: ClassVar[str] = "order"
    RANK: ClassVar[Rank] = Rank.CENTRAL
    FALLBACK: ClassVar[str] = "has no inputs; an order counts until its end, then lower ranks decide"
    name = "order"

    def __init__(self) -> None:
        self._inbox: Inbox[Instruction | Revoked] = Inbox()
        self.active: Mapping[int, Instruction] = MappingProxyType({})  # by output; replaced whole, never changed

    def give(self, one: Instruction) -> bool:
        """False when the control loop takes nothing."""
        return self._inbox.put(one)

    def revoke(self, fence: int) -> None:
        """All-stop, as far as it concerns this class."""
        self._inbox.press(Revoked(fence))

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        now = dict(self.active)
        for letter in self._inbox.take():
            if isinstance(letter, Instruction):
                now[letter.output] = letter
            else:
                now = {output: one for output, one in now.items() if one.fence > letter.fence}
        self.active = MappingProxyType({output: one for output, one in now.items() if view.now_ns < one.until_ns})
        return [Wish.exactly(one.output, one.value, said(one), one.until_ns) for one in self.active.values()]


class EmergencyOrder(CentralOrder):
    """Orders of emergency class: above the usual ones, below the person at the gateway."""

    KIND: ClassVar[str] = "emergency_order"
    RANK: ClassVar[Rank] = Rank.EMERGENCY
    name = "emergency-order"


def said(one: Instruction) -> str:
    return f"order {one.id}: {one.why}" if one.why else f"order {one.id}"
