"""The gateway as a witness of the aggregator's ledger (C2SP tlog-witness): it vouches for a history that only grows.

    <state_dir>/witness/key.pem        an Ed25519 key for nothing else, made here; mode 0600
    <state_dir>/witness/held           the log's key and the newest checkpoint that we cosigned
    <state_dir>/witness/conflict-*     checkpoints that contradict it, each with what we held

What we hold is durable before anybody sees our cosignature. A checkpoint that contradicts it is kept and never
cosigned, and stays an alarm until a person takes the file away. `cryptography` is loaded with the first checkpoint.
"""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.files import put_whole, seal, unseal
from protos import sync_pb2 as pb
from protos.clock import NS
from protos.tlog import ProofError, check_consistency

if TYPE_CHECKING:
    from protos.note import Head, Signer, Verifier

NOTE_MAX = 64 << 10  # bytes of one checkpoint
CONFLICTS_MAX = 16  # files: a hostile aggregator must not fill the disk
CONFLICT = "conflict-"

log = logging.getLogger(__name__)


class Conflict(Exception):
    """A checkpoint that cannot be true together with the one we hold."""


@dataclass(frozen=True, slots=True)
class Held:
    vkey: str
    note: bytes


class Witness:
    """`directory` is <state_dir>/witness. Its calls block on the disk: one at a time, off the event loop."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.conflicts = len(list(directory.glob(CONFLICT + "*")))
        self.cosigned_total = 0
        self.size = 0  # of what we hold, as far as we have looked

    def answer(self, gateway: str, checkpoint: pb.Checkpoint, utc_ns: int) -> pb.Cosignature:
        """Our cosignature, or from where we want to be led on, or what is wrong. Raises OSError."""
        held, fault = self._held(), ""
        try:
            return self._judge(gateway, checkpoint, held, utc_ns)
        except Conflict as conflict:
            fault = str(conflict)
        except ValueError as error:  # not a note, not a key: nobody signed it, so it proves nothing against anybody
            log.warning("a checkpoint that cannot be read was left out: %s", error)
            return pb.Cosignature(conflict=f"cannot be read: {error}"[:200])
        self._keep(checkpoint, held, fault)
        return pb.Cosignature(
            checkpoint_digest=digest(checkpoint.note),
            held_size=self.size,
            held_note=held.note if held else b"",
            conflict=fault,
        )

    def _judge(self, gateway: str, checkpoint: pb.Checkpoint, held: Held | None, utc_ns: int) -> pb.Cosignature:
        from protos.note import Head, Note, Unsigned, Verifier

        if len(checkpoint.note) > NOTE_MAX:
            raise ValueError(f"{len(checkpoint.note)} bytes, at most {NOTE_MAX}")
        note, verifier = Note.of(checkpoint.note), Verifier.of(checkpoint.vkey)
        head = Head.of(note.text)
        try:
            verifier.signed(note)
        except Unsigned as error:
            raise ValueError(str(error)) from error
        if held is not None and held.vkey != checkpoint.vkey:
            raise Conflict("the ledger is signed by another key than before")
        if head.origin != verifier.name:
            raise ValueError(f"signed by {verifier.name} for {head.origin[:80]}")
        if held is not None:
            known = Head.of(Note.of(held.note).text)
            self.size = known.size
            if checkpoint.old_size != known.size and head.size > known.size:
                return pb.Cosignature(checkpoint_digest=digest(checkpoint.note), held_size=known.size)
            extends(known, head, list(checkpoint.consistency))
        return self._cosign(gateway, checkpoint, verifier, head, utc_ns)

    def _cosign(
        self, gateway: str, checkpoint: pb.Checkpoint, verifier: "Verifier", head: "Head", utc_ns: int
    ) -> pb.Cosignature:
        from protos.note import Note

        signer = self._signer(f"{head.origin}/witness/{gateway}")
        text = Note.of(checkpoint.note).text
        held = {"vkey": verifier.vkey, "note": checkpoint.note.decode()}
        put_whole(self._directory / "held", seal(json.dumps(held).encode()))
        self.size, self.cosigned_total = head.size, self.cosigned_total + 1
        return pb.Cosignature(
            checkpoint_digest=digest(checkpoint.note),
            signature=signer.sign(text, utc_ns // NS).content,
            vkey=signer.verifier.vkey,
            held_size=head.size,
        )

    def _held(self) -> Held | None:
        """Raises OSError for a file that is damaged: to begin anew would forget what we vouched for."""
        path = self._directory / "held"
        try:
            told = json.loads(unseal(path.read_bytes()))
            return Held(str(told["vkey"]), str(told["note"]).encode())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(f"{path}: damaged ({error}): take it away to begin anew as a witness") from error

    def _signer(self, name: str) -> "Signer":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )

        from protos.note import COSIGNATURE, Signer

        path = self._directory / "key.pem"
        if not path.exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = Ed25519PrivateKey.generate()
            put_whole(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        if os.stat(path).st_mode & 0o077:
            raise OSError(f"{path}: others may read the key: take it away, a new one is made")
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise OSError(f"{path}: damaged: take it away, a new one is made") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise OSError(f"{path}: not an Ed25519 key: take it away, a new one is made")
        return Signer(name, COSIGNATURE, key)

    def _keep(self, checkpoint: pb.Checkpoint, held: Held | None, why: str) -> None:
        """Evidence, once per checkpoint."""
        log.error("the aggregator's ledger contradicts itself: %s; see %s", why, self._directory)
        path = self._directory / f"{CONFLICT}{digest(checkpoint.note).hex()[:16]}"
        if not path.exists() and self.conflicts < CONFLICTS_MAX:
            told = {
                "why": why,
                "shown": {"vkey": checkpoint.vkey, "note": checkpoint.note.decode()},
                "held": {"vkey": held.vkey, "note": held.note.decode()} if held else None,
            }
            put_whole(path, json.dumps(told, indent=1, ensure_ascii=False).encode())
            self.conflicts += 1


def extends(known: "Head", head: "Head", proof: list[bytes]) -> None:
    """That `head` only adds to what we know. Raises Conflict."""
    if head.origin != known.origin:
        raise Conflict(f"another ledger: {head.origin[:80]} instead of {known.origin}")
    if head.size < known.size:
        raise Conflict(f"a tail was cut off: {head.size} entries, there were {known.size}")
    try:
        check_consistency(known.size, head.size, proof, known.root, head.root)
    except ProofError as error:
        raise Conflict(str(error)) from error


def digest(note: bytes) -> bytes:
    """SHA-256 of what the signatures are about: the note's text."""
    text, gap, _ = note.rpartition(b"\n\n")
    return hashlib.sha256(text + gap[:1]).digest()
