"""Ledgers for tests: a catalogue with an audit, a log with batches, a book of both, and witnesses that cosign."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aggregator.ledger.book import Book
from aggregator.ledger.verification import Files
from aggregator.stores import Arrival, Row
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.ledger import Signed
from aggregator.stores.log import SqliteLog
from protos.batch import Key
from protos.note import COSIGNATURE, Signer

ORIGIN = "twin.example.org/ledger"
AT_NS = 1_780_000_000_123_456_789
SECONDS = AT_NS // 10**9


def witness(name: str) -> Signer:
    return Signer(f"{ORIGIN}/witness/{name}", COSIGNATURE, Ed25519PrivateKey.generate())


def rows(first: int, count: int) -> list[Row]:
    """Batches at log positions from `first` on."""
    return [Row(p, "gw-north", 1, p, AT_NS + p, 0, 0, 100, b"batch %d" % p) for p in range(first, first + count)]


@dataclass
class Place:
    """The files of one ledger, and what it is made from."""

    folder: Path
    audits: int = 0
    batches: int = 0
    witnesses: dict[str, Signer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.folder / "catalogue.sqlite")
        self.book = Book(self.folder / "ledger", ORIGIN)

    @property
    def files(self) -> Files:
        return Files(self.folder / "ledger", self.folder / "catalogue.sqlite", self.folder / "log.sqlite")

    def audit(self, count: int) -> None:
        for number in range(count):
            self.catalogue.note(AT_NS + number, "ada", "order", f"gw-{number % 7}", f"valve {number} “zu” = 1")

    def log(self, count: int) -> None:
        async def put() -> None:
            log = SqliteLog(self.folder / "log.sqlite")
            first = log.newest + 1
            await log.append(
                [
                    Arrival(Key("gw-north", 1, p), AT_NS + p, 0, 0, 100, b"batch %d" % p)
                    for p in range(first, first + count)
                ]
            )
            await log.close()

        asyncio.run(put())

    def follow(self, step: int = 100) -> None:
        """Take in what catalogue and log have."""

        async def read() -> list[Row]:
            log = SqliteLog(self.folder / "log.sqlite", read_only=True)
            found = await log.read(self.book.position, step)
            await log.close()
            return found

        while True:
            audits = self.catalogue.audit(self.book.audit, step)
            batches = asyncio.run(read()) if (self.folder / "log.sqlite").exists() else []
            if not audits and not batches:
                return
            self.book.append(audits, batches)

    def sign(self, *names: str) -> Signed:
        """A checkpoint of what there is, cosigned by these."""
        signed = self.book.sign(AT_NS)
        assert signed is not None
        for name in names:
            self.witnesses.setdefault(name, witness(name))
        given = [
            (name, self.witnesses[name].verifier.vkey, self.witnesses[name].sign(signed.text, SECONDS).content)
            for name in names
        ]
        assert self.book.cosign(signed, given, AT_NS) == []
        return signed

    def close(self) -> None:
        self.book.close()
        self.catalogue.close()
