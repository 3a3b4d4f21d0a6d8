"""Scenarios in processes of their own: their end is told, their number is limited, they can be cancelled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.api.laboratory import KEPT_MAX, RUNNING_MAX, TEXT_MAX, Laboratory, Run
from aggregator.api.problem import Conflict, Invalid, TooMany, Unknown

WAIT_S = 60.0


@pytest.fixture
async def laboratory(tmp_path: Path) -> AsyncIterator[Laboratory]:
    one = Laboratory(tmp_path / "aggregator.toml")  # there is none: each run ends with that
    yield one
    await one.close()


async def test_what_went_wrong_is_told(laboratory: Laboratory) -> None:
    run = laboratory.start("storm", "[scenario]\n", "mei", 1)
    assert (run.state, run.who) == ("running", "mei")
    assert run.task is not None
    await asyncio.wait_for(run.task, WAIT_S)
    assert run.state == "failed"
    assert "aggregator init" in run.error


async def test_only_so_many_at_once(laboratory: Laboratory) -> None:
    for number in range(RUNNING_MAX):
        laboratory.start(str(number), "", "mei", 1)
    with pytest.raises(TooMany):
        laboratory.start("one more", "", "mei", 1)


async def test_a_run_is_cancelled_once(laboratory: Laboratory) -> None:
    run = laboratory.start("storm", "", "mei", 1)
    assert laboratory.cancel(run.id).state == "cancelled"
    with pytest.raises(Conflict):
        laboratory.cancel(run.id)
    with pytest.raises(Unknown):
        laboratory.cancel("nothing")


async def test_limits(laboratory: Laboratory) -> None:
    with pytest.raises(Invalid):
        laboratory.start("long", "x" * (TEXT_MAX + 1), "mei", 1)
    for number in range(KEPT_MAX):
        laboratory.runs[str(number)] = Run(str(number), "old", "mei", 1, state="done")
    laboratory.start("storm", "", "mei", 1)
    assert len(laboratory.runs) == KEPT_MAX
