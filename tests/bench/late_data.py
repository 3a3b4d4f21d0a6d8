"""An hour of one gateway's readings comes an hour late: the city's state is taken back and everything is fused again.

10,000 states, 5,000 channels on 100 gateways, steps of a minute. Then in any order: the same readings shuffled,
doubled and cut into batches, against all of them in order.
"""

import time
from collections.abc import Iterator

import numpy as np

from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Fuser, Settings
from aggregator.twin.measurement import Meas
from tests.bench import Figure
from tests.bench.fuse import RADIUS, city, readings
from tests.bench.one_core import alone

STATES, OBSERVATIONS, HOUR = 10_000, 5_000, 60
GATEWAY = 42
ORDERS = {"ci": 1, "full": 3}


def hour(states: int, observations: int) -> tuple[Fuser, Meas]:
    """A fuser at step 0, and all readings of the hour."""
    model = city(states, observations)
    noise = np.random.default_rng(3)
    truth, parts = noise.standard_normal(model.n), []
    for k in range(1, HOUR + 1):
        truth = model.f(truth, model.exogenous(k), k) + model.q * noise.standard_normal(model.n)
        parts.append(readings(model, truth, k))
    return Fuser(model, Ensemble(RADIUS), 0, Settings(lag=HOUR, ahead=HOUR)), Meas.joined(parts)


def fresh(like: Fuser) -> Fuser:
    return Fuser(like.model, like.scheme, 0, like.settings)


def replay() -> Figure:
    fuser, meas = hour(STATES, OBSERVATIONS)
    late = meas.gateway == GATEWAY
    fuser.ingest(meas.take(~late))
    fuser.advance(HOUR)
    begun = time.process_time(), time.perf_counter()
    receipt = fuser.ingest(meas.take(late))
    cpu, wall = time.process_time() - begun[0], time.perf_counter() - begun[1]
    expected = fresh(fuser)
    expected.ingest(meas)
    expected.advance(HOUR)
    same = fuser.belief().digest() == expected.belief().digest()
    return Figure(
        "late-data",
        round(cpu, 3),
        f"s to fuse 1 h of late data of one gateway again, {STATES:,} states, {OBSERVATIONS:,} observations per step",
        "≤ 2 s, and the state as if nothing had been late",
        cpu <= 2.0 and same and receipt.replayed == HOUR,
        {"wall_s": round(wall, 3), "replayed": receipt.replayed, "late": receipt.late, "same": float(same)},
    )


def orders(count: int) -> Figure:
    """A tenth of the size: any order replays many times."""
    like, meas = hour(STATES // 10, OBSERVATIONS // 10)
    expected = fresh(like)
    expected.ingest(meas)
    expected.advance(HOUR)
    worst = 0.0
    replayed = 0
    for seed in range(count):
        noise = np.random.default_rng(seed)
        fuser = fresh(like)
        places = noise.permutation(np.concatenate([np.arange(len(meas)), noise.integers(0, len(meas), len(meas) // 3)]))
        for k, part in enumerate(np.array_split(places, HOUR), 1):
            fuser.ingest(meas.take(part))
            fuser.advance(k)
        mine, other = fuser.belief(), expected.belief()
        worst = max(worst, float(np.abs(mine.x - other.x).max()), float(np.abs(mine.A - other.A).max()))
        replayed += fuser.counts.replayed
    return Figure(
        "late-data",
        worst,
        f"largest difference of any state or anomaly, {count} shuffled and doubled deliveries against in order",
        "≤ 1e-12",
        worst <= 1e-12,
        {"replayed_steps": replayed},
    )


def figures(scale: str) -> Iterator[Figure]:
    yield replay()
    yield orders(ORDERS[scale])


def run(scale: str) -> Iterator[Figure]:
    yield from alone("tests.bench.late_data", scale)
