"""Decisions in the catalogue's file, beside the orders that carry them out.

A change of a decision, the orders that it gives, those that it takes back and the audit are one transaction, and only
if nobody has changed it since it was read. So an act is ordered once, whoever looks at the decision at the same time
and whatever is killed in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import apsw

from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.orders import Orders

OPEN_MAX = 1_000  # decisions that are not over; more is a planner gone wrong
BYTES_MAX = 8 << 20  # of one decision: 20,000 acts
SHOWN_MAX = 200
LIVE = ("waiting", "sent", "accepted", "applied", "clamped")


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """`content` is the decision itself (decisions/decision.py); `version` rises with every change."""

    id: str
    domain: str
    state: str
    over: bool
    version: int
    proposed_ns: int
    changed_ns: int
    content: str


class Wish(NamedTuple):
    """An order for one act, by its place in the decision."""

    act: int
    gateway: str
    point: str  # device/point
    value: float
    lasts_ns: int
    why: str


class Told(NamedTuple):
    """An order that was given for an act, and what became of it."""

    order: str
    fate: str
    reason: str


class Decisions:
    """Shares the catalogue's connection. Raises StoreError."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._connection: apsw.Connection = catalogue.connection
        self._orders = Orders(catalogue)

    def put(self, row: DecisionRow, who: str, detail: str) -> None:
        """A new one."""
        if len(row.content) > BYTES_MAX:
            raise StoreError(f"decision {row.id}: {len(row.content) >> 20} MiB, at most {BYTES_MAX >> 20}: plan less")
        with self._catalogue.act(row.proposed_ns, who, "propose", row.id, detail):
            (waiting,) = self._connection.execute("SELECT count(*) FROM decision WHERE over = 0").fetchone() or (0,)
            if int(waiting) >= OPEN_MAX:
                raise StoreError(f"{waiting} decisions are open: approve or reject some, or let them expire")
            self._connection.execute(
                "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (row.id, row.domain, row.state, row.over, 1, row.proposed_ns, row.changed_ns, row.content),
            )

    def change(
        self, row: DecisionRow, who: str, act: str, detail: str, give: Sequence[Wish] = (), *, withdraw: bool = False
    ) -> bool:
        """`row` as it is now, if its version is still the one that was read; else nothing is done, and False.

        Raises StoreError where an order cannot be given; then nothing is changed either.
        """
        for one in give:
            self._orders.check(one.gateway, one.point, one.lasts_ns, one.why)
        try:
            with self._catalogue.act(row.changed_ns, who, act, row.id, detail):
                self._replace(row)
                for one in give:
                    self._give(row, one)
                if withdraw:
                    self._withdraw(row, detail)
        except Changed:
            return False
        return True

    def get(self, decision: str) -> DecisionRow:
        """Raises StoreError."""
        found = self._rows("WHERE id = ?", (decision,))
        if not found:
            raise StoreError(f"{decision}: no such decision; `aggregator decisions` lists them")
        return found[0]

    def open(self) -> list[DecisionRow]:
        """Those that are not over, the oldest first."""
        return self._rows("WHERE over = 0 ORDER BY proposed_ns, id", ())

    def newest(self, limit: int = SHOWN_MAX) -> list[DecisionRow]:
        return self._rows("ORDER BY proposed_ns DESC, id LIMIT ?", (limit,))

    def told(self, decision: str) -> dict[int, Told]:
        """What became of each act that was ordered."""
        rows = self._connection.execute(
            "SELECT act, instruction, fate, reason FROM decision_act JOIN instruction ON instruction.id = instruction"
            " WHERE decision = ? ORDER BY act",
            (decision,),
        )
        return {int(row[0]): Told(*row[1:]) for row in rows}

    def stops(self) -> Mapping[str, tuple[int, str]]:
        """The newest all-stop of each gateway by a person: when (UTC ns), and by whom and why."""
        rows = self._connection.execute(
            "SELECT gateway, max(issued_ns), issuer, why FROM instruction WHERE point = ''"
            " AND issuer NOT IN (SELECT 'decision ' || id FROM decision) GROUP BY gateway"
        )
        return {str(row[0]): (int(row[1]), f"{row[2]} {row[3]}".strip()) for row in rows}

    def enrolled(self) -> int:
        return sum(one.state == "enrolled" for one in self._catalogue.gateways())

    def _replace(self, row: DecisionRow) -> None:
        self._connection.execute(
            "UPDATE decision SET state = ?, over = ?, version = version + 1, changed_ns = ?, content = ?"
            " WHERE id = ? AND version = ?",
            (row.state, row.over, row.changed_ns, row.content, row.id, row.version),
        )
        if not self._connection.changes():
            raise Changed

    def _give(self, row: DecisionRow, one: Wish) -> None:
        order = self._orders.write(
            one.gateway, one.point, one.value, one.lasts_ns, f"decision {row.id}", row.changed_ns, why=one.why
        )
        self._connection.execute("INSERT INTO decision_act VALUES (?, ?, ?)", (row.id, one.act, order.id))
        told = f"{order.id}: {one.point} = {one.value:g} for {one.lasts_ns // 10**9} s {one.why}"
        self._catalogue.note_within(row.changed_ns, f"decision {row.id}", "order", one.gateway, told)

    def _withdraw(self, row: DecisionRow, why: str) -> None:
        """What waits goes no more; what gateways have got is revoked there, by an all-stop: nothing less exists.

        Where somebody else's order stands as well, ours are left to their end, which is near: an emergency order must
        not fall because a plan did.
        """
        self._connection.execute(
            "UPDATE instruction SET fate = 'revoked', reason = ?, fate_ns = ? WHERE fate = 'waiting'"
            " AND id IN (SELECT instruction FROM decision_act WHERE decision = ?)",
            (why[:500], row.changed_ns, row.id),
        )
        for gateway in self._revocable(row):
            self._orders.write_stop(gateway, f"decision {row.id}", row.changed_ns, why[:200])
            self._catalogue.note_within(row.changed_ns, f"decision {row.id}", "all-stop", gateway, why[:200])

    def _revocable(self, row: DecisionRow) -> list[str]:
        """Gateways where orders of this decision stand, and no others."""
        marks = ", ".join("?" * len(LIVE))
        rows = self._connection.execute(
            "SELECT gateway FROM instruction LEFT JOIN decision_act ON instruction = instruction.id AND decision = ?"  # noqa: S608 (marks only)
            f" WHERE point != '' AND not_after_ns > ? AND fate IN ({marks})"
            " GROUP BY gateway HAVING count(decision) = count(*) ORDER BY gateway",
            (row.id, row.changed_ns, *LIVE),
        )
        return [str(one[0]) for one in rows]

    def _rows(self, rest: str, values: tuple[str | int, ...]) -> list[DecisionRow]:
        found: list[tuple[Any, ...]] = list(
            self._connection.execute(f"SELECT * FROM decision {rest}", values)  # noqa: S608 (our own words)
        )
        return [replace(DecisionRow(*one), over=bool(one[3])) for one in found]


class Changed(Exception):
    """Somebody was quicker."""
