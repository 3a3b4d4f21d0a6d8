"""A chain shows every change of what it binds."""

import hashlib

import pytest

from protos.chain import Chain, ChainBroken, beginning, link, verify

RECORDS = [b"first", b"", b"third" * 1000, b"\x00"]


def chained(name: str = "ledger") -> list[tuple[bytes, bytes]]:
    chain = Chain.named(name)
    return [(record, chain.append(record)) for record in RECORDS]


def test_the_definition() -> None:
    """Written out once by hand, so that an independent tool can follow."""
    start = hashlib.sha256(b"\x00citytwin chain v1\x00ledger").digest()
    assert beginning("ledger") == start
    assert link(start, b"first") == hashlib.sha256(b"\x01" + start + b"\0\0\0\0\0\0\0\x05first").digest()


def test_an_unchanged_chain_holds_and_goes_on() -> None:
    links = chained()
    end = verify(beginning("ledger"), links)
    assert (end.length, end.digest) == (4, links[-1][1])
    assert verify(links[1][1], links[2:]).digest == end.digest


@pytest.mark.parametrize("place", range(1, 5))
def test_a_changed_record_is_found_at_its_place(place: int) -> None:
    links = chained()
    record, digest = links[place - 1]
    links[place - 1] = (record + b"!", digest)
    with pytest.raises(ChainBroken) as broken:
        verify(beginning("ledger"), links)
    assert broken.value.place == place


def test_removed_moved_split_or_foreign_records_are_found() -> None:
    links = chained()
    for changed in (links[1:], links[:1] + links[2:], [links[1], links[0], *links[2:]], chained("another")):
        with pytest.raises(ChainBroken):
            verify(beginning("ledger"), changed)
    assert link(link(beginning("a"), b"x"), b"y") != link(beginning("a"), b"xy")


def test_a_digest_is_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes, this has 3"):
        link(b"abc", b"")
