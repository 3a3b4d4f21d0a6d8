"""Which orders of the aggregator may act here: at most once, never late, never older than the last, never for another.

Each order has a fencing number. Per output and class (usual, emergency) a number at or below the last accepted one is
refused, so a repeated, delayed or replayed order does nothing, whatever the clock says; an all-stop raises the floor
under all of them for ever. The numbers are durable before an order acts (`Fences`, kept by the desk), so a kill at any
moment executes nothing twice: what was accepted and not carried out is over.

With a clock that is synchronised, not-after counts by UTC, less the clock's error. Without, only the order's lifetime
counts, from receipt, less the time that a message may have been on its way.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edge_agent.cell import Output
from edge_agent.control.order import Instruction
from edge_agent.files import seal, unseal
from protos import sync_pb2
from protos.clock import NS, Anchor
from protos.link import DEAD_AFTER_MS
from protos.order import FENCE_MAX, ID_MAX, LONGEST_NS, TEXT_MAX, order_message, stop_message

SYNCED_NS = NS  # a clock that may be further off does not judge not-after
AHEAD_NS = 2 * NS  # how far in our future an order may be issued: the two clocks' steps
TRAVEL_NS = DEAD_AFTER_MS * 1_000_000  # the age that a message may have: a slower stream is cut
FRESH_NS = 60 * NS  # of an all-stop that is to replace lost fences

Verify = Callable[[bytes, bytes, bytes, int], None]  # message, signature, chain (PEM), UTC ns; raises ValueError


class Refused(ValueError):
    """Why an order may not act; told to the aggregator."""


class Last(NamedTuple):
    """The newest order that was accepted for an output and class."""

    fence: int
    id: str


@dataclass(frozen=True, slots=True)
class Fences:
    """What must survive a kill. `lost`: the file was damaged, so nobody knows what was accepted before."""

    floor: int = 0
    last: Mapping[str, Last] = field(default_factory=dict)
    lost: bool = False

    def pack(self) -> bytes:
        return seal(json.dumps({"floor": self.floor, "last": self.last, "lost": self.lost}).encode())

    @classmethod
    def unpack(cls, packed: bytes) -> "Fences":
        """Damaged bytes give lost fences: better no order than one that acts twice."""
        try:
            plain = json.loads(unseal(packed))
            last = {str(key): Last(int(fence), str(id_)) for key, (fence, id_) in plain["last"].items()}
            return cls(int(plain["floor"]), last, bool(plain["lost"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(lost=True)


class Accepted(NamedTuple):
    """`emergency`: of that class. `fences` must be durable before `instruction` may act."""

    instruction: Instruction
    emergency: bool
    fences: Fences


class OrderBook:
    """Judges orders and all-stops for one gateway. Rules without IO; times are monotonic ns unless they say UTC."""

    def __init__(self, gateway: str, outputs: Sequence[Output], verify: Verify, fences: Fences | None = None) -> None:
        self._gateway, self._verify = gateway, verify
        self._outputs = {one.point: (place, one) for place, one in enumerate(outputs)}
        self.fences = fences or Fences()

    def accept(self, order: sync_pb2.Order, now_ns: int, anchor: Anchor) -> Accepted:
        """Take an order; from now on its number counts. Raises Refused."""
        self._well_formed(order)
        if order.gateway != self._gateway:
            raise Refused(f"for gateway {order.gateway!r}, this is {self._gateway}")
        self._signed(order_message(order), order.signature, order.chain, order.issued_utc_ns, now_ns, anchor)
        place = self._place(order)
        key = f"{order.device}/{order.point}" + ("!" if order.emergency else "")
        self._fenced(key, order)
        until_ns = now_ns + self._left_ns(order, now_ns, anchor)
        last = {**self.fences.last, key: Last(order.fence, order.id)}
        self.fences = replace(self.fences, last=last)
        why = f"{order.issuer}: {order.why}" if order.why else order.issuer
        instruction = Instruction(order.id, place, order.value, until_ns, order.fence, why)
        return Accepted(instruction, order.emergency, self.fences)

    def stop(self, stop: sync_pb2.RevokeOrders, now_ns: int, anchor: Anchor) -> Fences:
        """Take an all-stop: nothing at or below its fence counts any more. Raises Refused.

        One that is older than what is known changes nothing. After the fences were lost, a fresh one sets them anew.
        """
        if stop.gateway != self._gateway:
            raise Refused(f"for gateway {stop.gateway!r}, this is {self._gateway}")
        if not 0 < stop.fence <= FENCE_MAX:
            raise Refused(f"fence {stop.fence}: from 1 to {FENCE_MAX}")
        self._signed(stop_message(stop), stop.signature, stop.chain, stop.issued_utc_ns, now_ns, anchor)
        fresh = synced(anchor) and abs(anchor.utc_ns(now_ns) - stop.issued_utc_ns) <= FRESH_NS
        self.fences = replace(
            self.fences, floor=max(self.fences.floor, stop.fence), lost=self.fences.lost and not fresh
        )
        return self.fences

    def known(self, order: sync_pb2.Order) -> bool:
        """Whether this very order was accepted before, so that its fate is to be told again."""
        key = f"{order.device}/{order.point}" + ("!" if order.emergency else "")
        return self.fences.last.get(key) == Last(order.fence, order.id)

    # ---- the checks, in their order

    def _well_formed(self, order: sync_pb2.Order) -> None:
        if not 0 < len(order.id) <= ID_MAX or not order.id.isprintable():
            raise Refused(f"an id of 1 to {ID_MAX} printable characters is needed")
        if len(order.issuer) > TEXT_MAX or len(order.why) > TEXT_MAX:
            raise Refused(f"issuer and why: at most {TEXT_MAX} characters")
        if not 0 < order.fence <= FENCE_MAX:
            raise Refused(f"fence {order.fence}: from 1 to {FENCE_MAX}")
        if not 0 < order.not_after_utc_ns - order.issued_utc_ns <= LONGEST_NS:
            raise Refused(f"an order lasts at most {LONGEST_NS // (3600 * NS)} h, and ends after it was issued")

    def _signed(
        self, message: bytes, signature: bytes, chain: bytes, issued_ns: int, now_ns: int, anchor: Anchor
    ) -> None:
        """The signer's certificate must be good now; without a clock, when it says that it signed."""
        at_ns = anchor.utc_ns(now_ns) if synced(anchor) else issued_ns
        try:
            self._verify(message, signature, chain, at_ns)
        except (ValueError, OverflowError) as error:
            raise Refused(str(error)) from error

    def _place(self, order: sync_pb2.Order) -> int:
        point = f"{order.device}/{order.point}"
        if point not in self._outputs:
            raise Refused(f"{point} is no output of this gateway: {', '.join(self._outputs) or 'it has none'}")
        place, output = self._outputs[point]
        if not math.isfinite(order.value) or not output.low <= order.value <= output.high:
            raise Refused(f"{order.value:g} is outside {output.low:g} to {output.high:g}")
        return place

    def _fenced(self, key: str, order: sync_pb2.Order) -> None:
        if self.fences.lost:
            raise Refused("it is not known any more what was accepted before: give an all-stop first, then order again")
        if order.fence <= self.fences.floor:
            raise Refused(f"fence {order.fence} was revoked by the all-stop {self.fences.floor}")
        last = self.fences.last.get(key)
        if last is not None and order.fence <= last.fence:
            again = "it was received before" if last.id == order.id else f"order {last.id} is newer"
            raise Refused(f"fence {order.fence} is not above {last.fence}: {again}")

    def _left_ns(self, order: sync_pb2.Order, now_ns: int, anchor: Anchor) -> int:
        """How long it may act from now on."""
        lifetime_ns = order.lifetime_ms * 1_000_000
        if synced(anchor):
            utc_ns = anchor.utc_ns(now_ns)
            if order.issued_utc_ns > utc_ns + anchor.error_ns + AHEAD_NS:
                raise Refused("issued in the future")
            left_ns = order.not_after_utc_ns - utc_ns - anchor.error_ns
            left_ns = min(left_ns, lifetime_ns) if lifetime_ns else left_ns
        elif lifetime_ns:
            left_ns = min(lifetime_ns, LONGEST_NS) - TRAVEL_NS
        else:
            raise Refused("the clock is not synchronised and the order has no lifetime")
        if left_ns <= 0:
            raise Refused("too late")
        return left_ns


def synced(anchor: Anchor) -> bool:
    return anchor.error_ns <= SYNCED_NS
