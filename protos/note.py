"""Signed notes, checkpoints and cosignatures as C2SP writes them (signed-note, tlog-checkpoint, tlog-cosignature).

    NoteError
    ├── Malformed     no note, no checkpoint, no key
    └── Unsigned      no good signature of the key that was asked for

A note is text, an empty line, and lines of signatures: an em dash, a key's name, base64 of its id and the signature.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protos.tlog import HASH

ED25519, COSIGNATURE = 0x01, 0x04  # kinds of keys
DASH = "\u2014 "
NOTE_MAX = 1 << 20  # bytes
SIGNATURES_MAX = 128
NAME_MAX = 200  # characters
SIZE_MAX = 2**63 - 1


class NoteError(ValueError):
    """What is wrong with a note."""


class Malformed(NoteError):
    """Not what it should be."""


class Unsigned(NoteError):
    """Nobody we know vouches for it."""


class Signature(NamedTuple):
    name: str
    key_id: bytes  # 4 bytes
    content: bytes

    @property
    def line(self) -> str:
        return f"{DASH}{self.name} {base64.b64encode(self.key_id + self.content).decode()}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name: `kind` ED25519 signs notes, COSIGNATURE checkpoints, with a time."""

    name: str
    kind: int
    public: bytes  # 32 bytes

    @classmethod
    def of(cls, vkey: str) -> "Verifier":
        """<name>+<key id in hex>+<base64 of kind and key>. Raises Malformed."""
        name, _, rest = vkey.partition("+")
        told, _, packed = rest.partition("+")
        content = unbase64(packed)
        if not is_name(name) or len(content) != 33 or content[0] not in (ED25519, COSIGNATURE):
            raise Malformed(f"{vkey[:80]!r}: no key of a kind we know (Ed25519, cosignature/v1)")
        one = cls(name, content[0], content[1:])
        if one.key_id.hex() != told:
            raise Malformed(f"{vkey[:80]!r}: its id does not fit its name and key")
        return one

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        packed = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{packed}"

    def signed(self, note: "Note") -> int:
        """The time (POSIX seconds) that a cosignature states, 0 of a signature. Raises Unsigned."""
        for one in note.signatures:
            if (one.name, one.key_id) == (self.name, self.key_id):
                return self.check(note.text, one.content)
        raise Unsigned(f"not signed by {self.name}")

    def check(self, text: str, content: bytes) -> int:
        """Of one signature over `text`. Raises Unsigned."""
        stamp = int.from_bytes(content[:8], "big") if self.kind == COSIGNATURE else 0
        signature = content[8:] if self.kind == COSIGNATURE else content
        if len(signature) != 64 or stamp > SIZE_MAX:
            raise Unsigned(f"no signature of {self.name}: wrong length or time")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message(self.kind, text, stamp))
        except (InvalidSignature, ValueError) as error:
            raise Unsigned(f"the signature of {self.name} is not good") from error
        return stamp


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name."""

    name: str
    kind: int
    key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self.kind, self.key.public_key().public_bytes_raw())

    def sign(self, text: str, seconds: int = 0) -> Signature:
        """`seconds`: POSIX time that a cosignature states."""
        stamp = seconds.to_bytes(8, "big") if self.kind == COSIGNATURE else b""
        signature = self.key.sign(message(self.kind, text, seconds))
        return Signature(self.name, self.verifier.key_id, stamp + signature)


def message(kind: int, text: str, seconds: int) -> bytes:
    """What is signed."""
    return (f"cosignature/v1\ntime {seconds}\n{text}" if kind == COSIGNATURE else text).encode()


@dataclass(frozen=True, slots=True)
class Note:
    text: str  # ends with a newline
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def of(cls, content: bytes) -> "Note":
        """Raises Malformed."""
        try:
            whole = content.decode()
        except UnicodeDecodeError as error:
            raise Malformed("a note is UTF-8") from error
        if len(content) > NOTE_MAX or any(ord(one) < 32 and one != "\n" for one in whole):
            raise Malformed(f"a note has at most {NOTE_MAX} bytes and no control characters")
        text, gap, tail = whole.rpartition("\n\n")
        if not gap or not tail.endswith("\n"):
            raise Malformed("a note is text, an empty line, and signatures")
        lines = tail.removesuffix("\n").split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise Malformed(f"a note has at most {SIGNATURES_MAX} signatures")
        return cls(text + "\n", tuple(signature_of(one) for one in lines))

    @property
    def content(self) -> bytes:
        return (self.text + "\n" + "".join(one.line for one in self.signatures)).encode()

    def plus(self, more: Iterable[Signature]) -> "Note":
        return Note(self.text, (*self.signatures, *more))


def signature_of(line: str) -> Signature:
    """Raises Malformed."""
    name, _, packed = line.removeprefix(DASH).partition(" ")
    content = unbase64(packed)
    if not line.startswith(DASH) or not is_name(name) or len(content) < 5:
        raise Malformed(f"{line[:80]!r}: no line of a signature")
    return Signature(name, content[:4], content[4:])


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint's text: which log, how many entries, the root of their tree. Further lines are ours to ignore."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Head":
        """Raises Malformed."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise Malformed("a checkpoint has an origin, a size and a root")
        origin, size, root = lines[:3]
        plain = size.isascii() and size.isdigit() and len(size) <= 19 and str(int(size)) == size
        if not plain or int(size) > SIZE_MAX or len(unbase64(root)) != HASH:
            raise Malformed("a checkpoint's size is a decimal number, its root a SHA-256 in base64")
        return cls(origin, int(size), unbase64(root), tuple(lines[3:]))

    @property
    def text(self) -> str:
        lines = [self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions]
        return "".join(one + "\n" for one in lines)


def is_name(name: str) -> bool:
    """What a key may be called: no space, no plus (signed-note)."""
    return 0 < len(name) <= NAME_MAX and name.isprintable() and not any(one.isspace() or one == "+" for one in name)


def unbase64(text: str) -> bytes:
    """Raises Malformed."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{text[:40]!r}: no base64") from error
    if base64.b64encode(found).decode() != text:
        raise Malformed(f"{text[:40]!r}: base64 with bits to spare")
    return found
