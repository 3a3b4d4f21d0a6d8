"""Users, one-time links, sessions and tokens. Of secrets the digest is kept.

One SQLite file beside the catalogue; server and verbs write it. Times are UTC ns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from aggregator.stores import StoreError, sqlite

USERS_MAX, TOKENS_MAX, SESSIONS_MAX, LINKS_MAX = 1_000, 1_000, 10_000, 1_000

SCHEMA = (
    """
    CREATE TABLE user (name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, enabled INTEGER NOT NULL,
        made_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL, origin TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE link (digest BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, until_ns INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
    CREATE TABLE session (digest BLOB PRIMARY KEY, name TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
        csrf TEXT NOT NULL, begun_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE token (name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, role TEXT NOT NULL,
        made_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,
)


@dataclass(frozen=True, slots=True)
class User:
    name: str
    role: str
    password: str  # argon2id; empty: signs in elsewhere, or not yet
    enabled: bool
    made_ns: int
    seen_ns: int
    origin: str  # "local", or the issuer that vouches for them


@dataclass(frozen=True, slots=True)
class Link:
    name: str  # empty: whoever comes chooses one
    role: str
    until_ns: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    name: str
    csrf: str
    begun_ns: int
    seen_ns: int


@dataclass(frozen=True, slots=True)
class Token:
    name: str
    role: str
    made_ns: int
    until_ns: int
    seen_ns: int


class AccessStore:
    """One connection; not for two threads at once. Raises StoreError."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite.connect(path)
        sqlite.migrate(self._connection, SCHEMA)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is done inside, its audit too, or nothing. Raises StoreError where one of them cannot be written."""
        try:
            with sqlite.transaction(self._connection):
                yield
        except (apsw.FullError, apsw.IOError, apsw.BusyError) as error:
            raise StoreError(f"users or audit cannot be written, so nothing was done: {error}") from error

    # ---- users

    def users(self) -> list[User]:
        return [_user(row) for row in self._connection.execute("SELECT * FROM user ORDER BY name")]

    def user(self, name: str) -> User | None:
        row = self._connection.execute("SELECT * FROM user WHERE name = ?", (name,)).fetchone()
        return _user(row) if row else None

    def put_user(self, user: User) -> None:
        if self.user(user.name) is None:
            self._limit("user", USERS_MAX)
        row = (user.name, user.role, user.password, user.enabled, user.made_ns, user.seen_ns, user.origin)
        self._connection.execute(
            "INSERT INTO user VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET role = excluded.role,"
            " password = excluded.password, enabled = excluded.enabled, seen_ns = excluded.seen_ns,"
            " origin = excluded.origin",
            row,
        )

    def drop_user(self, name: str) -> bool:
        self._connection.execute("DELETE FROM user WHERE name = ?", (name,))
        return bool(self._connection.changes())

    # ---- one-time links

    def put_link(self, digest: bytes, link: Link, now_ns: int) -> None:
        """Cancels an older one for the same name."""
        self._connection.execute("DELETE FROM link WHERE name = ? OR until_ns < ?", (link.name, now_ns))
        self._limit("link", LINKS_MAX)
        row = (digest, link.name, link.role, link.until_ns)
        self._connection.execute("INSERT INTO link VALUES (?, ?, ?, ?)", row)

    def link(self, digest: bytes) -> Link | None:
        row = self._connection.execute("SELECT name, role, until_ns FROM link WHERE digest = ?", (digest,)).fetchone()
        return Link(str(row[0]), str(row[1]), int(row[2])) if row else None

    def drop_link(self, digest: bytes) -> None:
        self._connection.execute("DELETE FROM link WHERE digest = ?", (digest,))

    # ---- sessions

    def put_session(self, digest: bytes, session: SessionRow) -> None:
        self._limit("session", SESSIONS_MAX)
        row = (digest, session.name, session.csrf, session.begun_ns, session.seen_ns)
        self._connection.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", row)

    def session(self, digest: bytes) -> SessionRow | None:
        query = "SELECT name, csrf, begun_ns, seen_ns FROM session WHERE digest = ?"
        row = self._connection.execute(query, (digest,)).fetchone()
        return SessionRow(str(row[0]), str(row[1]), int(row[2]), int(row[3])) if row else None

    def saw_session(self, digest: bytes, now_ns: int) -> None:
        self._connection.execute("UPDATE session SET seen_ns = ? WHERE digest = ?", (now_ns, digest))

    def drop_session(self, digest: bytes) -> None:
        self._connection.execute("DELETE FROM session WHERE digest = ?", (digest,))

    def drop_sessions_of(self, name: str) -> None:
        self._connection.execute("DELETE FROM session WHERE name = ?", (name,))

    def forget_sessions(self, begun_before_ns: int, seen_before_ns: int) -> None:
        self._connection.execute(
            "DELETE FROM session WHERE begun_ns < ? OR seen_ns < ?", (begun_before_ns, seen_before_ns)
        )

    # ---- tokens

    def tokens(self) -> list[Token]:
        query = "SELECT name, role, made_ns, until_ns, seen_ns FROM token ORDER BY name"
        return [_token(row) for row in self._connection.execute(query)]

    def token(self, digest: bytes) -> Token | None:
        query = "SELECT name, role, made_ns, until_ns, seen_ns FROM token WHERE digest = ?"
        row = self._connection.execute(query, (digest,)).fetchone()
        return _token(row) if row else None

    def put_token(self, digest: bytes, token: Token) -> None:
        self._limit("token", TOKENS_MAX)
        row = (token.name, digest, token.role, token.made_ns, token.until_ns, token.seen_ns)
        self._connection.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)", row)

    def saw_token(self, name: str, now_ns: int) -> None:
        self._connection.execute("UPDATE token SET seen_ns = ? WHERE name = ?", (now_ns, name))

    def drop_token(self, name: str) -> bool:
        self._connection.execute("DELETE FROM token WHERE name = ?", (name,))
        return bool(self._connection.changes())

    def _limit(self, table: str, most: int) -> None:
        (count,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608  ours
        if int(count) >= most:
            raise StoreError(f"{count} of {table} are kept, at most {most}: remove some first")


def _user(row: tuple[object, ...]) -> User:
    name, role, password, enabled, made, seen, origin = row
    return User(str(name), str(role), str(password), bool(enabled), int(str(made)), int(str(seen)), str(origin))


def _token(row: tuple[object, ...]) -> Token:
    return Token(str(row[0]), str(row[1]), int(str(row[2])), int(str(row[3])), int(str(row[4])))
