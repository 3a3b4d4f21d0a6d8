"""Whoever comes later may only narrow what is left: for any wishes, in the one order that there is."""

import math
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from edge_agent.control.arbiter import Arbiter, Room, in_order
from edge_agent.setpoint import Controller, Decision, Standing, Wish
from tests.edge.control.stage import OUTPUT, VOICES, S, wish_of

SOME = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEARCH = settings(max_examples=800, deadline=None, phases=[Phase.generate], database=None)
SPANS = st.tuples(st.floats(-50, 150), st.floats(-50, 150)).map(lambda one: (min(one), max(one)))
WISHES = st.dictionaries(st.sampled_from(range(len(VOICES))), SPANS | st.floats(-50, 150), max_size=len(VOICES))
APPLIED = st.one_of(st.just(math.nan), st.floats(0, 100))


def heard(wishes: dict[int, float | tuple[float, float]], applied: float, kind: type[Arbiter]) -> tuple[list[Standing], Decision]:  # fmt: skip  # noqa: E501
    """What was left after each, and the decision."""
    arbiter = kind([OUTPUT])
    arbiter.begin([Standing(applied, 0, 0, "")])
    left = [arbiter.standing[0]]
    for number in sorted(wishes):
        arbiter.narrow(VOICES[number], [wish_of(wishes[number])], S)
        left.append(arbiter.standing[0])
    (decision,) = arbiter.conclude(S)
    return left, decision


def faults(wishes: dict[int, float | tuple[float, float]], applied: float, kind: type[Arbiter] = Arbiter) -> set[str]:
    left, decision = heard(wishes, applied, kind)
    found = set()
    for before, after in pairwise(left):
        if not before.low <= after.low <= after.high <= before.high:
            found.add("widened")
    if decision.acts and not left[-1].low <= decision.value <= left[-1].high:
        found.add("outside")
    for cut in range(len(wishes)):  # those after it never move what it and those before it left
        first = dict(sorted(wishes.items())[: cut + 1])
        alone, _ = heard(first, applied, kind)
        if decision.acts and not alone[-1].low <= decision.value <= alone[-1].high:
            found.add("moved by a later one")
    return found


@SOME
@given(WISHES, APPLIED)
def test_later_ones_only_narrow(wishes: dict[int, float | tuple[float, float]], applied: float) -> None:
    assert not faults(wishes, applied)


class LastWins(Arbiter):
    """The control: whoever comes last gets what it wants."""

    def _take(self, controller: Controller, wish: Wish, now_ns: int) -> None:
        self._rooms[wish.output] = Room(0.0, 100.0, (0.0, 100.0))
        super()._take(controller, wish, now_ns)


def test_an_arbiter_where_the_last_one_wins_is_found_out() -> None:
    assert find(
        WISHES, lambda wishes: {"widened", "moved by a later one"} <= faults(wishes, 0.0, LastWins), settings=SEARCH
    )


@given(st.permutations(range(len(VOICES))))
def test_the_order_of_the_file_does_not_matter_between_ranks(shuffled: Sequence[int]) -> None:
    ranks = [one.RANK for one in in_order([VOICES[number] for number in shuffled])]
    assert ranks == sorted(ranks)
