"""Everything again: leaves from the data, tiles from the leaves, roots from the tiles, signatures over the roots.

What is cut off at the end so that all the rest fits is seen by a checkpoint that somebody else holds (`elsewhere`):
a gateway's, a receipt's, a page's. Read-only, beside the running server, each file at one moment.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from aggregator.ledger import entry
from aggregator.ledger.book import FILE, LOOKED_BACK
from aggregator.ledger.policy import Policy
from aggregator.ledger.tree import Edge
from aggregator.stores import Row, StoreError, logfile, sqlite
from aggregator.stores.catalogue import Audit, Catalogue
from aggregator.stores.history import Damage
from aggregator.stores.ledger import UNREADABLE, Kept, LedgerStore, Signed
from protos import tlog
from protos.note import Head, Note, NoteError, Verifier

CHUNK = 1_024  # entries, audit rows and batches read at a time
CHUNK_BYTES = 16 << 20
CACHED = 1_024  # tiles

Count = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Files:
    """`catalogue` and `log` may be missing where only the ledger itself is at hand: None."""

    ledger: Path  # the folder
    catalogue: Path | None = None
    log: Path | None = None


def verify(
    files: Files,
    policy: Policy,
    elsewhere: Sequence[Note] = (),
    count: Count = lambda entries: None,
) -> Iterator[Damage]:
    """Everything that is wrong; `policy` names the log's key. Raises StoreError where there is no ledger."""
    path = files.ledger / FILE
    with closing(LedgerStore(path, read_only=True)) as store:
        store.connection.execute("BEGIN")  # one moment of it
        checking = Checking(store, str(path), policy)
        try:
            yield from checking.tree(count)
            yield from checking.checkpoints()
            for note in elsewhere:
                yield from checking.elsewhere(note)
            yield from checking.evidence()
            if files.catalogue is not None:
                yield from checking.audit(files.catalogue)
            if files.log is not None:
                yield from checking.batches(files.log)
        except (UNREADABLE, StoreError) as error:
            yield Damage(str(path), "the file", str(error))


