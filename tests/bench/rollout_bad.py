"""Models that were signed and are poison: caught in the shadow or at the first who act, back everywhere within 60 s.

Two poisons. `turned` thinks that a pump empties the tank and believes itself more than the sensor: seen in its shadow,
by its residuals. `shifted` sees every level a little too low and then fits what it is shown to the millimetre; its
gateways take everything, so that only the rollout is left to see what the loops make of it, by the control KPI.
`caught` is the time from a rollout's begin to the decision, `back` from there until no gateway has any of it. Beside,
the negative control: neither gateways nor rollout have gates, the first poison must reach everyone and drive the
levels out of their band.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aggregator.learning.bundling import Linear
from aggregator.rollout.plan import State
from tests.bench import Figure
from tests.bench.rollout_town import BAND_M, PERIOD_S, Town, bundle, linear, served, town
from tests.simulators.worn_tank import DRAIN, LIFT

BASELINE_S = 20.0  # of normal life: what the control KPI is when all is well
NAKED_S = 150.0  # the negative control: by then the poison has done what it does
BIAS_M = 0.08  # that the second poison sees a level too low
WITHIN_S = 60.0
GOAL = "back everywhere ≤ 60 s, the KPI always in its band; without gates it leaves it"


def turned() -> Linear:
    return linear(1 - PERIOD_S * DRAIN / 2, -PERIOD_S * LIFT, 1.0, q=1e-8, r=1e-2)


def shifted() -> Linear:
    return linear(1 - PERIOD_S * DRAIN / 2, PERIOD_S * LIFT, 1.0 - PERIOD_S * DRAIN / 2 * BIAS_M, y0=1.0 + BIAS_M)


def caught(found: Town, model: Linear, name: str) -> dict[str, float]:
    """Roll it out until it is back everywhere; seconds, and how far a settled level was off."""
    found.worst()
    begun = time.monotonic()
    rollout = found.roll(bundle(model, name), name)
    one = found.until(rollout, State.ABORTING, State.ABORTED, State.DONE, State.PAUSED)
    decided = time.monotonic()
    one = found.until(rollout, State.ABORTED, State.DONE, State.PAUSED)
    back = time.monotonic()
    left = one.digest in found.digests()
    return {
        f"{name} caught s": round(decided - begun, 1),
        f"{name} back s": round(back - decided, 1),
        f"{name} wave": float(one.wave),
        f"{name} left": float(left or one.state is not State.ABORTED),
        f"{name} worst mm": round(1000 * found.worst(), 1),
    }


def alone(gateways: int, model: Linear, name: str, *, careful: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, town(Path(folder), gateways, careful=careful) as found:
        served(found)
        found.live(BASELINE_S)
        return caught(found, model, name)


def naked(gateways: int) -> dict[str, float]:
    """The negative control."""
    with tempfile.TemporaryDirectory() as folder, town(Path(folder), gateways, careful=False, gates=False) as found:
        served(found)
        found.worst()
        rollout = found.roll(bundle(turned(), "turned"), "turned")
        one = found.until(rollout, State.DONE, State.ABORTED, State.PAUSED, seconds=NAKED_S)
        found.live(10)
        reached = sum(told.current == one.digest for told in found.told().values())
        return {"without gates: reached": float(reached), "without gates: worst mm": round(1000 * found.worst(), 1)}


def run(scale: str) -> Iterator[Figure]:
    gateways = 3 if scale == "ci" else 6
    begun = time.monotonic()
    first = alone(gateways, turned(), "turned", careful=True)
    second = alone(gateways, shifted(), "shifted", careful=False)
    control = naked(3)
    beside = {"gateways": float(gateways), **first, **second, **control, "band mm": 1000 * BAND_M}
    back = max(beside["turned back s"], beside["shifted back s"])
    worst = max(beside["turned worst mm"], beside["shifted worst mm"])
    good = not beside["turned left"] and not beside["shifted left"] and beside["shifted wave"] <= 1
    fails = control["without gates: reached"] == 3 and control["without gates: worst mm"] > 1000 * BAND_M
    yield Figure(
        "rollout-bad",
        back,
        "s from the decision until no gateway has it",
        GOAL,
        good and back <= WITHIN_S and worst <= 1000 * BAND_M and fails,
        beside,
        round(time.monotonic() - begun, 1),
    )
