"""Orders and all-stops in the catalogue's file, each with its fate: what an operator asked for, and what became of it.

    waiting → sent → accepted → applied ⇄ clamped → expired | superseded
    waiting → undelivered | revoked          sent → rejected | unknown (nobody said anything in time)

The file is the channel between the verb that gives an order and the server that sends it. Fencing numbers grow over
all gateways: the time in µs, or one more than the last where that is larger, so that they grow after a restored backup
and through any step of the clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import apsw

from aggregator.stores import StoreError, sqlite
from aggregator.stores.catalogue import Catalogue
from protos.order import LONGEST_NS, TEXT_MAX, stop_id

OVER = ("expired", "superseded", "rejected", "undelivered", "revoked")
STAGES = {"waiting": 0, "sent": 1, "unknown": 1, "accepted": 2, "applied": 3, "clamped": 3}  # those over: 4
SHOWN_MAX = 200
EVER_NS = 2**63 - 1
REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order; or, without a point, an all-stop. Times are UTC ns. `decided` is what the gateway really set."""

    id: str
    gateway: str
    device: str
    point: str
    value: float | None
    emergency: bool
    why: str
    issuer: str
    fence: int
    issued_ns: int
    not_after_ns: int
    fate: str
    reason: str
    decided: float | None
    fate_ns: int

    @property
    def stops(self) -> bool:
        return not self.point


@dataclass(frozen=True, slots=True)
class Report:
    """What a gateway said of an order."""

    gateway: str
    id: str
    fate: str
    reason: str
    decided: float | None
    at_ns: int


