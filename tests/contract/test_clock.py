"""The stepped clock wakes sleepers in order and at their time; the system's clock does not go back."""

import asyncio

from protos.clock import NS, Anchor, FastClock, SteppedClock, SystemClock


async def test_sleepers_wake_at_their_deadlines_in_order() -> None:
    clock, woken = SteppedClock(), list[tuple[str, int]]()

    async def sleep(name: str, until: int) -> None:
        await clock.sleep_until(until)
        woken.append((name, clock.monotonic_ns()))

    sleepers = [asyncio.create_task(sleep(name, until)) for name, until in (("c", 30), ("a", 10), ("b", 20), ("d", 99))]
    await clock.advance(35)
    assert woken == [("a", 10), ("b", 20), ("c", 30)]
    assert clock.monotonic_ns() == 35
    await clock.advance(64)
    assert woken[-1] == ("d", 99)
    await asyncio.gather(*sleepers)


async def test_one_that_sleeps_again_wakes_again_within_one_advance() -> None:
    clock, beats = SteppedClock(monotonic_ns=5), []

    async def beat() -> None:
        while True:
            await clock.sleep_until(clock.monotonic_ns() + 10)
            beats.append(clock.monotonic_ns())

    task = asyncio.create_task(beat())
    await clock.advance(45)
    task.cancel()
    assert beats == [15, 25, 35, 45]


async def test_a_deadline_that_has_passed_lets_others_run() -> None:
    clock, ran = SteppedClock(monotonic_ns=10), asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await clock.sleep_until(3)
    assert ran.is_set()


def test_the_wall_steps_without_the_monotonic() -> None:
    clock = SteppedClock(monotonic_ns=100, wall_ns=1_000)
    clock.step_wall(-5 * NS)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (100, 1_000 - 5 * NS)


def test_an_anchor_gives_utc() -> None:
    assert Anchor(bytes(16), 7_000, 50, "ntp").utc_ns(30) == 7_030


async def test_the_system_clock_goes_forward_and_knows_its_boot() -> None:
    clock = SystemClock()
    before = clock.monotonic_ns()
    await clock.sleep_until(before + 1_000_000)
    assert clock.monotonic_ns() >= before + 1_000_000
    assert (len(clock.boot_id), clock.boot_id) == (16, SystemClock().boot_id)
    assert abs(clock.wall_ns() - clock.wall_ns()) < NS


async def test_a_fast_clock_runs_and_wakes_faster() -> None:
    fast, real = FastClock(1000.0), SystemClock()
    begun, real_begun = fast.monotonic_ns(), real.monotonic_ns()
    wall = fast.wall_ns()
    await fast.sleep_until(begun + 10 * NS)
    real_spent = real.monotonic_ns() - real_begun
    assert fast.monotonic_ns() - begun >= 10 * NS
    assert real_spent < 2 * NS
    assert fast.wall_ns() - wall > 500 * real_spent
