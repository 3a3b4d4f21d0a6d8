"""The ledger itself: takes in audit rows and batches, signs checkpoints, builds proofs, takes cosignatures.

All of it blocks on its file; one thread at a time. Nothing waits for it but who asks it.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aggregator.ledger import entry
from aggregator.ledger.keys import LedgerError, load
from aggregator.ledger.policy import Policy, majority, parse
from aggregator.ledger.receipt import Receipt
from aggregator.ledger.tree import Edge
from aggregator.stores import Row
from aggregator.stores.catalogue import Audit
from aggregator.stores.ledger import LedgerStore, Signed
from protos import tlog
from protos.note import COSIGNATURE, ED25519, Head, Malformed, Note, Signature, Signer, Unsigned, Verifier

FILE, KEY = "ledger.sqlite", "ledger.key"
LOOKED_BACK = 50  # checkpoints that are asked for one with a quorum


class Book:
    """`directory` has the file and the key; `policy` is a file, or None for a majority of the gateways."""

    def __init__(self, directory: Path, origin: str, policy: Path | None = None) -> None:
        """Raises LedgerError, PolicyError or StoreError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = load(directory / KEY)
        self.store = LedgerStore(directory / FILE)
        self._policy = read_policy(policy)
        marks = self.store.marks()
        origin = origin or marks.origin or f"citytwin/{key.public_key().public_bytes_raw().hex()[:16]}"
        self.signer = Signer(origin, ED25519, key)
        if marks.origin not in ("", origin):
            raise LedgerError(
                f"{self.store.path}: is the ledger of {marks.origin}, not {origin}: set [ledger] origin back, or move"
                " the folder away and begin a new ledger"
            )
        if not marks.origin:
            self.store.begin(origin)
        self.origin, self.audit, self.position = origin, marks.audit, marks.position
        self._edge = Edge(marks.size, self.store.tile)

    @property
    def size(self) -> int:
        return self._edge.size

    @property
    def verifier(self) -> Verifier:
        return self.signer.verifier

    def close(self) -> None:
        self.store.close()

    def append(self, audits: Sequence[Audit], rows: Sequence[Row]) -> int:
        """Everything or nothing; returns the new size. Both must follow on what was appended before."""
        entries = [*map(entry.of_audit, audits), *map(entry.of_batch, rows)]
        audit = audits[-1].number if audits else self.audit
        position = rows[-1].position if rows else self.position
        return self.write(entries, audit, position) if entries else self.size

    def write(self, entries: Sequence[entry.Entry], audit: int, position: int) -> int:
        """Everything or nothing, with how far audit and log have been read."""
        first = self.size
        for one in entries:
            self._edge.add(tlog.leaf_hash(one.content))
        try:
            self.store.append(first, entries, self._edge.changed(), audit, position)
        except BaseException:
            self._edge = Edge(self.store.marks().size, self.store.tile)  # memory goes back with the file
            raise
        self.audit, self.position = audit, position
        return self.size

    def root(self, size: int) -> bytes:
        return tlog.tree_hash(0, size, tlog.node_in(self.store.tile))

    def sign(self, now_ns: int) -> Signed | None:
        """A checkpoint of what there is, written before it is shown; None when the newest one is of that already."""
        newest = self.newest()
        if newest is not None and newest.size >= self.size:
            return None
        text = Head(self.origin, self.size, self.root(self.size)).text
        line = self.signer.sign(text).line
        self.store.put_checkpoint(self.size, text, line, now_ns)
        return Signed(self.size, text, (line,), now_ns)

    def newest(self) -> Signed | None:
        return next(iter(self.store.checkpoints(1)), None)

    def published(self) -> Signed | None:
        """The newest checkpoint that a quorum cosigned, or the newest one where there is none."""
        return published(self.store, self.policy())

    def policy(self) -> Policy:
        """The configured one, with our own log; else more than half of the gateways that cosigned."""
        return policy_for(self.store, self.verifier, self._policy)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Raises ProofError."""
        return tlog.consistency(old, size, tlog.node_in(self.store.tile))

    def receipt(self, index: int) -> Receipt:
        """Of an entry, under the newest published checkpoint that has it. Raises LedgerError."""
        return receipt(self.store, self.published(), index)

    def cosign(self, signed: Signed, given: Sequence[tuple[str, str, bytes]], now_ns: int) -> list[str]:
        """(name, vkey, cosignature) of witnesses of this checkpoint: kept are the good ones; returns what is wrong
        with each of the others."""
        rows, wrong = [], []
        for name, vkey, content in given:
            try:
                verifier = Verifier.of(vkey)
                if verifier.kind != COSIGNATURE:
                    raise Malformed(f"{verifier.name}: no key for cosignatures")
                verifier.check(signed.text, content)
            except (Malformed, Unsigned) as error:
                wrong.append(f"{name}: {error}")
            else:
                rows.append((name, vkey, Signature(verifier.name, verifier.key_id, content).line))
        if rows:
            self.store.put_cosignatures(signed.size, rows, now_ns)
        return wrong


def published(store: LedgerStore, policy: Policy) -> Signed | None:
    found = store.checkpoints(LOOKED_BACK)
    return next((one for one in found if policy.met(Note.of(one.note))), found[0] if found else None)


def policy_for(store: LedgerStore, log: Verifier, written: Policy | None) -> Policy:
    if written is None:
        return majority(log, [(one.name, Verifier.of(one.vkey)) for one in store.witnesses()])
    if log not in written.logs:
        written.logs.append(log)
    return written


def policy_of(directory: Path, written: Path | None) -> Policy:
    """For who only reads: the policy of the ledger in `directory`. Raises StoreError."""
    with closing(LedgerStore(directory / FILE, read_only=True)) as store:
        key = load(directory / KEY)
        return policy_for(store, Signer(store.marks().origin, ED25519, key).verifier, read_policy(written))


def receipt(store: LedgerStore, signed: Signed | None, index: int) -> Receipt:
    """Raises LedgerError."""
    if signed is None or not 0 <= index < signed.size:
        raise LedgerError(f"entry {index}: not yet under a checkpoint of {signed.size if signed else 0} entries")
    found = store.entries(index, 1)
    if not found:
        raise LedgerError(f"entry {index}: pruned; entries are kept from {store.marks().minimum} on")
    proof = tlog.inclusion(index, signed.size, tlog.node_in(store.tile))
    return Receipt(found[0].content, index, tuple(proof), Note.of(signed.note))


def read_policy(path: Path | None) -> Policy | None:
    """Raises PolicyError or LedgerError."""
    if path is None:
        return None
    try:
        return parse(path.read_text(encoding="utf-8", errors="surrogateescape"), str(path))
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}: name the policy's file in [ledger] policy") from error
