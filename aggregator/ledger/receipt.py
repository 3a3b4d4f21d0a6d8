"""The proof of one entry that needs nobody: C2SP tlog-proof, with the entry itself as its extra data.

ReceiptError   what it does not prove
"""

import base64
from dataclasses import dataclass

from aggregator.ledger.policy import Policy
from aggregator.stores import StoreError
from protos import tlog
from protos.note import Head, Note, NoteError, unbase64

FIRST = "c2sp.org/tlog-proof@v1"
RECEIPT_MAX = 1 << 20  # bytes


class ReceiptError(StoreError):
    """What it does not prove."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`entry` is not trusted before `check`: its hash is what the proof is about."""

    entry: bytes
    index: int
    proof: tuple[bytes, ...]
    note: Note

    @property
    def text(self) -> str:
        lines = [FIRST, f"extra {_packed(self.entry)}", f"index {self.index}", *map(_packed, self.proof)]
        return "\n".join(lines) + "\n\n" + self.note.content.decode()

    @classmethod
    def of(cls, content: bytes) -> "Receipt":
        """Raises ReceiptError."""
        try:
            head, _, note = content[: RECEIPT_MAX + 1].decode().partition("\n\n")
            first, extra, index, *proof = head.split("\n")
            number = index.removeprefix("index ")
            formed = first == FIRST and extra.startswith("extra ") and number.isdecimal() and number.isascii()
            if not formed or index == number or str(int(number)) != number or len(content) > RECEIPT_MAX:
                raise ReceiptError(f"no receipt: it begins with {FIRST}, extra <entry>, index <number>")
            hashes = tuple(unbase64(one) for one in proof)
            return cls(unbase64(extra.removeprefix("extra ")), int(number), hashes, Note.of(note.encode()))
        except (ValueError, NoteError) as error:
            raise ReceiptError(f"no receipt: {error}") from error

    def check(self, policy: Policy) -> dict[str, int]:
        """That the entry is in a tree that the log signed and a quorum cosigned; returns who, when (POSIX seconds).

        Raises ReceiptError.
        """
        try:
            policy.signed(self.note)
            head = Head.of(self.note.text)
            leaf = tlog.leaf_hash(self.entry)
            tlog.check_inclusion(self.index, head.size, leaf, self.proof, head.root)
        except (NoteError, tlog.ProofError) as error:
            raise ReceiptError(str(error)) from error
        found = policy.cosigners(self.note)
        if not policy.met(self.note):
            raise ReceiptError(f"no quorum: cosigned by {', '.join(sorted(found)) or 'nobody'}")
        return found


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode()
