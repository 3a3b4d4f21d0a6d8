"""Ranges against plain sets."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.buffer.ranges import Ranges

PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1] - 1)))


def as_set(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(PAIRS, st.integers(0, 50), st.integers(0, 50))
def test_ranges_are_a_set(pairs: list[tuple[int, int]], first: int, last: int) -> None:
    ranges, plain = Ranges(pairs), {n for a, b in pairs for n in range(a, b + 1)}
    assert as_set(ranges) == plain
    assert all(end + 1 < begin for (_, end), (begin, _) in zip(list(ranges), list(ranges)[1:], strict=False))
    window = set(range(first, last + 1))
    assert {n for a, b in ranges.holes(first, last) for n in range(a, b + 1)} == window - plain
    assert {n for a, b in ranges.within(first, last) for n in range(a, b + 1)} == window & plain
    assert {n for n in range(60) if n in ranges} == plain
    copied = ranges.copy()
    copied.forget_below(first)
    assert {n for n in as_set(copied) if n >= first} == {n for n in plain if n >= first}
    assert as_set(ranges) == plain
