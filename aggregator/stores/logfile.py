"""The log's file: what one transaction of it does. Synchronous and single-threaded; `log.py` gives it a thread."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from aggregator.stores import Arrival, Counts, Fate, Outcome, Reject, Row, sqlite
from aggregator.stores.received import Received
from protos.span import Span, join

RANGES_MAX = 100_000  # of one gateway: a sender that leaves a gap after every batch must not fill the memory
QUARANTINE_BYTES = 64 << 20  # of one gateway: enough to look into a fault, not enough to fill the disk
TRIM_ROWS = 2_000  # in one transaction: the writers wait for it

SCHEMA = (
    """
    CREATE TABLE gateway (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received INTEGER NOT NULL DEFAULT 0,
        stored INTEGER NOT NULL DEFAULT 0, duplicate INTEGER NOT NULL DEFAULT 0, quarantined INTEGER NOT NULL DEFAULT 0,
        readings INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, newest_ns INTEGER NOT NULL DEFAULT 0,
        quarantine_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE log (
        position INTEGER PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, received_ns INTEGER NOT NULL, clock_offset_ns INTEGER NOT NULL,
        clock_error_ns INTEGER NOT NULL, readings INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX log_key ON log (gateway, epoch, sequence);
    CREATE TABLE received (
        gateway INTEGER NOT NULL REFERENCES gateway, epoch INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, PRIMARY KEY (gateway, epoch, first)) STRICT, WITHOUT ROWID;
    CREATE TABLE quarantine (
        number INTEGER PRIMARY KEY, gateway INTEGER NOT NULL REFERENCES gateway, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, received_ns INTEGER NOT NULL, reason TEXT NOT NULL, size INTEGER NOT NULL,
        blob BLOB) STRICT;
    CREATE INDEX quarantine_key ON quarantine (gateway, epoch, sequence);
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO mark VALUES ('newest', 0), ('trimmed', 0);
    """,
)
ROW = "position, id, epoch, sequence, received_ns, clock_offset_ns, clock_error_ns, log.readings, blob"


@dataclass(slots=True)
class Account:
    """One gateway in memory: its number in the file, its keys, and what its counters grow by in this transaction."""

    number: int
    keys: Received
    quarantine_bytes: int
    grown: dict[str, int] = field(default_factory=dict)

    def count(self, **by: int) -> None:
        for name, amount in by.items():
            self.grown[name] = self.grown.get(name, 0) + amount


class LogFile:
    """`append`, `quarantine` and `trim` run inside `commit`, which saves ranges and counters with the rows."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self.connection = sqlite.connect(path, vfs=vfs)
        sqlite.migrate(self.connection, SCHEMA)
        self._accounts: dict[str, Account] = {}
        self._touched: dict[str, Account] = {}  # in this transaction
        self.newest, self.trimmed = marks(self.connection)

    def commit(self, work: Sequence[Callable[["LogFile"], object]]) -> list[object]:
        """Do all of `work` in one transaction; returns their results. Memory goes back when the file does."""
        before = self.newest, self.trimmed
        try:
            with sqlite.transaction(self.connection):
                results = [one(self) for one in work]
                self._save(before[0])
        except BaseException:
            self._accounts.clear()
            self._touched.clear()
            self.newest, self.trimmed = before
            raise
        self._touched.clear()
        return results

    def append(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        return [self._append(one) for one in arrivals]

    def quarantine(self, rejects: Sequence[Reject]) -> None:
        for one in rejects:
            self._set_aside(self._account(one.gateway), one)

    def trim(self, before: int) -> int:
        """Forget at most TRIM_ROWS rows; returns how many, fewer than that when it is done."""
        self.connection.execute(
            "DELETE FROM log WHERE position IN (SELECT position FROM log WHERE position < ? ORDER BY position LIMIT ?)",
            (before, TRIM_ROWS),
        )
        gone = self.connection.changes()
        first = self.connection.execute("SELECT min(position) FROM log").get
        left = int(first) if isinstance(first, int) else self.newest + 1
        self.trimmed = max(self.trimmed, min(before, left) - 1)
        self.connection.execute("UPDATE mark SET value = ? WHERE name = 'trimmed'", (self.trimmed,))
        return gone

    def close(self) -> None:
        self.connection.close()

    def _append(self, one: Arrival) -> Outcome:
        account, key = self._account(one.key.gateway), one.key
        if account.keys.has(key.epoch, key.sequence):
            return self._again(account, one)
        if account.keys.ranges >= RANGES_MAX:
            reason = f"gateway has {RANGES_MAX} gaps in its sequences: it does not number its batches in order"
            return self._set_aside(account, rejected(one, reason))
        account.keys.add(key.epoch, key.sequence)
        self.newest += 1
        self.connection.execute(
            "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.newest,
                account.number,
                key.epoch,
                key.sequence,
                one.received_ns,
                one.clock_offset_ns,
                one.clock_error_ns,
                one.readings,
                one.blob,
            ),
        )
        account.count(received=1, stored=1, readings=one.readings, bytes=len(one.blob))
        account.grown["newest_ns"] = one.received_ns
        return Outcome(Fate.STORED, self.newest)

    def _again(self, account: Account, one: Arrival) -> Outcome:
        found = self.connection.execute(
            "SELECT position, blob = ? FROM log WHERE gateway = ? AND epoch = ? AND sequence = ?",
            (one.blob, account.number, one.key.epoch, one.key.sequence),
        ).fetchone()
        if found is not None and not found[1]:
            reason = "epoch conflict: this key is on file with other bytes; the gateway must raise its epoch"
            return self._set_aside(account, rejected(one, reason))
        account.count(received=1, duplicate=1)
        return Outcome(Fate.DUPLICATE, found[0] if found else 0)

    def _set_aside(self, account: Account, one: Reject) -> Outcome:
        """Kept once per key and bytes. What comes again is counted again; a stored batch that turned out to be of no
        use is counted where it ended, once."""
        key = (account.number, one.epoch, one.sequence)
        seen = self.connection.execute(
            "SELECT count(*) FROM quarantine"
            " WHERE gateway = ? AND epoch = ? AND sequence = ? AND (blob = ? OR blob IS NULL)",
            (*key, one.blob),
        ).get
        stored = self.connection.execute(
            "SELECT readings FROM log WHERE gateway = ? AND epoch = ? AND sequence = ? AND blob = ?", (*key, one.blob)
        ).fetchone()
        if stored is None:
            account.count(received=1, quarantined=1)
        elif not seen:
            account.count(stored=-1, quarantined=1, readings=-stored[0], bytes=-len(one.blob))
        if not seen:
            self._keep_aside(account, one)
        return Outcome(Fate.QUARANTINED, 0, one.reason)

    def _keep_aside(self, account: Account, one: Reject) -> None:
        room = account.quarantine_bytes + len(one.blob) <= QUARANTINE_BYTES
        account.quarantine_bytes += len(one.blob) if room else 0
        account.count(quarantine_bytes=len(one.blob) if room else 0)
        reason = one.reason if room else f"{one.reason} (bytes not kept: quarantine of {QUARANTINE_BYTES} B is full)"
        values = (account.number, one.epoch, one.sequence, one.received_ns, reason, len(one.blob))
        self.connection.execute(
            "INSERT INTO quarantine VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", (*values, one.blob if room else None)
        )

    def _account(self, gateway: str) -> Account:
        if gateway not in self._accounts:
            self.connection.execute("INSERT INTO gateway (id) VALUES (?) ON CONFLICT DO NOTHING", (gateway,))
            number, size = self.connection.execute(
                "SELECT number, quarantine_bytes FROM gateway WHERE id = ?", (gateway,)
            ).get
            self._accounts[gateway] = Account(number, Received(stored(self.connection, gateway)), size)
        self._touched[gateway] = self._accounts[gateway]
        return self._touched[gateway]

    def _save(self, newest_before: int) -> None:
        for account in self._touched.values():
            if account.grown:
                newest = account.grown.pop("newest_ns", None)
                pairs = [f"{name} = {name} + {amount}" for name, amount in account.grown.items()]
                pairs += [] if newest is None else [f"newest_ns = {newest}"]
                # the names are this file's own keywords, the amounts integers
                update = f"UPDATE gateway SET {', '.join(pairs)} WHERE number = ?"  # noqa: S608
                self.connection.execute(update, (account.number,))
                account.grown = {}
            for (epoch, first), last in account.keys.take_changes().items():
                if last is None:
                    self.connection.execute(
                        "DELETE FROM received WHERE gateway = ? AND epoch = ? AND first = ?",
                        (account.number, epoch, first),
                    )
                else:
                    self.connection.execute(
                        "INSERT INTO received VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last",
                        (account.number, epoch, first, last),
                    )
        if self.newest != newest_before:
            self.connection.execute("UPDATE mark SET value = ? WHERE name = 'newest'", (self.newest,))


def rejected(one: Arrival, reason: str) -> Reject:
    return Reject(one.key.gateway, one.key.epoch, one.key.sequence, one.received_ns, reason, one.blob)


def marks(connection: apsw.Connection) -> tuple[int, int]:
    """(newest, trimmed)"""
    found = dict(connection.execute("SELECT name, value FROM mark"))
    return found["newest"], found["trimmed"]


def rows(connection: apsw.Connection, after: int, max_rows: int, max_bytes: int) -> Iterator[Row]:
    size = 0
    for values in connection.execute(
        f"SELECT {ROW} FROM log JOIN gateway ON number = gateway WHERE position > ? ORDER BY position LIMIT ?",  # noqa: S608
        (after, max_rows),
    ):
        row = Row(*values)
        size += len(row.blob)
        if size > max_bytes and size > len(row.blob):
            return
        yield row


def stored(connection: apsw.Connection, gateway: str) -> list[Span]:
    query = "SELECT epoch, first, last FROM received JOIN gateway ON number = gateway WHERE id = ? ORDER BY 1, 2"
    return [Span(*one) for one in connection.execute(query, (gateway,))]


def pending(connection: apsw.Connection, gateway: str, checkpoint: int) -> list[Span]:
    query = (
        "SELECT epoch, sequence FROM log WHERE position > ? AND +gateway = (SELECT number FROM gateway WHERE id = ?)"
    )
    return join(connection.execute(query, (checkpoint, gateway)))


def counts(connection: apsw.Connection) -> list[Counts]:
    query = "SELECT id, received, stored, duplicate, quarantined, readings, bytes, newest_ns FROM gateway ORDER BY id"
    return [Counts(*one) for one in connection.execute(query)]


def first_since(connection: apsw.Connection, received_ns: int, at_most: int) -> int:
    """By halving, as positions and arrival times rise together (but for a step of our own clock)."""
    low, high = marks(connection)[1] + 1, at_most
    while low < high:
        middle = (low + high) // 2
        query = "SELECT received_ns FROM log WHERE position >= ? ORDER BY position LIMIT 1"
        found = connection.execute(query, (middle,)).fetchone()
        if found is not None and found[0] < received_ns:
            low = middle + 1
        else:
            high = middle
    return low
