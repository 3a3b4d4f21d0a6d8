"""What charging points are given: never more than there is, never less than a car can use, and everybody in turn."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.control.ev import shares

CARS = st.lists(st.tuples(st.booleans(), st.sampled_from((16.0, 20.0, 32.0))), min_size=1, max_size=12)


@given(st.floats(0, 400), CARS, st.integers(0, 10_000))
def test_what_is_given(total: float, cars: list[tuple[bool, float]], turn: int) -> None:
    there, most = [one for one, _ in cars], [one for _, one in cars]
    given_a = shares(total, there, most, 6.0, turn)
    assert sum(given_a) <= total + 1e-6
    assert all(one == 0.0 or 6.0 - 1e-6 <= one <= limit for one, limit in zip(given_a, most, strict=True))
    assert all(one == 0.0 or here for one, here in zip(given_a, there, strict=True))
    served, waiting = sum(one > 0 for one in given_a), sum(there)
    assert served == min(waiting, int((total + 1e-9) // 6.0))
    spare = total - sum(given_a)
    full = all(limit - one < 1e-6 for one, limit in zip(given_a, most, strict=True) if one)
    assert served == 0 or spare < 1e-6 or full  # nothing is left that somebody served could take
    got = sorted(one for one, limit in zip(given_a, most, strict=True) if one and one < limit - 1e-6)
    assert not got or got[-1] - got[0] < 1e-6  # even, but for those that can take no more


@given(st.floats(6, 60), CARS)
def test_everybody_has_a_turn(total: float, cars: list[tuple[bool, float]]) -> None:
    there, most = [one for one, _ in cars], [one for _, one in cars]
    had = [0.0] * len(cars)
    for turn in range(len(cars)):
        had = [a + b for a, b in zip(had, shares(total, there, most, 6.0, turn), strict=True)]
    assert all((one > 0) == here for one, here in zip(had, there, strict=True))
