"""Whatever goes into a batch comes out of it, to the last bit; whatever is not a batch is said to be none."""

import zlib
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protos.batch import Batch, BatchError, Encoder, decode, encode, peek
from tests.properties.batches import BATCHES, same

SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@SLOW
@given(BATCHES)
def test_every_bit_comes_back(batch: Batch) -> None:
    blob = encode(batch)
    header = peek(blob)
    assert (header.key, header.priority, header.anchor) == (batch.key, batch.priority, batch.anchor)
    assert header.readings == sum(block.values.size for block in batch.blocks) + len(batch.texts)
    assert same(decode(blob), batch)


def other_values(batch: Batch, shift: int) -> Batch:
    """A batch of the same shape whose columns have each other's values."""
    blocks = [replace(block, values=np.roll(block.values, shift).copy()) for block in batch.blocks]
    return replace(batch, blocks=tuple(blocks))


@SLOW
@given(st.lists(BATCHES, min_size=1, max_size=3))
def test_an_encoder_that_remembers_changes_nothing(batches: list[Batch]) -> None:
    """Shapes come again with other values: what was learned of them must not show."""
    encoder = Encoder()
    for shift in range(4):
        for batch in batches:
            changed = other_values(batch, shift)
            assert same(decode(encoder.encode(changed)), changed)


@SLOW
@given(BATCHES, st.data())
def test_damage_is_damage(batch: Batch, data: st.DataObject) -> None:
    blob = bytearray(encode(batch))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    for parse in (peek, decode):
        try:
            parse(bytes(blob))
        except BatchError:
            continue
        raise AssertionError(f"{parse.__name__} took a batch with byte {place} changed")


@SLOW
@given(BATCHES, st.data())
def test_a_right_checksum_over_wrong_bytes_does_no_harm(batch: Batch, data: st.DataObject) -> None:
    """An attacker can make checksums: decoding ends in BatchError or in some batch, in bounded memory."""
    blob = bytearray(encode(batch)[:-4])
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(blob) + zlib.crc32(blob).to_bytes(4, "little"), max_raw_bytes=1 << 20)
    except BatchError:
        return
