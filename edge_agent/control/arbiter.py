"""Who gets what, when several want something: feasible intervals, narrowed in a fixed order. Rules without IO.

Each output starts a tick with [low, high]. Controllers are heard in the order of their `Rank` (the file's order within
a rank); each may only narrow what the ones before it left. A wish outside that is projected to the nearest value that
is left, counted and named as overruled. The last to narrow is who decided.

An interval is a wish too: "anywhere in here" keeps the applied value if it lies within. An interlock's interval is
none by itself: it limits what others wish, and even what the guard falls back to (`Decision.low`, `Decision.high`).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from edge_agent.cell import Output
from edge_agent.control.conduct import Conduct
from edge_agent.setpoint import Authority, Controller, Decision, Rank, Standing, Wish

AUTHORITY = {
    Rank.INTERLOCK: Authority.LOCAL,
    Rank.HAND: Authority.HAND,
    Rank.EMERGENCY: Authority.CENTRAL,
    Rank.CENTRAL: Authority.CENTRAL,
    Rank.OPTIMISER: Authority.LOCAL,
    Rank.DEFAULT: Authority.LOCAL,
}
AnyController = TypeVar("AnyController", bound=Controller)


def in_order(controllers: Sequence[AnyController]) -> list[AnyController]:
    """As they are heard: by rank, and as given within a rank."""
    return sorted(controllers, key=attrgetter("RANK"))


@dataclass(slots=True)
class Room:
    """What is left of one output in this tick, and who took the rest."""

    low: float
    high: float
    fence: tuple[float, float]  # what interlocks leave
    wished: bool = False
    by: str = ""
    rank: Rank = Rank.DEFAULT
    why: str = ""
    not_after_ns: int = 0
    model: str = ""
    overruled: list[str] = field(default_factory=list)


class Arbiter:
    """Decides all outputs of a cell, one tick at a time: `begin`, `narrow` for each controller in order, `conclude`.

    `standing` is live: each controller sees what earlier ones left. `conduct` says whom not to ask.
    """

    def __init__(self, outputs: Sequence[Output], conduct: Conduct | None = None) -> None:
        self.outputs = outputs
        self.conduct = conduct or Conduct()
        self.overruled_total: Counter[str] = Counter()
        self.excursions_total: Counter[str] = Counter()
        self.standing: list[Standing] = []
        self._rooms: list[Room] = []
        self._rank = Rank.INTERLOCK

    def begin(self, standing: Sequence[Standing]) -> None:
        """Start a tick from how the outputs stand: the applied values, and who decided them."""
        self._rank = Rank.INTERLOCK
        self._rooms = [Room(one.low, one.high, (one.low, one.high)) for one in self.outputs]
        self.standing = [
            Standing(now.value, one.low, one.high, now.by) for one, now in zip(self.outputs, standing, strict=True)
        ]

    def narrow(self, controller: Controller, wishes: Sequence[Wish], now_ns: int) -> None:
        """Take what a controller wishes. Raises ValueError for one that is heard out of order.

        Nonsense (NaN, an empty interval, no such output) makes all of its wishes of this tick void.
        """
        if self._rank > controller.RANK:
            raise ValueError(f"{controller.name} ({controller.RANK.name}) is heard after {self._rank.name}")
        self._rank = controller.RANK
        if not self.conduct.may(controller.name, now_ns):
            return
        if wrong := next(filter(None, map(self._nonsense, wishes)), ""):
            self.conduct.fault(controller.name, wrong, now_ns)
            return
        if outside := next(filter(None, map(self._excursion, wishes)), ""):
            self.excursions_total[controller.name] += 1
            if self.conduct.fault(controller.name, outside, now_ns):
                return
        else:
            self.conduct.well(controller.name, now_ns)
        for wish in wishes:
            if not wish.not_after_ns or now_ns < wish.not_after_ns:
                self._take(controller, wish, now_ns)

    def conclude(self, now_ns: int) -> list[Decision]:
        """What was decided for each output; NaN where nobody wished validly."""
        return [self._decide(number, room, now_ns) for number, room in enumerate(self._rooms)]

    def _nonsense(self, wish: Wish) -> str:
        if not 0 <= wish.output < len(self.outputs):
            return f"wishes for output {wish.output} of {len(self.outputs)}"
        if not wish.low <= wish.high or wish.low == math.inf or wish.high == -math.inf:
            return f"wishes {wish.low:g} to {wish.high:g} for {self.outputs[wish.output].name}"
        return ""

    def _excursion(self, wish: Wish) -> str:
        """A model that wants what the output cannot have has left its envelope; a saturated regulator has not."""
        output = self.outputs[wish.output]
        if wish.model and (wish.low > output.high or wish.high < output.low):
            return f"{wish.model} wishes {wish.low:g} for {output.name}, outside {output.low:g} to {output.high:g}"
        return ""

    def _take(self, controller: Controller, wish: Wish, now_ns: int) -> None:
        room = self._rooms[wish.output]
        low, high, why = max(room.low, wish.low), min(room.high, wish.high), wish.why
        if low > high:
            low = high = room.low if wish.high < room.low else room.high
            why = f"{wish.why}; {low:g} is the nearest that is left"
            room.overruled.append(controller.name)
            self.overruled_total[controller.name] += 1
        limits_only = controller.RANK == Rank.INTERLOCK and wish.low < wish.high
        if (low, high) != (room.low, room.high) or not room.wished:
            ttl_ns = now_ns + self.outputs[wish.output].ttl_ns
            room.by, room.rank, room.why, room.model = controller.name, controller.RANK, why, wish.model
            room.not_after_ns = min(wish.not_after_ns or ttl_ns, ttl_ns)
        room.low, room.high = low, high
        room.wished = room.wished or not limits_only
        if controller.RANK == Rank.INTERLOCK:
            room.fence = low, high
        self.standing[wish.output] = self.standing[wish.output]._replace(low=low, high=high)

    def _decide(self, number: int, room: Room, now_ns: int) -> Decision:
        overruled = tuple(room.overruled)
        low, high = room.fence
        if not room.wished:
            why = f"{room.why}; nobody else wishes" if room.by else "nobody wishes"
            return Decision(math.nan, Authority.NOBODY, "", why, now_ns, "", "", overruled, low, high)
        applied = self.standing[number].value
        start = applied if math.isfinite(applied) else self.outputs[number].safe
        value = min(max(start, room.low), room.high)
        authority = AUTHORITY[room.rank]
        return Decision(value, authority, room.by, room.why, room.not_after_ns, room.model, "", overruled, low, high)
