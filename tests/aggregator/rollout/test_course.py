"""A fleet of hundreds, seeded: good models reach everyone, bad ones nobody who matters, and come back everywhere."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from aggregator.rollout import RolloutError, course
from aggregator.rollout.course import Course, Note
from aggregator.rollout.plan import Rollout, Stage, State, begin, packed, unpacked
from aggregator.rollout.policy import Policy
from tests.aggregator.rollout.world import Kind, World

NS = 1_000_000_000
NEW = "a" * 64
QUICK = Policy(shadow_s=30, wave_s=40, wave_max_s=1200, device_s=120, look_s=5, retries=1)
START_S = 60  # of living before: what was normal is known


class Stand:
    """The rules and a world, a second at a time; the engine without its table."""

    def __init__(self, world: World, policy: Policy = QUICK, digest: str = NEW) -> None:
        self.world, self.course, self.notes = world, Course(policy), list[Note]()
        self.one: Rollout = begin(
            "r-1", "tank", f"{digest}.ctb", digest, title="tank 2", person="ada", now_ns=NS, margin=0.05
        )

    def run(self, seconds: int, until: State | None = None) -> "Stand":
        for _ in range(seconds):
            self.step()
            if self.one.state is until:
                break
        return self

    def step(self) -> None:
        self.world.tick()
        move = self.course.next(self.one, self.world.reports(), int((self.world.now_s + START_S) * NS))
        self.one = unpacked(packed(move.rollout)) if self.world.now_s % 25 == 0 else move.rollout
        self.notes += move.notes
        for gateway, slot in course.wishes(self.one).items():
            if slot:
                self.world.desire(gateway, self.one, slot)
            else:
                self.world.withdraw(gateway, self.one)
            self.one = course.confirmed(self.one, gateway)

    def acts(self) -> list[str]:
        return [note.act for note in self.notes]


@pytest.mark.parametrize(("gateways", "seed"), [(200, 1), (5, 2), (1, 3)])
def test_a_better_model_reaches_everyone_through_the_waves(gateways: int, seed: int) -> None:
    stand = Stand(World(gateways, {NEW: Kind(error=0.5)}, seed=seed)).run(2500, State.DONE)
    assert stand.one.state is State.DONE
    assert stand.world.running(NEW) == set(stand.world.fleet)
    assert stand.acts().count("rollout promote") == 3


def test_an_equal_model_is_promoted_though_gateways_come_and_go() -> None:
    world = World(40, {NEW: Kind()}, away=0.1, seed=3)
    stand = Stand(world).run(4000, State.DONE)
    assert stand.one.state is State.DONE
    world.away = 0.0
    for one in world.fleet.values():
        one.here = True
    world.fleet["gw-new"] = replace(
        world.fleet["gw-000"], vitals=replace(world.fleet["gw-000"].vitals, current="0" * 64)
    )
    world.fleet["gw-new"].wish = ("", "")
    stand.run(200)
    assert world.running(NEW) == set(world.fleet)  # who was away, and who came later


def test_the_waves_have_their_sizes_and_clusters() -> None:
    world, sizes = World(120, {NEW: Kind(error=0.5)}), dict[str, set[str]]()
    stand = Stand(world)
    while stand.one.state is State.RUNNING:
        stand.step()
        sizes[stand.one.wave_name] = set(stand.one.members)
    assert {name: len(members) for name, members in sizes.items()} == {
        "shadow": 3,
        "first": 6,
        "second": 30,
        "all": 120,
    }
    assert {world.fleet[name].cluster for name in sizes["first"]} == {"c0", "c1", "c2", "c3"}


@pytest.mark.parametrize(
    ("kind", "reached"),
    [
        (Kind(error=3.0), 0),  # seen in the shadow: nobody acted on it
        (Kind(kpi=3.0), 5),  # seen at the first who act
        (Kind(goes_back=1.0), 5),
        (Kind(refused=1.0), 0),
        (Kind(breaches=0.2), 0),
        (Kind(late=0.05), 5),
    ],
    ids=["error", "kpi", "goes back", "refused", "breaches", "late"],
)
def test_a_bad_model_is_taken_back_everywhere(kind: Kind, reached: int) -> None:
    stand = Stand(World(60, {NEW: kind})).run(2500, State.ABORTED)
    assert stand.one.state is State.ABORTED, stand.one.reason
    assert not stand.world.running(NEW)
    assert len(stand.world.applied_ever) <= reached


@pytest.mark.parametrize("kind", [Kind(error=3.0), Kind(kpi=3.0), Kind(breaches=0.2)], ids=["error", "kpi", "breaches"])
def test_without_the_gates_it_reaches_everyone(kind: Kind) -> None:
    """Negative control."""
    stand = Stand(World(60, {NEW: kind}), replace(QUICK, gates=False)).run(2500, State.DONE)
    assert stand.one.state is State.DONE
    assert len(stand.world.applied_ever) == 60


def test_what_cannot_be_shown_waits_for_a_person() -> None:
    stand = Stand(World(40, {NEW: Kind(error=1.1)}), replace(QUICK, wave_max_s=300)).run(1500, State.PAUSED)
    assert (stand.one.state, stand.one.reason[:14]) == (State.PAUSED, "needs a person")
    stand.one = stand.one.abort("no better")
    assert stand.run(100, State.ABORTED).one.state is State.ABORTED
    assert not stand.world.running(NEW)


def test_aborting_reaches_those_who_are_away_when_they_are_back() -> None:
    world = World(8, {NEW: Kind(error=0.5)})
    stand = Stand(world).run(2500, State.DONE)
    world.fleet["gw-003"].here = False
    stand.one = stand.one.abort("the plant was changed")
    stand.run(20, State.ABORTED)
    assert stand.one.state is State.ABORTED
    assert world.running(NEW) == {"gw-003"}
    world.fleet["gw-003"].here = True
    world.tick()
    assert not world.running(NEW)


def test_pause_approval_and_window_hold_what_is_new_but_not_what_is_wrong() -> None:
    stand = Stand(World(40, {NEW: Kind(error=0.5)}), replace(QUICK, approve=("first",))).run(800)
    assert (stand.one.wave_name, stand.one.began_ns) == ("first", 0)
    assert len(stand.one.members) == 3
    stand.one = stand.one.approve("ada", 0)
    stand.run(2)
    assert len(stand.one.members) == 4
    stand.one = stand.one.pause("a storm comes")
    members = set(stand.one.members)
    stand.world.kinds = {NEW: Kind(breaches=1.0)}
    stand.run(30)
    assert set(stand.one.members) == members
    assert stand.one.state in (State.ABORTING, State.ABORTED)
    with pytest.raises(RolloutError, match="only what is paused"):
        stand.one.resume(0)


def windows() -> Iterator[tuple[str, int, bool]]:
    monday_noon = 1_767_614_400  # 2026-01-05 12:00 UTC
    yield "Mon-Fri 11:00-13:00", monday_noon, True
    yield "Tue-Fri 11:00-13:00", monday_noon, False
    yield "Fri-Mon 11:00-13:00", monday_noon, True
    yield "22:00-04:00", monday_noon, False
    yield "Sun 22:00-04:00", monday_noon - 9 * 3600, True  # Monday 03:00 belongs to Sunday's
    yield "Mon 22:00-04:00", monday_noon - 9 * 3600, False


@pytest.mark.parametrize(("window", "at_s", "is_open"), list(windows()))
def test_windows(window: str, at_s: int, is_open: bool) -> None:
    assert Policy(windows=(window,)).open(at_s * NS) is is_open


def test_a_gateway_that_never_answers_is_asked_again_and_then_has_failed() -> None:
    world = World(30, {NEW: Kind(error=0.5)}, fetch_s=1e9)
    stand = Stand(world).run(1000, State.ABORTED)
    assert stand.one.state is State.ABORTED
    assert "nothing came of 2 tries" in stand.one.reason
    assert stand.one.count(Stage.CLEARED) == 3
