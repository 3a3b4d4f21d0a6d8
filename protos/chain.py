"""A hash chain: each link binds a record to all records before it, so that none can be changed, removed or moved.

    digest(0)  = SHA-256(0x00 "citytwin chain v1" 0x00 name)
    digest(n)  = SHA-256(0x01 digest(n-1) length(record) record)        length: 8 bytes, big endian

The first bytes tell a beginning from a link, and the length tells one record from two (as RFC 6962 separates leaves
from nodes). A chain shows what was changed in it; that its end was cut off shows only against a digest that somebody
else holds.

    ChainBroken     the first place where the chain does not hold
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

DIGEST_BYTES = 32
BEGINNING, LINK = b"\x00", b"\x01"


class ChainBroken(ValueError):
    """A record, or the digest after it, is not what was chained. `place` counts from 1."""

    def __init__(self, place: int) -> None:
        super().__init__(f"the chain breaks at record {place}: it, or one before it, was changed, removed or moved")
        self.place = place


def beginning(name: str) -> bytes:
    """The digest of an empty chain; chains of different names share no digest."""
    return hashlib.sha256(BEGINNING + b"citytwin chain v1\x00" + name.encode()).digest()


def link(before: bytes, record: bytes) -> bytes:
    """The digest after `record`. Raises ValueError when `before` is no digest."""
    if len(before) != DIGEST_BYTES:
        raise ValueError(f"a digest has {DIGEST_BYTES} bytes, this has {len(before)}")
    return hashlib.sha256(LINK + before + len(record).to_bytes(8, "big") + record).digest()


@dataclass(slots=True)
class Chain:
    """The end of a chain. To go on later, keep `length` and `digest`."""

    digest: bytes
    length: int = 0

    @classmethod
    def named(cls, name: str) -> "Chain":
        return cls(beginning(name))

    def append(self, record: bytes) -> bytes:
        """The digest that now binds everything up to `record`."""
        self.digest = link(self.digest, record)
        self.length += 1
        return self.digest


def verify(start: bytes, links: Iterable[tuple[bytes, bytes]]) -> Chain:
    """The end of the chain of (record, digest after it) that follow `start`. Raises ChainBroken at the first fault."""
    chain = Chain(start)
    for record, digest in links:
        if not hmac.compare_digest(chain.append(record), digest):
            raise ChainBroken(chain.length)
    return chain
