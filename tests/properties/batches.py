"""Any batch that a gateway could write, for Hypothesis; and equality of batches to the last bit."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protos.batch import Batch, Block, Key, Priority, Text
from protos.clock import Anchor

INT64 = st.integers(-(2**63), 2**63 - 1)
WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0\x02"), min_size=1, max_size=12)
DECIMALS = st.builds(
    lambda whole, decimals, by: whole / 10**decimals if by else whole * 10.0**-decimals,
    st.integers(-(10**6), 10**6),
    st.integers(0, 6),
    st.booleans(),
)
SINGLES = st.floats(width=32)
SPECIAL = st.sampled_from([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 5e-324, 1.7e308, 2.0**53, 2.0**53 + 2, 0.1])
BITS = INT64.map(lambda bits: float(np.int64(bits).view(np.float64)))  # any NaN, with any payload
VALUES = st.one_of(DECIMALS, SINGLES, st.floats(), SPECIAL, BITS, SINGLES.map(lambda x: x * 1000.0))
STEPS = st.one_of(st.just(10**9), st.integers(0, 2 * 10**9), st.integers(0, 100).map(lambda ms: ms * 10**6), INT64)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    rows, width = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    points = tuple(draw(st.lists(NAMES, min_size=width, max_size=width)))
    kind = draw(st.sampled_from([VALUES, DECIMALS, SINGLES, st.just(21.5)]))
    values = draw(arrays.arrays(np.float64, (rows, width), elements=kind, fill=st.nothing()))
    receive = np.array(draw(st.lists(STEPS, min_size=rows, max_size=rows)), np.int64)
    source = receive if draw(st.booleans()) else np.array(draw(st.lists(INT64, min_size=rows, max_size=rows)), np.int64)
    codes = np.zeros((rows, width), np.uint8)
    if draw(st.booleans()):
        codes = draw(arrays.arrays(np.uint8, (rows, width)))
    return Block(draw(NAMES), points, np.cumsum(receive), source, values, codes)


TEXTS = st.builds(Text, NAMES, NAMES, INT64, INT64, st.integers(0, 255), WORDS)
BATCHES = st.builds(
    Batch,
    st.builds(Key, NAMES, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    st.sampled_from(Priority),
    st.builds(
        Anchor, st.binary(min_size=16, max_size=16), INT64, INT64, st.sampled_from(["aggregator", "ntp", "wall", ""])
    ),
    st.lists(blocks(), max_size=5).map(tuple),
    st.lists(TEXTS, max_size=3).map(tuple),
)


def same_bits(a: Block, b: Block) -> bool:
    """Names, times, codes and every bit of every value, NaN payloads too."""
    return (
        (a.device, a.points) == (b.device, b.points)
        and np.array_equal(a.receive_ns, b.receive_ns)
        and np.array_equal(a.source_ns, b.source_ns)
        and np.array_equal(a.codes, b.codes)
        and a.values.tobytes() == b.values.tobytes()
    )


def same(a: Batch, b: Batch) -> bool:
    return (
        (a.key, a.priority, a.anchor, a.texts) == (b.key, b.priority, b.anchor, b.texts)
        and len(a.blocks) == len(b.blocks)
        and all(same_bits(one, two) for one, two in zip(a.blocks, b.blocks, strict=True))
    )