class Orders:
    """Shares the catalogue's connection. `changed` tells the server whether a verb has written since the last call."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._connection: apsw.Connection = catalogue.connection
        self._version = -1

    def give(
        self,
        gateway: str,
        point: str,
        value: float,
        lasts_ns: int,
        issuer: str,
        now_ns: int,
        *,
        emergency: bool = False,
        why: str = "",
    ) -> OrderRow:
        """Order `device/point` = `value` (internal unit) for `lasts_ns` from now. Raises StoreError."""
        self.check(gateway, point, lasts_ns, why)
        kind = "emergency order" if emergency else "order"
        with self._catalogue.act(now_ns, issuer, kind, gateway, f"{point} = {value:g} for {lasts_ns // 10**9} s {why}"):
            return self.write(gateway, point, value, lasts_ns, issuer, now_ns, emergency=emergency, why=why)

    def write(
        self,
        gateway: str,
        point: str,
        value: float,
        lasts_ns: int,
        issuer: str,
        now_ns: int,
        *,
        emergency: bool = False,
        why: str = "",
    ) -> OrderRow:
        """Inside `act`: an order that was checked."""
        device, _, name = point.partition("/")
        fence = self._next_fence(now_ns)
        row = OrderRow(
            f"{fence:x}", gateway, device, name, value, emergency, why, issuer, fence, now_ns, now_ns + lasts_ns,
            "waiting", "", None, now_ns,
        )  # fmt: skip
        self._put(row)
        return row

    def stop(self, gateways: Sequence[str], issuer: str, now_ns: int, why: str = "") -> list[OrderRow]:
        """All-stop: what waits for these gateways is revoked here, what they have got is revoked there."""
        rows = []
        for gateway in gateways:
            with self._catalogue.act(now_ns, issuer, "all-stop", gateway, why):
                rows.append(self.write_stop(gateway, issuer, now_ns, why))
        return rows

    def write_stop(self, gateway: str, issuer: str, now_ns: int, why: str) -> OrderRow:
        """Inside `act`: an all-stop of one gateway."""
        self._connection.execute(
            "UPDATE instruction SET fate = 'revoked', reason = 'all-stop', fate_ns = ?"
            " WHERE gateway = ? AND fate = 'waiting'",
            (now_ns, gateway),
        )
        fence = self._next_fence(now_ns)
        row = OrderRow(
            stop_id(fence), gateway, "", "", None, True, why, issuer, fence, now_ns, EVER_NS,
            "waiting", "", None, now_ns,
        )  # fmt: skip
        self._put(row)
        return row

    def changed(self) -> bool:
        """Whether another process has written to the catalogue since the last call; True the first time."""
        before, self._version = self._version, int(str(self._connection.pragma("data_version")))
        return before != self._version

    def open(self) -> list[OrderRow]:
        """What is to be sent, or was sent and not yet answered; by fence."""
        return self._rows("WHERE fate IN ('waiting', 'sent') ORDER BY fence", ())

    def newest(self, gateway: str = "", limit: int = SHOWN_MAX) -> list[OrderRow]:
        """The newest orders of one gateway or of all."""
        return self._rows("WHERE ? IN ('', gateway) ORDER BY fence DESC LIMIT ?", (gateway, limit))

    def set(self, order_id: str, fate: str, reason: str, at_ns: int) -> None:
        """What the server itself knows of an order."""
        self._connection.execute(
            "UPDATE instruction SET fate = ?, reason = ?, fate_ns = ? WHERE id = ?", (fate, reason, at_ns, order_id)
        )

    def report(self, reports: Iterable[Report]) -> None:
        """What gateways said; an order that is over stays over, and nobody speaks for another's order."""
        with sqlite.transaction(self._connection):
            for one in reports:
                query = "SELECT fate FROM instruction WHERE id = ? AND gateway = ?"
                found = self._connection.execute(query, (one.id, one.gateway)).fetchone()
                if found is None or stage(str(found[0])) > stage(one.fate):
                    continue
                self._connection.execute(
                    "UPDATE instruction SET fate = ?, reason = ?, decided = ?, fate_ns = ? WHERE id = ?",
                    (one.fate, one.reason[:REASON_MAX], one.decided, one.at_ns, one.id),
                )
                if found[0] != one.fate:
                    told = f"{one.id} {one.reason}".strip()
                    self._catalogue.note_within(one.at_ns, one.gateway, f"order {one.fate}", one.gateway, told)

    def check(self, gateway: str, point: str, lasts_ns: int, why: str = "") -> None:
        """Raises StoreError for what cannot be ordered."""
        known = self._catalogue.gateway(gateway)
        if known is None or known.state == "revoked":
            raise StoreError(f"{gateway}: no such gateway; `aggregator gateways` lists them")
        writable = [
            f"{one.device}/{one.name}" for one in self._catalogue.points(gateway) if one.writable and one.current
        ]
        if point not in writable:
            listed = ", ".join(writable[:10]) or "nothing"
            raise StoreError(f"{point}: cannot be set on {gateway}; what can: {listed}")
        if not 0 < lasts_ns <= LONGEST_NS:
            raise StoreError(f"an order lasts at most {LONGEST_NS // (3600 * 10**9)} h: give less with --for")
        if len(why) > TEXT_MAX:
            raise StoreError(f"--why: at most {TEXT_MAX} characters")

    def _next_fence(self, now_ns: int) -> int:
        (last,) = self._connection.execute("SELECT coalesce(max(fence), 0) FROM instruction").fetchone() or (0,)
        return max(int(last) + 1, now_ns // 1000)

    def _put(self, row: OrderRow) -> None:
        marks = ", ".join("?" * len(fields(OrderRow)))
        self._connection.execute(f"INSERT INTO instruction VALUES ({marks})", astuple(row))  # noqa: S608 (marks only)

    def _rows(self, rest: str, values: tuple[str | int, ...]) -> list[OrderRow]:
        found = self._connection.execute(f"SELECT * FROM instruction {rest}", values)  # noqa: S608 (our own words)
        return [OrderRow(*(*row[:5], bool(row[5]), *row[6:])) for row in found]


def stage(fate: str) -> int:
    return STAGES.get(fate, 4)
