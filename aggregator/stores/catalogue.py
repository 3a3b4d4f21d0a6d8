"""What the aggregator knows beside the readings: gateways, their points and clocks, and the audit of every act.

Small, rarely written, shared with the verbs of other processes: the file is the channel between them and the server.
Every change is one transaction together with its audit row (`act`). Certificates and tokens: `identities.py`; orders:
`orders.py`; decisions: `decisions.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aggregator.stores import StoreError, sqlite
from protos.span import Span

DETAIL_MAX = 500  # characters of an audit row's detail: part of it may come from a stranger
POINTS_MAX = 20_000  # of one gateway
SOFTWARE_MAX = 80  # characters of a version
CLOCKS_KEPT = 64  # boots of one gateway

SCHEMA = (
    """
    CREATE TABLE gateway (
        id TEXT PRIMARY KEY, state TEXT NOT NULL, district TEXT NOT NULL DEFAULT '', created_ns INTEGER NOT NULL,
        software TEXT NOT NULL DEFAULT '', highest_epoch INTEGER NOT NULL DEFAULT 0,
        seen_ns INTEGER NOT NULL DEFAULT 0, catalogue_digest BLOB NOT NULL DEFAULT x'') STRICT, WITHOUT ROWID;
    CREATE TABLE point (
        gateway TEXT NOT NULL REFERENCES gateway, device TEXT NOT NULL, name TEXT NOT NULL, unit TEXT NOT NULL,
        domain TEXT NOT NULL, quantity TEXT NOT NULL, asset TEXT NOT NULL, writable INTEGER NOT NULL,
        is_text INTEGER NOT NULL, current INTEGER NOT NULL,
        PRIMARY KEY (gateway, device, name)) STRICT, WITHOUT ROWID;
    CREATE TABLE clock (
        gateway TEXT NOT NULL REFERENCES gateway, boot_id BLOB NOT NULL, offset_ns INTEGER NOT NULL,
        error_ns INTEGER NOT NULL, source TEXT NOT NULL, at_ns INTEGER NOT NULL,
        PRIMARY KEY (gateway, boot_id)) STRICT, WITHOUT ROWID;
    CREATE TABLE unavailable (
        gateway TEXT NOT NULL REFERENCES gateway, epoch INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, PRIMARY KEY (gateway, epoch, first, last)) STRICT, WITHOUT ROWID;
    CREATE TABLE certificate (
        serial TEXT PRIMARY KEY, gateway TEXT NOT NULL REFERENCES gateway, not_before_ns INTEGER NOT NULL,
        not_after_ns INTEGER NOT NULL, key_sha256 TEXT NOT NULL, issued_ns INTEGER NOT NULL,
        revoked_ns INTEGER, reason TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
    CREATE INDEX certificate_gateway ON certificate (gateway);
    CREATE INDEX certificate_key ON certificate (key_sha256);
    CREATE TABLE token (
        digest TEXT PRIMARY KEY, gateway TEXT NOT NULL REFERENCES gateway, created_ns INTEGER NOT NULL,
        expires_ns INTEGER NOT NULL, used_ns INTEGER) STRICT, WITHOUT ROWID;
    CREATE TABLE recovery (
        gateway TEXT NOT NULL REFERENCES gateway, key_sha256 TEXT NOT NULL, asked_ns INTEGER NOT NULL,
        approved_ns INTEGER, used_ns INTEGER, PRIMARY KEY (gateway, key_sha256)) STRICT, WITHOUT ROWID;
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, actor TEXT NOT NULL, act TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
    CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit only grows'); END;
    CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit only grows'); END;
    """,
    """
    CREATE TABLE instruction (
        id TEXT PRIMARY KEY, gateway TEXT NOT NULL REFERENCES gateway, device TEXT NOT NULL, point TEXT NOT NULL,
        value REAL, emergency INTEGER NOT NULL, why TEXT NOT NULL, issuer TEXT NOT NULL, fence INTEGER NOT NULL UNIQUE,
        issued_ns INTEGER NOT NULL, not_after_ns INTEGER NOT NULL, fate TEXT NOT NULL DEFAULT 'waiting',
        reason TEXT NOT NULL DEFAULT '', decided REAL, fate_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX instruction_open ON instruction (gateway) WHERE fate IN ('waiting', 'sent');
    """,
    """
    CREATE INDEX instruction_stop ON instruction (gateway, issued_ns) WHERE point = '';
    CREATE TABLE decision (
        id TEXT PRIMARY KEY, domain TEXT NOT NULL, state TEXT NOT NULL, over INTEGER NOT NULL,
        version INTEGER NOT NULL, proposed_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
        content TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX decision_open ON decision (proposed_ns) WHERE over = 0;
    CREATE TABLE decision_act (
        decision TEXT NOT NULL REFERENCES decision, act INTEGER NOT NULL,
        instruction TEXT NOT NULL UNIQUE REFERENCES instruction,
        PRIMARY KEY (decision, act)) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE rollout (
        id TEXT PRIMARY KEY, twin TEXT NOT NULL, state TEXT NOT NULL, over INTEGER NOT NULL,
        version INTEGER NOT NULL, made_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
        content TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX rollout_open ON rollout (made_ns) WHERE over = 0;
    """,
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """`state`: expected (a token is out), enrolled, or revoked."""

    id: str
    state: str
    district: str
    created_ns: int
    software: str
    highest_epoch: int
    seen_ns: int
    catalogue_digest: bytes


@dataclass(frozen=True, slots=True)
class Point:
    """A point on file. `current` is False once its gateway no longer lists it; its history stays."""

    gateway: str
    device: str
    name: str
    unit: str
    domain: str
    quantity: str
    asset: str
    writable: bool
    is_text: bool
    current: bool


@dataclass(frozen=True, slots=True)
class ClockRow:
    """UTC = monotonic + offset_ns within ± error_ns, for one boot."""

    boot_id: bytes
    offset_ns: int
    error_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class Audit:
    number: int
    at_ns: int
    actor: str
    act: str
    subject: str
    detail: str


class Catalogue:
    """One connection; not for two threads at once. Calls are short (a page or two), so they run where they are."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens, or makes, the file at `path`. Raises StoreError."""
        if read_only and not path.exists():
            raise StoreError(f"{path}: not there; `aggregator init` makes it")
        self.path = path
        self.connection = sqlite.connect(path, read_only=read_only)
        if not read_only:
            sqlite.migrate(self.connection, SCHEMA)
        self._version = self._data_version()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def act(self, at_ns: int, actor: str, act: str, subject: str, detail: str = "") -> Iterator[None]:
        """A change and its audit row, together or not at all."""
        with sqlite.transaction(self.connection):
            yield
            self._note(at_ns, actor, act, subject, detail)

    def note(self, at_ns: int, actor: str, act: str, subject: str, detail: str = "") -> None:
        """An audit row alone: for what was refused."""
        with sqlite.transaction(self.connection):
            self._note(at_ns, actor, act, subject, detail)

    def note_change(self, at_ns: int, actor: str, act: str, subject: str, detail: str) -> None:
        """An audit row, unless the newest one of this act and subject says the same."""
        with sqlite.transaction(self.connection):
            query = "SELECT detail FROM audit WHERE act = ? AND subject = ? ORDER BY number DESC LIMIT 1"
            before = self.connection.execute(query, (act, subject)).fetchone()
            if before is None or before[0] != detail[:DETAIL_MAX]:
                self._note(at_ns, actor, act, subject, detail)

    def note_within(self, at_ns: int, actor: str, act: str, subject: str, detail: str) -> None:
        """One of several audit rows of a change, inside a transaction of the caller's."""
        self._note(at_ns, actor, act, subject, detail)

    def changed_elsewhere(self) -> bool:
        """Whether another process has changed the file since the last call."""
        before, self._version = self._version, self._data_version()
        return before != self._version

    def audit(self, after: int = 0, limit: int = 1_000) -> list[Audit]:
        query = "SELECT * FROM audit WHERE number > ? ORDER BY number LIMIT ?"
        return [Audit(*one) for one in self.connection.execute(query, (after, limit))]

    def newest_audit(self) -> int:
        """The number of the newest row."""
        (number,) = self.connection.execute("SELECT coalesce(max(number), 0) FROM audit").fetchone() or (0,)
        return int(number)

    def gateways(self) -> list[Gateway]:
        return [Gateway(*one) for one in self.connection.execute("SELECT * FROM gateway ORDER BY id")]

    def gateway(self, gateway: str) -> Gateway | None:
        found = self.connection.execute("SELECT * FROM gateway WHERE id = ?", (gateway,)).fetchone()
        return Gateway(*found) if found else None

    def put_gateway(self, gateway: str, state: str, at_ns: int) -> None:
        """Inside `act`: make it known, or set its state."""
        self.connection.execute(
            "INSERT INTO gateway (id, state, created_ns) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET state = excluded.state",
            (gateway, state, at_ns),
        )

    def seen(self, hellos: Iterable[tuple[str, int, str, int]]) -> None:
        """(gateway, UTC ns, software, epoch) of those that said hello."""
        rows = [(at_ns, software[:SOFTWARE_MAX], epoch, gateway) for gateway, at_ns, software, epoch in hellos]
        with sqlite.transaction(self.connection):
            self.connection.executemany(
                "UPDATE gateway SET seen_ns = ?, software = ?, highest_epoch = max(highest_epoch, ?) WHERE id = ?", rows
            )

    def points(self, gateway: str = "") -> list[Point]:
        """Every point on file, or those of one gateway, by full name."""
        query = "SELECT * FROM point WHERE ? IN ('', gateway) ORDER BY gateway, device, name"
        rows = self.connection.execute(query, (gateway,))
        return [Point(*(*row[:7], *map(bool, row[7:]))) for row in rows]

    def put_points(self, gateway: str, district: str, points: Sequence[Point], digest: bytes) -> None:
        """Replace the list of a gateway's points. What is no longer listed stays, as not current."""
        with sqlite.transaction(self.connection):
            self.connection.execute(
                "UPDATE gateway SET district = ?, catalogue_digest = ? WHERE id = ?", (district, digest, gateway)
            )
            self.connection.execute("UPDATE point SET current = 0 WHERE gateway = ?", (gateway,))
            self.connection.executemany(
                "INSERT OR REPLACE INTO point VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
                [
                    (gateway, p.device, p.name, p.unit, p.domain, p.quantity, p.asset, p.writable, p.is_text)
                    for p in points
                ],
            )

    def clocks(self, gateway: str) -> list[ClockRow]:
        query = "SELECT boot_id, offset_ns, error_ns, source FROM clock WHERE gateway = ?"
        return [ClockRow(*one) for one in self.connection.execute(query, (gateway,))]

    def put_clocks(self, clocks: Iterable[tuple[str, ClockRow]], at_ns: int) -> None:
        """Keep the newest reading of each boot, and the newest CLOCKS_KEPT boots of each gateway."""
        rows = [(gateway, c.boot_id, c.offset_ns, c.error_ns, c.source, at_ns) for gateway, c in clocks]
        with sqlite.transaction(self.connection):
            self.connection.executemany("INSERT OR REPLACE INTO clock VALUES (?, ?, ?, ?, ?, ?)", rows)
            self.connection.executemany(
                "DELETE FROM clock WHERE gateway = ?1 AND boot_id NOT IN"
                " (SELECT boot_id FROM clock WHERE gateway = ?1 ORDER BY at_ns DESC LIMIT ?2)",
                [(gateway, CLOCKS_KEPT) for gateway in {row[0] for row in rows}],
            )

    def unavailable(self, gateway: str) -> list[Span]:
        """What the gateway said it no longer has: not asked for again."""
        query = "SELECT epoch, first, last FROM unavailable WHERE gateway = ? ORDER BY 1, 2, 3"
        return [Span(*one) for one in self.connection.execute(query, (gateway,))]

    def put_unavailable(self, gateway: str, stretches: Sequence[Span]) -> None:
        rows = [(gateway, one.epoch, one.first, one.last) for one in stretches]
        with sqlite.transaction(self.connection):
            self.connection.executemany("INSERT OR IGNORE INTO unavailable VALUES (?, ?, ?, ?)", rows)

    def _note(self, at_ns: int, actor: str, act: str, subject: str, detail: str) -> None:
        self.connection.execute(
            "INSERT INTO audit (at_ns, actor, act, subject, detail) VALUES (?, ?, ?, ?, ?)",
            (at_ns, actor, act, subject, detail[:DETAIL_MAX]),
        )

    def _data_version(self) -> int:
        return int(str(self.connection.pragma("data_version")))
