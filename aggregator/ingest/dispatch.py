"""Orders on their way: from the table to the streams, and what gateways say of them back into it.

An order is signed when it is sent, and sent again on each new stream until its gateway has answered: the gateway's
fence lets it act once. One that cannot be delivered before its end is never delivered.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from aggregator.ingest.line import Line
from aggregator.ingest.streams import Streams
from aggregator.stores.orders import OrderRow, Orders, Report
from protos import sync_pb2
from protos.clock import NS, Clock

LOOK_NS = NS // 5  # how often a verb's orders are looked for: one pragma
ANSWER_NS = 60 * NS  # after an order's end: by then a gateway that is there has said what became of it
REPORTS_MAX = 10_000  # receipts between two looks; beyond, a gateway is talking nonsense
ID_MAX = 64
FATES = ("accepted", "applied", "clamped", "rejected", "expired", "superseded", "unknown")

log = logging.getLogger(__name__)


class Signer(Protocol):
    def sign(self, order: sync_pb2.Order) -> None: ...
    def sign_stop(self, stop: sync_pb2.RevokeOrders) -> None: ...


class Dispatch:
    """`tick` is called every LOOK_NS, `receipt` for each that arrives."""

    def __init__(self, orders: Orders, streams: Streams, signer: Signer, clock: Clock) -> None:
        self._orders, self._streams, self._signer, self._clock = orders, streams, signer, clock
        self._open: dict[str, OrderRow] = {}
        self._sent_on: dict[str, Line] = {}
        self._reports: list[Report] = []
        self.dropped_total = 0  # receipts beyond REPORTS_MAX, or of no known kind

    async def tick(self) -> None:
        now_ns = self._clock.wall_ns()
        if self._orders.changed():
            self._read()
        self._expire(now_ns)
        if self._open:
            self._send_open(now_ns)
        if self._reports:
            self._orders.report(self._reports)
            self._reports.clear()  # only now: they are told again when the table could not be written
            self._read()

    def _send_open(self, now_ns: int) -> None:
        lines: Mapping[str, Line] = {line.gateway: line for line in self._streams if line.greeted}
        for row in sorted(self._open.values(), key=lambda one: (not one.stops, one.fence)):  # all-stops first
            line = lines.get(row.gateway)
            if line is not None and line.end_reason is None and self._sent_on.get(row.id) is not line:
                self._send(row, line, now_ns)

    def receipt(self, gateway: str, receipt: sync_pb2.OrderReceipt) -> None:
        known = receipt.outcome in FATES and len(receipt.order_id) <= ID_MAX
        if not known or len(self._reports) >= REPORTS_MAX:
            self.dropped_total += 1
            return
        decided = receipt.value if math.isfinite(receipt.value) else None
        now_ns = self._clock.wall_ns()
        self._reports.append(Report(gateway, receipt.order_id, receipt.outcome, receipt.reason, decided, now_ns))

    def _read(self) -> None:
        self._open = {row.id: row for row in self._orders.open()}
        self._sent_on = {order_id: line for order_id, line in self._sent_on.items() if order_id in self._open}

    def _expire(self, now_ns: int) -> None:
        for row in list(self._open.values()):
            if row.fate == "waiting" and now_ns >= row.not_after_ns:
                self._over(row, "undelivered", "the gateway was not there in time", now_ns)
            elif row.fate == "sent" and now_ns >= row.not_after_ns + ANSWER_NS:
                self._over(row, "unknown", "the gateway has not said what became of it", now_ns)

    def _over(self, row: OrderRow, fate: str, reason: str, now_ns: int) -> None:
        self._orders.set(row.id, fate, reason, now_ns)
        del self._open[row.id]
        log.warning("%s for %s: %s", row.id, row.gateway, reason)

    def _send(self, row: OrderRow, line: Line, now_ns: int) -> None:
        """Say it on this stream; noted as sent first, so that an answer can never be older than that."""
        if now_ns >= row.not_after_ns:
            return
        message = self._stop(row) if row.stops else self._order(row, now_ns)
        if row.fate == "waiting":
            self._orders.set(row.id, "sent", "", now_ns)
            self._open[row.id] = replace(row, fate="sent")
        self._sent_on[row.id] = line
        line.say(message)

    def _order(self, row: OrderRow, now_ns: int) -> sync_pb2.ToGateway:
        order = sync_pb2.Order(
            id=row.id,
            gateway=row.gateway,
            device=row.device,
            point=row.point,
            value=row.value or 0.0,
            issued_utc_ns=row.issued_ns,
            not_after_utc_ns=row.not_after_ns,
            lifetime_ms=(row.not_after_ns - now_ns) // 1_000_000,
            fence=row.fence,
            issuer=row.issuer,
            emergency=row.emergency,
            why=row.why,
        )
        self._signer.sign(order)
        return sync_pb2.ToGateway(order=order)

    def _stop(self, row: OrderRow) -> sync_pb2.ToGateway:
        stop = sync_pb2.RevokeOrders(
            fence=row.fence, reason=row.why, gateway=row.gateway, issued_utc_ns=row.issued_ns, issuer=row.issuer
        )
        self._signer.sign_stop(stop)
        return sync_pb2.ToGateway(revoke_orders=stop)
