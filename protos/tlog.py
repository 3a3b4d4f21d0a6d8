"""Merkle trees of transparency logs: hashes, proofs built and checked, tiles (RFC 6962 section 2.1; C2SP tlog-tiles).

A tree of n entries D[0:n] has the root MTH(D[0:n]). Nodes are named (level, index): the hash of the 2^level entries
from index · 2^level on. A tile holds up to 256 neighbours of one of the levels 0, 8, 16, …

ProofError     a proof does not show what it should; nothing else is raised for bytes that came from elsewhere
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

HASH = 32  # bytes of SHA-256
HEIGHT = 8  # levels in one tile
WIDTH = 1 << HEIGHT  # hashes in a full tile, entries in a full bundle
ENTRY_MAX = 0xFFFF  # bytes of one entry: a bundle writes its length in two
PROOF_MAX = 126  # hashes of a proof: two a level for trees of 2^63 entries
LEVELS_MAX = 8  # of tiles: 2^64 entries

Node = Callable[[int, int], bytes]  # (level, index) → hash of a complete subtree


class ProofError(ValueError):
    """What a proof does not show, in words."""


@dataclass(frozen=True, slots=True)
class Tile:
    """`width` hashes of tile level `level` (of the tree's level 8 · level), from index · 256 on."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """tile/<L>/<N>[.p/<W>]"""
        return f"tile/{self.level}/{place(self.index, self.width)}"


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY = hashlib.sha256(b"").digest()  # MTH of no entries


def subtree(hashes: Sequence[bytes]) -> bytes:
    """The hash over 2^k neighbours."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def split(size: int) -> int:
    """k of RFC 6962: the largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def tree_hash(low: int, high: int, node: Node) -> bytes:
    """MTH(D[low:high]) where `low` is a multiple of the power of two that holds high − low, as in every proof."""
    size = high - low
    if size == 0:
        return EMPTY
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, low >> level)
    k = split(size)
    return node_hash(tree_hash(low, low + k, node), tree_hash(low + k, high, node))


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[0:size]): from the leaf's sibling up. Raises ProofError where there is no such entry."""
    if not 0 <= index < size:
        raise ProofError(f"no entry {index} in a tree of {size}")
    proof, low, high = [], 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            proof.append(tree_hash(middle, high, node))
            high = middle
        else:
            proof.append(tree_hash(low, middle, node))
            low = middle
    return proof[::-1]


def consistency(old: int, size: int, node: Node) -> list[bytes]:
    """PROOF(old, D[0:size]); empty from nothing and between equals. Raises ProofError."""
    if not 0 <= old <= size:
        raise ProofError(f"no way from a tree of {old} to one of {size}")
    if old in (0, size):
        return []
    proof, low, high, whole = [], 0, size, True
    while old != high:
        middle = low + split(high - low)
        if old <= middle:
            proof.append(tree_hash(middle, high, node))
            high = middle
        else:
            proof.append(tree_hash(low, middle, node))
            low, whole = middle, False
    if not whole:
        proof.append(tree_hash(low, high, node))
    return proof[::-1]


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """That `leaf` is entry `index` of the tree with this root (RFC 9162 section 2.1.3.2). Raises ProofError."""
    if not 0 <= index < size:
        raise ProofError(f"no entry {index} in a tree of {size}")
    check_hashes([leaf, root, *proof])
    found, at, last = leaf, index, size - 1
    for one in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if at & 1 or at == last:
            found = node_hash(one, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, one)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofError("the proof is too short")
    if found != root:
        raise ProofError(f"entry {index} is not in the tree with this root")


def check_consistency(old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes) -> None:
    """That the tree of `size` begins with the one of `old` (RFC 9162 section 2.1.4.2). Raises ProofError."""
    if not 0 <= old <= size:
        raise ProofError(f"no way from a tree of {old} to one of {size}")
    check_hashes([old_root, root, *proof])
    if old in (0, size):
        if proof:
            raise ProofError("the proof is too long")
        if old == size and old_root != root:
            raise ProofError(f"two trees of {size} entries with different roots")
        return
    rest = list(proof)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        raise ProofError("the proof is too short")
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = rest[0]
    for one in rest[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if at & 1 or at == last:
            before, after = node_hash(one, before), node_hash(one, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, one)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofError("the proof is too short")
    if before != old_root or after != root:
        raise ProofError(f"the tree of {size} does not begin with the tree of {old}: history was changed")


def check_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > PROOF_MAX + 2 or any(len(one) != HASH for one in hashes):
        raise ProofError(f"a proof has at most {PROOF_MAX} hashes of {HASH} bytes")


# ---- tiles


def tiles(size: int) -> Iterator[Tile]:
    """Every tile of a tree, the rightmost of each level partial where it is."""
    level, count = 0, size
    while count:
        full, rest = divmod(count, WIDTH)
        yield from (Tile(level, index, WIDTH) for index in range(full))
        if rest:
            yield Tile(level, full, rest)
        level, count = level + 1, full


def place(index: int, width: int) -> str:
    """<N>[.p/<W>]: three digits a part, all but the last behind an x."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    named = "/".join([*(f"x{one}" for one in parts[:-1]), parts[-1]])
    return named if width == WIDTH else f"{named}.p/{width}"


def parse_place(text: str) -> tuple[int, int]:
    """(index, width) of a path as `place` writes it; raises ValueError for any other spelling."""
    named, _, partial = text.partition(".p/")
    digits = named.replace("/", "").replace("x", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise ValueError(f"{text}: no tile")
    width = int(partial) if partial.isascii() and partial.isdigit() and len(partial) <= 3 else 0 if partial else WIDTH
    if not 1 <= width <= WIDTH or place(int(digits), width) != text:
        raise ValueError(f"{text}: no tile")
    return int(digits), width


def bundle(entries: Sequence[bytes]) -> bytes:
    """Entries behind their lengths, two bytes each, big-endian."""
    return b"".join(len(one).to_bytes(2, "big") + one for one in entries)


def node_in(tile: Callable[[int, int], bytes]) -> Node:
    """Nodes read from tiles; `tile(level, index)` gives what there is of one, hashes in a row."""

    def node(level: int, index: int) -> bytes:
        row, below = divmod(level, HEIGHT)
        at = (index << below) % WIDTH
        hashes = tile(row, (index << below) // WIDTH)
        part = hashes[at * HASH : (at + (1 << below)) * HASH]
        if len(part) != HASH << below:
            raise ProofError(f"node {level}/{index} is not in the tiles")
        return subtree([part[i : i + HASH] for i in range(0, len(part), HASH)])

    return node
