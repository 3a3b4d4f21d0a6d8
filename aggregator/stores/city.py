"""What is kept of the live city: checkpoints to begin from again, what was believed when, forecasts, alarms.

One SQLite file beside the log. Checkpoints and the log position they belong to are one transaction, so that a kill at
any moment neither loses a reading nor takes one twice. Everything in it can be made again from the log and history.

Two times stand with every number: the step it is about, and since when it was known. Of one step the first picture,
as people saw it happen, and the newest are kept, and a few between.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from aggregator.stores import StoreError, sqlite

Shown = npt.NDArray[np.float32]

REVISIONS = 4  # of one step
FORECASTS = 60  # of one domain: an hour of those made each minute
ASKED_MAX = 10_000  # acts of operators that wait for the server; more is a program gone wrong
TRANSITIONS_MAX = 100_000  # kept of the alarm journal
LEVEL = 3  # of zstd: single-precision pictures of neighbouring steps shrink to a half

SCHEMA = (
    """
    CREATE TABLE checkpoint (domain TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE moment (
        domain TEXT NOT NULL, k INTEGER NOT NULL, known_ns INTEGER NOT NULL, dt_ns INTEGER NOT NULL,
        x BLOB NOT NULL, sd BLOB NOT NULL, PRIMARY KEY (domain, k, known_ns)) STRICT, WITHOUT ROWID;
    CREATE TABLE forecast (
        domain TEXT NOT NULL, k INTEGER NOT NULL, dt_ns INTEGER NOT NULL, made_ns INTEGER NOT NULL,
        mean BLOB NOT NULL, sd BLOB NOT NULL, PRIMARY KEY (domain, k)) STRICT, WITHOUT ROWID;
    CREATE TABLE shown (domain TEXT NOT NULL, what TEXT NOT NULL, at_ns INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (domain, what)) STRICT, WITHOUT ROWID;
    CREATE TABLE alarm (
        asset TEXT NOT NULL, condition TEXT NOT NULL, state TEXT NOT NULL, priority INTEGER NOT NULL,
        since_ns INTEGER NOT NULL, value REAL, limit_value REAL NOT NULL, action TEXT NOT NULL, why TEXT NOT NULL,
        kept TEXT NOT NULL, PRIMARY KEY (asset, condition)) STRICT, WITHOUT ROWID;
    CREATE TABLE transition (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, asset TEXT NOT NULL, condition TEXT NOT NULL,
        before TEXT NOT NULL, after TEXT NOT NULL, why TEXT NOT NULL, announced INTEGER NOT NULL) STRICT;
    CREATE TABLE asked (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, act TEXT NOT NULL, asset TEXT NOT NULL,
        condition TEXT NOT NULL, actor TEXT NOT NULL, why TEXT NOT NULL, until_ns INTEGER NOT NULL,
        answer TEXT) STRICT;
    """,
)


@dataclass(frozen=True, eq=False, slots=True)
class Moment:
    """The state of step `k`, which ends at k · dt, as it was known from `known_ns` (UTC) until the next revision."""

    k: int
    dt_ns: int
    known_ns: int
    x: Shown  # (n,)
    sd: Shown  # (n,)

    @property
    def t_ns(self) -> int:
        return self.k * self.dt_ns


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """The newest step of a domain, as viewers are shown it."""

    k: int
    dt_ns: int
    x: Shown  # (n,)
    sd: Shown  # (n,)

    @property
    def t_ns(self) -> int:
        return self.k * self.dt_ns


@dataclass(frozen=True, eq=False, slots=True)
class Forecast:
    """What was expected, after step `k`, of the steps k + 1 … k + T."""

    k: int
    dt_ns: int
    made_ns: int
    mean: Shown  # (T, n)
    sd: Shown  # (T, n)


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm as it stands. `kept` is what the desk needs to go on from (JSON)."""

    asset: str
    condition: str
    state: str
    priority: int
    since_ns: int
    value: float | None
    limit: float
    action: str
    why: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class TransitionRow:
    number: int
    at_ns: int
    asset: str
    condition: str
    before: str
    after: str
    why: str
    announced: int  # 1: people were told at once


@dataclass(frozen=True, slots=True)
class Asked:
    """What an operator wants of an alarm; the server answers with nothing, or with why not."""

    number: int
    at_ns: int
    act: str  # acknowledge, shelve, unshelve, out-of-service, in-service
    asset: str
    condition: str
    actor: str
    why: str
    until_ns: int


class CityStore:
    """Not for threads. One writer, the server; verbs read, and ask. Raises StoreError."""

    def __init__(self, path: Path, *, read_only: bool = False, keep_steps: int = 8_640) -> None:
        """`keep_steps`: how far back pictures are kept, in steps of their domain."""
        if read_only and not path.exists():
            raise StoreError(f"{path}: no city lives here yet; name a city file in [city] and start the server")
        self._connection = sqlite.connect(path, read_only=read_only)
        if not read_only:
            sqlite.migrate(self._connection, SCHEMA)
        self._keep_steps = keep_steps
        self._version = -1

    def close(self) -> None:
        self._connection.close()

    def checkpoints(self) -> tuple[int, dict[str, bytes]]:
        """The log position that they have everything up to, and the bytes of each domain."""
        rows = self._connection.execute("SELECT value FROM mark WHERE name = 'position'").fetchone()
        kept = self._connection.execute("SELECT domain, data FROM checkpoint")
        return int(rows[0]) if rows else 0, {str(domain): bytes(data) for domain, data in kept}

    def save(self, position: int, packed: Mapping[str, bytes]) -> None:
        """All of it or nothing."""
        with sqlite.transaction(self._connection):
            self._connection.execute("DELETE FROM checkpoint")
            self._connection.executemany("INSERT INTO checkpoint VALUES (?, ?)", packed.items())
            self._connection.execute("INSERT OR REPLACE INTO mark VALUES ('position', ?)", (position,))

    def record(self, domain: str, dt_ns: int, known_ns: int, pictures: Iterable[tuple[int, Shown, Shown]]) -> int:
        """What is believed of some steps (k, x, sd) from `known_ns` on; how many of them were news."""
        news = 0
        newest = -1
        with sqlite.transaction(self._connection):
            for k, x, sd in pictures:
                newest = max(newest, k)
                news += self._record(domain, k, dt_ns, known_ns, pressed(x), pressed(sd))
            if newest >= 0:
                limit = newest - self._keep_steps
                self._connection.execute("DELETE FROM moment WHERE domain = ? AND k < ?", (domain, limit))
        return news

    def _record(self, domain: str, k: int, dt_ns: int, known_ns: int, x: bytes, sd: bytes) -> bool:
        rows: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT known_ns, x, sd FROM moment WHERE domain = ? AND k = ? ORDER BY known_ns", (domain, k)
        ).fetchall()
        if rows and (bytes(rows[-1][1]), bytes(rows[-1][2])) == (x, sd):
            return False
        known_ns = max(known_ns, int(rows[-1][0]) + 1) if rows else known_ns
        self._connection.execute("INSERT INTO moment VALUES (?, ?, ?, ?, ?, ?)", (domain, k, known_ns, dt_ns, x, sd))
        if len(rows) >= REVISIONS:  # the first and the newest are what people ask for
            old = (domain, k, rows[1][0])
            self._connection.execute("DELETE FROM moment WHERE domain = ? AND k = ? AND known_ns = ?", old)
        return True

    def moment(self, domain: str, at_ns: int | None = None, known_ns: int | None = None) -> Moment:
        """The newest step that had ended by `at_ns`, as known at `known_ns`; None is now. Raises StoreError."""
        row = self._connection.execute(
            "SELECT k, dt_ns, known_ns, x, sd FROM moment WHERE domain = ? AND (? IS NULL OR k * dt_ns <= ?)"
            " AND (? IS NULL OR known_ns <= ?) ORDER BY k DESC, known_ns DESC LIMIT 1",
            (domain, at_ns, at_ns, known_ns, known_ns),
        ).fetchone()
        if row is None:
            raise StoreError(f"nothing is kept of {domain} then; {self._held(domain)}")
        return moment_of(row)

    def begun(self, domain: str) -> bool:
        """Whether there is any picture of it."""
        query = "SELECT 1 FROM moment WHERE domain = ? LIMIT 1"
        return self._connection.execute(query, (domain,)).fetchone() is not None

    def series(self, domain: str, from_ns: int, to_ns: int) -> list[Moment]:
        """Every step that ended between, as known now."""
        rows = self._connection.execute(
            "SELECT k, dt_ns, max(known_ns), x, sd FROM moment WHERE domain = ? AND k * dt_ns BETWEEN ? AND ?"
            " GROUP BY k ORDER BY k",
            (domain, from_ns, to_ns),
        )
        return [moment_of(row) for row in rows]

    def course(
        self, domain: str, place: int, from_ns: int, to_ns: int, most: int
    ) -> tuple[npt.NDArray[np.int64], Shown, Shown]:
        """One number's times (UTC ns), means and deviations, as known now; every so manieth step where `most` are
        fewer than there are."""
        query = "SELECT k, max(known_ns), dt_ns FROM moment WHERE domain = ? AND k * dt_ns BETWEEN ? AND ? GROUP BY k"
        kept = [
            (int(k), int(known), int(dt)) for k, known, dt in self._connection.execute(query, (domain, from_ns, to_ns))
        ]
        kept = sorted(kept)[:: max(1, -(-len(kept) // most))]
        times, mean, sd = (
            np.zeros(len(kept), np.int64),
            np.zeros(len(kept), np.float32),
            np.zeros(len(kept), np.float32),
        )
        for i, (k, known, dt) in enumerate(kept):
            one: tuple[Any, ...] | None = self._connection.execute(
                "SELECT x, sd FROM moment WHERE domain = ? AND k = ? AND known_ns = ?", (domain, k, known)
            ).fetchone()
            if one is not None:
                times[i], mean[i], sd[i] = k * dt, unpressed(one[0])[place], unpressed(one[1])[place]
        return times, mean, sd

    def revisions(self, domain: str, k: int) -> list[Moment]:
        """How the picture of step k has changed, oldest first."""
        rows = self._connection.execute(
            "SELECT k, dt_ns, known_ns, x, sd FROM moment WHERE domain = ? AND k = ? ORDER BY known_ns", (domain, k)
        )
        return [moment_of(row) for row in rows]

    def _held(self, domain: str) -> str:
        row = self._connection.execute("SELECT min(k * dt_ns), max(k * dt_ns) FROM moment WHERE domain = ?", (domain,))
        first, last = row.fetchone() or (None, None)
        return (
            "the server has not begun with it" if first is None else f"kept are the ends of steps {first} … {last} ns"
        )

    def put_forecast(self, domain: str, one: Forecast) -> None:
        """Kept with those before it, so that people can see what it was worth."""
        with sqlite.transaction(self._connection):
            row = (domain, one.k, one.dt_ns, one.made_ns, pressed(one.mean), pressed(one.sd))
            self._connection.execute("INSERT OR REPLACE INTO forecast VALUES (?, ?, ?, ?, ?, ?)", row)
            self._connection.execute(
                "DELETE FROM forecast WHERE domain = ? AND k NOT IN"
                " (SELECT k FROM forecast WHERE domain = ? ORDER BY k DESC LIMIT ?)",
                (domain, domain, FORECASTS),
            )

    def forecast(self, domain: str, made_by_ns: int | None = None) -> Forecast:
        """The newest, or the newest that had been made by a time. Raises StoreError."""
        row = self._connection.execute(
            "SELECT k, dt_ns, made_ns, mean, sd FROM forecast WHERE domain = ? AND (? IS NULL OR made_ns <= ?)"
            " ORDER BY k DESC LIMIT 1",
            (domain, made_by_ns, made_by_ns),
        ).fetchone()
        if row is None:
            raise StoreError(f"no forecast of {domain} is kept; the server makes one a minute")
        n = len(self.moment(domain).x)
        mean, sd = (unpressed(one).reshape(-1, n) for one in row[3:5])
        return Forecast(int(row[0]), int(row[1]), int(row[2]), mean, sd)

    def show(self, domain: str, what: str, at_ns: int, value: Any) -> None:
        """The newest of something for people and other programs (`health`, `risks`), as JSON can say it."""
        data = zstandard.compress(json.dumps(value).encode(), LEVEL)
        self._connection.execute("INSERT OR REPLACE INTO shown VALUES (?, ?, ?, ?)", (domain, what, at_ns, data))

    def shown(self, domain: str, what: str) -> tuple[int, Any] | None:
        row = self._connection.execute(
            "SELECT at_ns, value FROM shown WHERE domain = ? AND what = ?", (domain, what)
        ).fetchone()
        return None if row is None else (int(row[0]), json.loads(zstandard.decompress(bytes(row[1]))))

    def domains(self) -> list[str]:
        """That something is shown of."""
        return [str(row[0]) for row in self._connection.execute("SELECT DISTINCT domain FROM moment ORDER BY domain")]

    def put_alarms(self, rows: Sequence[AlarmRow], transitions: Sequence[tuple[Any, ...]]) -> None:
        """All alarms that were ever raised as they stand, and what has just happened to some."""
        with sqlite.transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [tuple(getattr(row, name) for name in AlarmRow.__slots__) for row in rows],
            )
            self._connection.executemany(
                "INSERT INTO transition (at_ns, asset, condition, before, after, why, announced)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                transitions,
            )
            self._connection.execute(
                "DELETE FROM transition WHERE number <= (SELECT max(number) FROM transition) - ?", (TRANSITIONS_MAX,)
            )

    def alarms(self) -> list[AlarmRow]:
        rows = self._connection.execute("SELECT * FROM alarm ORDER BY priority, since_ns")
        return [AlarmRow(*row) for row in rows]

    def transitions(self, limit: int = 100, after: int = 0) -> list[TransitionRow]:
        """The newest, oldest of them first; only those after a number."""
        rows = self._connection.execute(
            "SELECT * FROM (SELECT * FROM transition WHERE number > ? ORDER BY number DESC LIMIT ?) ORDER BY number",
            (after, limit),
        )
        return [TransitionRow(*row) for row in rows]

    def ask(self, act: str, asset: str, condition: str, actor: str, why: str, at_ns: int, until_ns: int = 0) -> int:
        """Put an operator's act where the server finds it; its number, for `answer`."""
        with sqlite.transaction(self._connection):
            (waiting,) = self._connection.execute("SELECT count(*) FROM asked WHERE answer IS NULL").fetchone() or (0,)
            if int(waiting) >= ASKED_MAX:
                raise StoreError(f"{waiting} acts wait for the server; is it running? `aggregator serve`")
            self._connection.execute(
                "INSERT INTO asked (at_ns, act, asset, condition, actor, why, until_ns) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (at_ns, act, asset, condition, actor, why, until_ns),
            )
            return self._connection.last_insert_rowid()

    def asked(self) -> list[Asked]:
        """What waits for an answer, in the order it came; quick when no other process has written."""
        before, self._version = self._version, int(str(self._connection.pragma("data_version")))
        if before == self._version:
            return []
        rows = self._connection.execute(
            "SELECT number, at_ns, act, asset, condition, actor, why, until_ns FROM asked WHERE answer IS NULL"
            " ORDER BY number"
        )
        return [Asked(*row) for row in rows]

    def reply(self, number: int, answer: str) -> None:
        self._connection.execute("UPDATE asked SET answer = ? WHERE number = ?", (answer, number))

    def answer(self, number: int) -> str | None:
        """Nothing yet; empty for done; else why not."""
        row = self._connection.execute("SELECT answer FROM asked WHERE number = ?", (number,)).fetchone()
        return None if row is None or row[0] is None else str(row[0])


def pressed(numbers: Shown) -> bytes:
    return zstandard.compress(np.ascontiguousarray(numbers, np.float32).tobytes(), LEVEL)


def unpressed(data: Any) -> Shown:
    return np.frombuffer(zstandard.decompress(bytes(data)), np.float32)


def moment_of(row: tuple[Any, ...]) -> Moment:
    return Moment(int(row[0]), int(row[1]), int(row[2]), unpressed(row[3]), unpressed(row[4]))
