"""Certificates, enrolment tokens and recoveries in the catalogue's file. Changes happen inside `Catalogue.act`."""

from dataclasses import dataclass

import apsw

from aggregator.stores.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Issued:
    """A client certificate that was issued. `key_sha256` is of the public key's SubjectPublicKeyInfo DER."""

    serial: str
    gateway: str
    not_before_ns: int
    not_after_ns: int
    key_sha256: str
    issued_ns: int
    revoked_ns: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A one-time token; only the digest of its secret is kept."""

    digest: str
    gateway: str
    created_ns: int
    expires_ns: int
    used_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """A gateway with an expired certificate asks to come back with the same key."""

    gateway: str
    key_sha256: str
    asked_ns: int
    approved_ns: int | None = None
    used_ns: int | None = None


class Identities:
    def __init__(self, catalogue: Catalogue) -> None:
        self._connection: apsw.Connection = catalogue.connection

    def put_certificate(self, one: Issued) -> None:
        self._connection.execute(
            "INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.serial,
                one.gateway,
                one.not_before_ns,
                one.not_after_ns,
                one.key_sha256,
                one.issued_ns,
                one.revoked_ns,
                one.reason,
            ),
        )

    def certificates(self, gateway: str) -> list[Issued]:
        """Newest first."""
        query = "SELECT * FROM certificate WHERE gateway = ? ORDER BY issued_ns DESC, not_after_ns DESC"
        return [Issued(*one) for one in self._connection.execute(query, (gateway,))]

    def certificate(self, serial: str) -> Issued | None:
        found = self._connection.execute("SELECT * FROM certificate WHERE serial = ?", (serial,)).fetchone()
        return Issued(*found) if found else None

    def newest(self) -> dict[str, Issued]:
        """The good certificate of each gateway that is valid longest."""
        query = "SELECT * FROM certificate WHERE revoked_ns IS NULL ORDER BY not_after_ns"
        return {one[1]: Issued(*one) for one in self._connection.execute(query)}

    def key_known(self, key_sha256: str) -> str | None:
        """The gateway that a key was certified for, ever."""
        query = "SELECT gateway FROM certificate WHERE key_sha256 = ?"
        found = self._connection.execute(query, (key_sha256,)).fetchone()
        return str(found[0]) if found else None

    def revoke(self, gateway: str, at_ns: int, reason: str) -> int:
        """Revoke all certificates and cancel all tokens and recoveries of a gateway; returns how many certificates."""
        self._connection.execute(
            "UPDATE certificate SET revoked_ns = ?, reason = ? WHERE gateway = ? AND revoked_ns IS NULL",
            (at_ns, reason, gateway),
        )
        count = self._connection.changes()
        self._connection.execute("DELETE FROM token WHERE gateway = ? AND used_ns IS NULL", (gateway,))
        self._connection.execute("DELETE FROM recovery WHERE gateway = ? AND used_ns IS NULL", (gateway,))
        return count

    def revoked(self) -> dict[str, str]:
        """serial → reason, of every revoked certificate."""
        query = "SELECT serial, reason FROM certificate WHERE revoked_ns IS NOT NULL"
        return {str(serial): str(reason) for serial, reason in self._connection.execute(query)}

    def put_token(self, one: TokenRow) -> None:
        """A gateway has one open token at a time: an older one is cancelled."""
        self._connection.execute("DELETE FROM token WHERE gateway = ? AND used_ns IS NULL", (one.gateway,))
        self._connection.execute(
            "INSERT INTO token VALUES (?, ?, ?, ?, ?)",
            (one.digest, one.gateway, one.created_ns, one.expires_ns, one.used_ns),
        )

    def token(self, digest: str) -> TokenRow | None:
        found = self._connection.execute("SELECT * FROM token WHERE digest = ?", (digest,)).fetchone()
        return TokenRow(*found) if found else None

    def use_token(self, digest: str, at_ns: int) -> bool:
        """False when it was used already: the first one wins."""
        self._connection.execute("UPDATE token SET used_ns = ? WHERE digest = ? AND used_ns IS NULL", (at_ns, digest))
        return self._connection.changes() == 1

    def ask_recovery(self, gateway: str, key_sha256: str, at_ns: int) -> None:
        self._connection.execute(
            "INSERT INTO recovery (gateway, key_sha256, asked_ns) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " asked_ns = excluded.asked_ns, approved_ns = NULL, used_ns = NULL WHERE used_ns IS NOT NULL",
            (gateway, key_sha256, at_ns),
        )

    def recovery(self, gateway: str, key_sha256: str) -> Recovery | None:
        query = "SELECT * FROM recovery WHERE gateway = ? AND key_sha256 = ? AND used_ns IS NULL"
        found = self._connection.execute(query, (gateway, key_sha256)).fetchone()
        return Recovery(*found) if found else None

    def recoveries(self) -> list[Recovery]:
        """Those that wait, or are approved and not yet fetched."""
        query = "SELECT * FROM recovery WHERE used_ns IS NULL ORDER BY asked_ns"
        return [Recovery(*one) for one in self._connection.execute(query)]

    def approve_recovery(self, gateway: str, at_ns: int) -> int:
        """Returns how many waiting requests were approved."""
        self._connection.execute(
            "UPDATE recovery SET approved_ns = ? WHERE gateway = ? AND approved_ns IS NULL AND used_ns IS NULL",
            (at_ns, gateway),
        )
        return self._connection.changes()

    def use_recovery(self, gateway: str, key_sha256: str, at_ns: int) -> None:
        self._connection.execute(
            "UPDATE recovery SET used_ns = ? WHERE gateway = ? AND key_sha256 = ?", (at_ns, gateway, key_sha256)
        )
