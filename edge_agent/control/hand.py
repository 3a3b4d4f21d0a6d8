"""A person at the gateway takes an output over, for a time. Visible in every decision, and it ends by itself."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from edge_agent.cell import Output
from edge_agent.control.inbox import Inbox
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wish
from protos.clock import NS

LONGEST_NS = 24 * 3600 * NS  # a hand that nobody takes away is a fault of tomorrow
SHORTEST_NS = NS
TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class Override:
    """`output` is its index. `until_ns` is monotonic."""

    output: int
    value: float
    who: str
    why: str
    until_ns: int


@dataclass(frozen=True, slots=True)
class Release:
    output: int


class Hand:
    """`set` and `release` are called by the main loop, `decide` by the control loop; `active` may be read by both.

    An override goes on after a reload (`moved_to`) for the rest of its time. It is not kept over a restart of the
    agent: the person sees that it is gone and sets it again.
    """

    KIND: ClassVar[str] = "hand"
    RANK: ClassVar[Rank] = Rank.HAND
    FALLBACK: ClassVar[str] = "has no inputs; a person's value counts until its time is up"
    name = "hand"

    def __init__(self, outputs: Sequence[Output], active: Sequence[Override] = ()) -> None:
        self._outputs = outputs
        self._places = {one.name: place for place, one in enumerate(outputs)}
        self._inbox: Inbox[Override | Release] = Inbox()
        self.active = tuple(active)  # replaced whole, never changed

    def moved_to(self, outputs: Sequence[Output]) -> "tuple[Hand, list[str]]":
        """The hand over these outputs, after the control loop of the old ones has ended; and which overrides end with
        it, in words. One goes on where its output has the same name and point, and limits that allow its value."""
        kept, lost = [], []
        places = {(one.name, one.point): place for place, one in enumerate(outputs)}
        for one in self._heard():
            before = self._outputs[one.output]
            place = places.get((before.name, before.point))
            if place is None:
                lost.append(f"{before.name} ({before.point}) is no output any more; {one.who} held it at {one.value:g}")
            elif not outputs[place].low <= one.value <= outputs[place].high:
                allowed = f"{outputs[place].low:g} to {outputs[place].high:g}"
                lost.append(f"{before.name} may now be {allowed} only; {one.who} held it at {one.value:g}")
            else:
                kept.append(replace(one, output=place))
        return Hand(outputs, kept), lost

    def set(self, output: str, value: float, lasts_ns: int, who: str, why: str, now_ns: int) -> Override:
        """Take `output` over for `lasts_ns`. Raises ValueError naming what is wrong and what is allowed."""
        place = self._place(output)
        declared = self._outputs[place]
        if not math.isfinite(value) or not declared.low <= value <= declared.high:
            raise ValueError(f"{output}: {value:g} is not allowed: give {declared.low:g} to {declared.high:g}")
        if not SHORTEST_NS <= lasts_ns <= LONGEST_NS:
            raise ValueError(
                f"{output}: {lasts_ns / NS:g} s is not allowed: give {SHORTEST_NS // NS} s to {LONGEST_NS // NS} s"
            )
        wish = Override(place, value, who[:TEXT_MAX], why[:TEXT_MAX], now_ns + lasts_ns)
        self._hand_over(wish)
        return wish

    def release(self, output: str) -> None:
        """Give `output` back before its time. Raises ValueError for one that there is not."""
        self._hand_over(Release(self._place(output)))

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        self.active = tuple(one for one in self._heard() if view.now_ns < one.until_ns)
        return [
            Wish.exactly(one.output, one.value, f"{one.who}: {one.why}" if one.why else one.who, one.until_ns)
            for one in self.active
        ]

    def _heard(self) -> Iterable[Override]:
        """What is in force after all letters that wait."""
        now = {one.output: one for one in self.active}
        for letter in self._inbox.take():
            if isinstance(letter, Override):
                now[letter.output] = letter
            else:
                now.pop(letter.output, None)
        return now.values()

    def _place(self, output: str) -> int:
        if output not in self._places:
            raise ValueError(f"{output}: no output of this gateway: there are {', '.join(self._places) or 'none'}")
        return self._places[output]

    def _hand_over(self, letter: Override | Release) -> None:
        if not self._inbox.put(letter):
            raise ValueError("the control loop takes nothing: see `edge-agent status`")
