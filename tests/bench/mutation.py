"""Inputs that are nearly right: good ones with bytes flipped, cut, doubled, moved, set to telling values."""

from collections.abc import Iterator, Sequence
from random import Random

TELLING = [bytes([one]) for one in (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)] + [
    b"\xff\xff", b"\x00\x80", b"\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\xff\x7f", bytes(4),
    bytes(8), b"\xff" * 8, b"\xf0\x9f\x9a\xa6", b"\xed\xa0\x80", b"-0", b"1e999", b"NaN", b"null", b"[[[[", b'"', b"\n",
]  # fmt: skip
SIZE_MAX = 1 << 16  # of an input: what grows is cut


def mutate(data: bytearray, random: Random, seeds: Sequence[bytes]) -> bytearray:
    """One change, in place where its length stays."""
    size = len(data)
    at = random.randrange(size) if size else 0
    kind = random.randrange(8) if size else 3
    if kind == 0:
        data[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        data[at] = random.randrange(256)
    elif kind == 2:
        word = random.choice(TELLING)
        data[at : at + len(word)] = word
    elif kind == 3:
        data[at:at] = random.choice(TELLING)
    elif kind == 4:
        del data[at : at + random.randint(1, 8)]
    elif kind == 5:
        del data[at:]
    elif kind == 6:
        part = data[at : at + random.randint(1, 32)]
        to = random.randrange(size)
        data[to:to] = part * random.choice((1, 1, 1, 2, 50))
    else:
        other = random.choice(seeds)
        cut = random.randrange(len(other) + 1)
        data[at:] = other[cut:]
    return data


def mutants(seeds: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Without end; the same for the same seed."""
    random = Random(seed)
    while True:
        data = bytearray(random.choice(seeds))
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 9))):
            data = mutate(data, random, seeds)
        yield bytes(data[:SIZE_MAX])