class Checking:
    """Of one ledger at one moment."""

    def __init__(self, store: LedgerStore, name: str, policy: Policy) -> None:
        self._store, self._name, self._policy = store, name, policy
        self._marks = store.marks()
        self._first = self._marks.minimum - self._marks.minimum % tlog.WIDTH  # entries before it are pruned
        self._tile = lru_cache(CACHED)(store.tile)
        self._node = tlog.node_in(self._tile)

    def tree(self, count: Count) -> Iterator[Damage]:
        """Every tile of every level from the entries; of pruned ones from their hashes."""
        edge, stored = Edge(0, self._tile), 0
        for at in range(0, self._marks.size, CHUNK):
            leaves, faults = self._leaves(at, min(CHUNK, self._marks.size - at))
            yield from faults
            if faults:
                return
            for leaf in leaves:
                edge.add(leaf)
            for level, index, hashes in edge.full():
                stored += 1
                yield from self._compare(level, index, hashes)
            count(len(leaves))
        for level, index, hashes in edge.partial():
            stored += 1
            yield from self._compare(level, index, hashes)
        if sum(1 for _ in self._store.tiles()) != stored:
            yield self._wrong("tiles", f"there are others than the {stored} of a tree of {self._marks.size}")
        if self._store.find(self._marks.size - 1, 1):
            yield self._wrong(f"entry {self._marks.size}", "lies behind the end of the tree")

    def _leaves(self, at: int, count: int) -> tuple[list[bytes], list[Damage]]:
        pruned = max(0, min(self._first - at, count))
        leaves = []
        for index in range(at, at + pruned):
            tile, place = divmod(index, tlog.WIDTH)
            leaves.append(self._tile(0, tile)[place * tlog.HASH : (place + 1) * tlog.HASH])
        found = self._store.entries(at + pruned, count - pruned)
        for expected, one in enumerate(found, at + pruned):
            if one.number != expected:
                return leaves, [self._wrong(f"entry {expected}", "is missing")]
            if told(one).get("kind") != one.kind:
                return leaves, [self._wrong(f"entry {expected}", "is not what it is listed as")]
            leaves.append(tlog.leaf_hash(one.content))
        if len(leaves) < count:
            return leaves, [self._wrong(f"entry {at + len(leaves)}", "is missing")]
        return leaves, []

    def _compare(self, level: int, index: int, hashes: bytes) -> Iterator[Damage]:
        if self._tile(level, index) != hashes:
            yield self._wrong(f"tile {level}/{index}", "does not fit what is below it: entries or hashes were changed")

    def checkpoints(self) -> Iterator[Damage]:
        """Each is of our tree, signed by the log, and every cosignature is good; one of the newest has a quorum."""
        found = self._store.checkpoints()
        for one in found:
            try:
                note = Note.of(one.note)
                self._policy.signed(note)
                self._fits(note)
            except (NoteError, tlog.ProofError) as error:
                yield self._wrong(f"checkpoint {one.size}", str(error))
            else:
                yield from self._cosignatures(one, note)
        newest = [Note.of(one.note) for one in found[:LOOKED_BACK]]
        if newest and not any(map(self._policy.met, newest)):
            yield self._wrong("cosignatures", f"none of the newest {len(newest)} checkpoints has a quorum")
        if self._marks.size and not found:
            yield self._wrong("checkpoints", "there are entries and no checkpoint")

    def _cosignatures(self, one: Signed, note: Note) -> Iterator[Damage]:
        known = [Verifier.of(row.vkey) for row in self._store.witnesses()] + list(self._policy.witnesses.values())
        for signature in note.signatures[1:]:
            of = [two for two in known if (two.name, two.key_id) == (signature.name, signature.key_id)]
            try:
                for verifier in of[:1]:  # who had another key before is not known any more, and counts for nobody
                    verifier.check(note.text, signature.content)
            except NoteError as error:
                yield self._wrong(f"checkpoint {one.size}", str(error))

    def elsewhere(self, note: Note) -> Iterator[Damage]:
        """That our tree begins with one whose checkpoint somebody else holds."""
        try:
            self._policy.signed(note)
            self._fits(note)
        except (NoteError, tlog.ProofError) as error:
            yield self._wrong("checkpoint held elsewhere", str(error))

    def _fits(self, note: Note) -> None:
        """Raises Malformed or ProofError."""
        head = Head.of(note.text)
        if head.origin != self._marks.origin:
            raise tlog.ProofError(f"of another ledger: {head.origin[:80]}")
        if head.size > self._marks.size:
            raise tlog.ProofError(f"{head.size} entries, here are {self._marks.size}: a tail was cut off")
        if tlog.tree_hash(0, head.size, self._node) != head.root:
            raise tlog.ProofError(f"another root for {head.size} entries: history was changed")

    def evidence(self) -> Iterator[Damage]:
        for one in self._store.evidence():
            yield self._wrong(f"evidence {one.number}", f"{one.who}: {one.why}")

    def audit(self, path: Path) -> Iterator[Damage]:
        """Every audit row is an entry, in order, as the catalogue has it today."""
        with closing(Catalogue(path, read_only=True)) as catalogue:
            rows = _each(lambda after: catalogue.audit(after, CHUNK))
            yield from self._derived(path, "audit row", lambda one: int(told(one)["number"]), rows, "")
            newest = max((row.number for row in catalogue.audit(self._marks.audit - 1, 1)), default=0)
            if newest < self._marks.audit:
                yield Damage(str(path), f"audit row {self._marks.audit}", "is in the ledger, and not here any more")

    def batches(self, path: Path) -> Iterator[Damage]:
        """Every batch that the log still has is an entry, with the digest of its bytes."""
        with closing(sqlite.connect(path, read_only=True)) as connection:
            connection.execute("BEGIN")
            _, trimmed = logfile.marks(connection)
            rows = _each(lambda after: list(logfile.rows(connection, max(after, trimmed), CHUNK, CHUNK_BYTES)))
            yield from self._derived(
                path, "log position", lambda one: int(told(one)["position"]), rows, entry.BATCH, trimmed
            )

    def _derived(
        self,
        path: Path,
        what: str,
        number_of: Callable[[Kept], int],
        rows: Iterator[Audit | Row],
        kind: str,
        forgotten: int = 0,
    ) -> Iterator[Damage]:
        """Entries of one source against its rows; `forgotten`: rows up to there are no longer kept."""
        row, before = next(rows, None), 0
        for one in self._entries(kind):
            number = number_of(one)
            if number <= before or (before and number != before + 1):
                yield self._wrong(f"entry {one.number}", f"{what} {number} follows on {before}")
            before = number
            while row is not None and place(row) < number:
                row = next(rows, None)
            if row is None or place(row) != number:
                if number > forgotten:
                    yield Damage(str(path), f"{what} {number}", f"is entry {one.number} of the ledger, and gone here")
            elif derived(row) != one.content:
                yield Damage(str(path), f"{what} {number}", f"is not what entry {one.number} of the ledger says")

    def _entries(self, kind: str) -> Iterator[Kept]:
        for at in range(self._first, self._marks.size, CHUNK):
            for one in self._store.entries(at, min(CHUNK, self._marks.size - at)):
                if (one.kind == entry.BATCH) == (kind == entry.BATCH):
                    yield one

    def _wrong(self, where: str, what: str) -> Damage:
        return Damage(self._name, where, what)


def place(row: Audit | Row) -> int:
    return row.number if isinstance(row, Audit) else row.position


def derived(row: Audit | Row) -> bytes:
    return (entry.of_audit(row) if isinstance(row, Audit) else entry.of_batch(row)).content


def told(one: Kept) -> dict[str, str | int]:
    """What an entry says; nothing of one that cannot be read."""
    try:
        found = json.loads(one.content)
    except ValueError:
        return {"number": 0, "position": 0}
    return found if isinstance(found, dict) else {"number": 0, "position": 0}


def _each(read: Callable[[int], Sequence[Audit | Row]]) -> Iterator[Audit | Row]:
    after = 0
    while found := read(after):
        yield from found
        after = place(found[-1])
