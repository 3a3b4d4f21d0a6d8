"""The simulated cabinet is a judge worth having: it refuses what a certified one refuses, and needs nobody."""

import pytest

from tests.simulators.cabinet import MAX_GREEN_S, TTL_S, Cabinet, Groups

GROUPS = Groups(("GrG", "rGr", "Grr"), (20, 15, 10), frozenset({(0, 1), (1, 2)}))


def ticked(cabinet: Cabinet, seconds: int) -> list[str]:
    return [cabinet.tick() for _ in range(seconds)]


def test_stages_that_conflict_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stage 2: links \[\(0, 1\)\] conflict"):
        Cabinet(Groups(("Grr", "GGr"), (9, 9), frozenset({(0, 1)})))


@pytest.mark.parametrize("code", [99, 104, 300, 402, 65_535])
def test_a_request_that_is_none_changes_nothing(code: int) -> None:
    cabinet = Cabinet(GROUPS)
    cabinet.request(201)
    assert not cabinet.request(code)
    assert (cabinet.asked, cabinet.refused) == (201, 1)


def test_rule_16_too_early_a_force_off_waits_for_the_minimum_green() -> None:
    cabinet = Cabinet(GROUPS, min_green_s=8)
    ticked(cabinet, 3)
    cabinet.request(302)
    assert cabinet.refused == 1
    assert ticked(cabinet, 4) == ["GrG"] * 4
    assert cabinet.tick() == "yry"


def test_rule_16_yellow_and_all_red_are_the_cabinets_own() -> None:
    cabinet = Cabinet(GROUPS, min_green_s=5, yellow_s=3, all_red_s=2)
    ticked(cabinet, 5)
    cabinet.request(302)
    assert ticked(cabinet, 7) == ["yry", "yry", "yry", "rrr", "rrr", "rGr", "rGr"]


def test_who_is_green_in_both_stays_green() -> None:
    cabinet = Cabinet(GROUPS)
    ticked(cabinet, 5)
    cabinet.request(303)
    assert ticked(cabinet, 4) == ["Gry", "Gry", "Gry", "Grr"]


def test_rule_17_without_requests_it_runs_its_own_plan() -> None:
    cabinet = Cabinet(GROUPS)
    ticked(cabinet, 70)
    assert cabinet.history[:3] == [(1, 20), (2, 15), (3, 10)]


def test_rule_17_a_request_lapses() -> None:
    cabinet = Cabinet(GROUPS)
    cabinet.request(201)
    ticked(cabinet, TTL_S)
    assert not cabinet.on_request
    ticked(cabinet, 10)
    assert cabinet.history == [(1, 20)]


def test_a_call_is_what_comes_next_in_its_own_time() -> None:
    cabinet = Cabinet(GROUPS)
    for _ in range(25):
        cabinet.request(103)
        cabinet.tick()
    assert (cabinet.history, cabinet.stage) == ([(1, 20)], 3)


def test_no_hold_lasts_for_ever() -> None:
    cabinet = Cabinet(GROUPS)
    for _ in range(MAX_GREEN_S + 5):
        cabinet.request(201)
        cabinet.tick()
    assert cabinet.history == [(1, MAX_GREEN_S)]
    assert cabinet.refused
