"""The ranges of received keys say exactly what a set of keys would say."""

from hypothesis import given
from hypothesis import strategies as st

from aggregator.stores.received import Received, missing, without
from protos.span import Span, join

KEYS = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 40)), max_size=120)


def keys(spans: list[Span]) -> set[tuple[int, int]]:
    return {(one.epoch, sequence) for one in spans for sequence in range(one.first, one.last + 1)}


@given(KEYS)
def test_as_a_set(wanted: list[tuple[int, int]]) -> None:
    received, plain, saved = Received(), set[tuple[int, int]](), dict[tuple[int, int], int]()
    for epoch, sequence in wanted:
        assert received.has(epoch, sequence) == ((epoch, sequence) in plain)
        assert received.add(epoch, sequence) == ((epoch, sequence) not in plain)
        plain.add((epoch, sequence))
        for key, last in received.take_changes().items():
            if last is None:
                del saved[key]
            else:
                saved[key] = last
    assert list(received) == join(plain)
    assert received.ranges == len(join(plain))
    assert [Span(epoch, first, last) for (epoch, first), last in sorted(saved.items())] == join(plain)
    assert list(Received(received)) == list(received)


@given(KEYS, st.integers(1, 3), st.integers(1, 45))
def test_missing_is_the_rest(wanted: list[tuple[int, int]], epoch: int, before: int) -> None:
    there = {sequence for e, sequence in wanted if e == epoch}
    gaps = missing(join(wanted), epoch, before)
    assert keys(gaps) == {(epoch, sequence) for sequence in range(1, before) if sequence not in there}


@given(KEYS, KEYS)
def test_without_is_the_difference(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    assert keys(without(join(some), join(others))) == set(some) - set(others)
