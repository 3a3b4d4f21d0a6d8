"""Vectors come back as they were, whatever they hold; what is not a vector is refused."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aggregator.stores.history.packing import (
    Bytes,
    Damaged,
    FloatKind,
    Floats,
    Ints,
    pack_codes,
    pack_floats,
    pack_ints,
    unpack_codes,
    unpack_floats,
    unpack_ints,
)

CALM = settings(deadline=None)  # the machine may be busy

ints = arrays.arrays(np.int64, st.integers(1, 200))
steps = st.integers(1, 200).map(lambda n: np.arange(n, dtype=np.int64) * 1_000_000_000)
tenths = arrays.arrays(np.int16, st.integers(1, 200)).map(lambda a: a.astype(np.float64) * 0.1)
few = arrays.arrays(np.int8, st.integers(64, 300), elements=st.integers(0, 3)).map(lambda a: a * 0.1 + 273.15)
floats = st.one_of(arrays.arrays(np.float64, st.integers(1, 200)), tenths, few)


@CALM
@given(st.one_of(ints, steps))
@example(np.array([-(1 << 63), (1 << 63) - 1], np.int64))
@example(np.array([5], np.int64))
def test_integers(values: Ints) -> None:
    back, rest = unpack_ints(memoryview(pack_ints(values) + b"next"), len(values))
    assert np.array_equal(back, values)
    assert bytes(rest) == b"next"


@CALM
@given(floats)
@example(np.array([np.nan]))
@example(np.array([-0.0, 0.0]))
@example(np.array([np.inf, -np.inf, np.nan, 1.5]))
@example(np.array([1e308, -1e308, 5e-324]))
def test_floats(values: Floats) -> None:
    back, rest = unpack_floats(memoryview(pack_floats(values) + b"next"), len(values))
    assert bytes(rest) == b"next"
    assert np.array_equal(np.isnan(back), np.isnan(values))
    kept = ~np.isnan(values)
    assert back[kept].tobytes() == values[kept].tobytes()  # bit for bit


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.full(100, 7.25), FloatKind.CONSTANT),
        (np.arange(100) / 10, FloatKind.DIVIDED),
        (np.arange(100) * 0.1, FloatKind.MULTIPLIED),
        ((np.arange(2000) % 7) * 0.1 + 273.15, FloatKind.DICTIONARY),
        (np.sqrt(np.arange(100)).astype(np.float32).astype(np.float64), FloatKind.SINGLE),
        (np.sqrt(np.arange(100)), FloatKind.RAW),
    ],
)
def test_each_kind_is_found(values: Floats, kind: FloatKind) -> None:
    assert pack_floats(values)[0] == kind


@CALM
@given(arrays.arrays(np.uint8, st.integers(1, 50)))
def test_codes(codes: Bytes) -> None:
    back, rest = unpack_codes(memoryview(pack_codes(codes) + b"next"), len(codes))
    assert np.array_equal(back, codes)
    assert bytes(rest) == b"next"


@pytest.mark.parametrize("unpack", [unpack_ints, unpack_floats, unpack_codes])
@CALM
@given(st.binary(max_size=60), st.integers(1, 40))
def test_rubbish_is_refused_or_is_a_vector(unpack: object, rubbish: bytes, count: int) -> None:
    assert callable(unpack)
    try:
        values, _ = unpack(memoryview(rubbish), count)
    except Damaged:
        return
    assert len(values) == count
