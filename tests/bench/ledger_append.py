"""What the ledger costs: 100,000 batches appended, bytes per entry, 25 gateways' cosignatures, receipts.

The partner is one durable row per batch's digest in plain SQLite, committed as often: what a list that anybody can
rewrite would cost.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aggregator.ledger.book import FILE, Book
from aggregator.ledger.receipt import Receipt
from aggregator.stores import sqlite
from aggregator.stores.ledger import Signed
from edge_agent.sync.witness import Witness
from protos import sync_pb2
from protos.note import Note
from tests.aggregator.ledger.books import AT_NS, ORIGIN, SECONDS, rows
from tests.bench import Figure

STEP = 1_000  # entries of one commit: a second of them
GATEWAYS = 25
RECEIPT_BYTES, COSIGN_MS = 6_000, 50.0


def run(scale: str) -> Iterator[Figure]:
    count = 100_000 if scale == "full" else 20_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        book = Book(folder / "ledger", ORIGIN)
        cpu_s, wall_s = appended(book, count)
        beside = listed(folder / "list.sqlite", count)
        yield Figure(
            "append",
            count / cpu_s,
            "entries per CPU-second",
            "100k appends: rate and bytes per entry",
            book.size == count,
            {"per second": count / wall_s, "a plain list, per CPU-second": beside[0]},
        )
        book.store.connection.pragma("wal_checkpoint(truncate)")
        size = (folder / "ledger" / FILE).stat().st_size
        yield Figure("bytes", size / count, "B per entry", "bytes per entry", True, {"a plain list": beside[1]})
        began = time.perf_counter()
        signed = book.sign(AT_NS)
        sign_ms = (time.perf_counter() - began) * 1e3
        assert signed is not None
        own_ms, worst_ms = cosigned(book, signed, folder)
        yield Figure(
            "cosign",
            own_ms,
            f"ms for {GATEWAYS} cosignatures at the aggregator",
            f"25 cosignatures ≤ {COSIGN_MS:g} ms",
            own_ms <= COSIGN_MS and len(book.store.witnesses()) == GATEWAYS,
            {"slowest gateway, ms": worst_ms, "signing, ms": sign_ms},
        )
        sizes = receipts(book, count)
        largest = max(sizes)
        least = {"least": float(min(sizes))}
        yield Figure("receipt", largest, "B, the largest", "receipts ≤ 6 kB", largest <= RECEIPT_BYTES, least)
        book.close()


def appended(book: Book, count: int) -> tuple[float, float]:
    """(CPU s, s)"""
    cpu_s, wall_s = 0.0, 0.0
    for first in range(1, count + 1, STEP):
        batches = rows(first, STEP)
        cpu, wall = time.process_time(), time.perf_counter()
        book.append([], batches)
        cpu_s += time.process_time() - cpu
        wall_s += time.perf_counter() - wall
    return cpu_s, wall_s


def listed(path: Path, count: int) -> tuple[float, float]:
    """The partner: (entries per CPU-second, bytes per entry)."""
    connection = sqlite.connect(path)
    connection.execute("CREATE TABLE list (position INTEGER PRIMARY KEY, gateway TEXT, sha256 BLOB)")
    cpu_s = 0.0
    for first in range(1, count + 1, STEP):
        batches = rows(first, STEP)
        cpu = time.process_time()
        values = [(one.position, one.gateway, hashlib.sha256(one.blob).digest()) for one in batches]
        with sqlite.transaction(connection):
            connection.executemany("INSERT INTO list VALUES (?, ?, ?)", values)
        cpu_s += time.process_time() - cpu
    connection.pragma("wal_checkpoint(truncate)")
    connection.close()
    return count / cpu_s, path.stat().st_size / count


def cosigned(book: Book, signed: Signed, folder: Path) -> tuple[float, float]:
    """(ms to check and keep all of them, ms of the slowest gateway, its disk included)."""
    shown = sync_pb2.Checkpoint(note=signed.note, vkey=book.verifier.vkey)
    given, slowest = [], 0.0
    for number in range(GATEWAYS):
        witness, name = Witness(folder / f"gw-{number:02d}"), f"gw-{number:02d}"
        began = time.perf_counter()
        told = witness.answer(name, shown, SECONDS * 10**9)
        slowest = max(slowest, time.perf_counter() - began)
        given.append((name, told.vkey, told.signature))
    began = time.perf_counter()
    wrong = book.cosign(signed, given, AT_NS)
    assert not wrong
    return (time.perf_counter() - began) * 1e3, slowest * 1e3


def receipts(book: Book, count: int) -> list[int]:
    """Bytes of receipts over the whole tree, each checked."""
    policy, sizes = book.policy(), []
    for index in range(0, count, count // 50):
        told = book.receipt(index).text.encode()
        Receipt.of(told).check(policy)
        sizes.append(len(told))
    published = book.published()
    assert published is not None
    assert policy.met(Note.of(published.note))
    return sizes
