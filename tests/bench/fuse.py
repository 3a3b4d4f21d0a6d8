"""One step of the city's state, forecast and analysis, on one core: 50 localised members, and the mean alone to 10⁶.

A city of streets (degree 3, lengths 0.5 to 1.5), readings at random crossings, radius 8: each reaches about 65 states.
The figure is the processor's time, which is the step's own whatever else the machine does; wall time stands beside.
Beside it the same in plain numpy, and a dense Kalman filter of other hands where it still is an answer.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from filterpy.kalman import KalmanFilter

from aggregator.twin.belief import Belief
from aggregator.twin.ensemble import Ensemble
from aggregator.twin.fuser import Scheme
from aggregator.twin.measurement import Meas
from aggregator.twin.observation import observe
from aggregator.twin.sparse import MeanOnly
from tests.aggregator.twin.domains import Diffusion, streets
from tests.bench import Figure
from tests.bench.one_core import alone

RADIUS, LENGTH, SD = 8.0, 2.0, 0.3
GOALS = {10_000: (5_000, 25.0), 100_000: (20_000, 500.0)}  # states → observations, ms
MEAN_ONLY = {"ci": (10_000, 100_000), "full": (10_000, 100_000, 1_000_000)}
DENSE = 500  # states of the dense filter; it grows with their cube


def city(states: int, observations: int) -> Diffusion:
    side = round(states**0.5)
    observed = np.sort(np.random.default_rng(1).choice(side**2, observations, replace=False))
    return Diffusion(side**2, observed, graph=streets(side), c=0.1, q=0.3)


def readings(model: Diffusion, truth: np.ndarray, k: int) -> Meas:
    m = len(model.observed)
    y = truth[model.observed] + SD * np.random.default_rng([2, k]).standard_normal(m)
    return Meas.of(
        t_ns=k * model.dt_ns, gateway=np.arange(m) // 50, epoch=1, sequence=k, channel=np.arange(m), y=y, var=SD**2
    )


def steps(model: Diffusion, scheme: Scheme, count: int) -> tuple[list[float], list[float], float]:
    """Processor and wall ms of each step but the first (which compiles), and the RMSE of the last."""
    noise = np.random.default_rng(3)
    truth, belief = noise.standard_normal(model.n), scheme.begin(model.prior(0))
    cpu, wall, everything = [], [], np.ones(len(model.observed))
    for k in range(1, count + 2):
        truth = model.f(truth, model.exogenous(k), k) + model.q * noise.standard_normal(model.n)
        meas = readings(model, truth, k)
        begun = time.process_time(), time.perf_counter()
        prior = scheme.forecast(model, belief, k, 1.0)
        belief, _ = scheme.analyse(model, prior, observe(model, prior.x, meas, k, everything))
        cpu.append(1e3 * (time.process_time() - begun[0]))
        wall.append(1e3 * (time.perf_counter() - begun[1]))
    return cpu[1:], wall[1:], rmse(belief, truth)


def rmse(belief: Belief, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((belief.x - truth) ** 2)))


def took(work: Callable[[], object], times: int) -> float:
    """Median processor ms of `work`."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append(1e3 * (time.process_time() - begun))
    return float(np.median(found))


def dense() -> float:
    """ms of predict and update of `filterpy` at DENSE states, half of them observed."""
    other = KalmanFilter(dim_x=DENSE, dim_z=DENSE // 2)
    other.H = np.eye(DENSE)[::2]

    def both() -> None:
        other.predict()
        other.update(np.zeros(DENSE // 2))

    return took(both, 5)


def localised(scale: str) -> Iterator[Figure]:
    beside = {f"dense_{DENSE}_states_ms": round(dense(), 1)}
    for states, (observations, goal) in GOALS.items():
        model = city(states, observations)
        scheme = Ensemble(RADIUS)
        begun = time.process_time()
        near = scheme.near(model)
        setup = time.process_time() - begun
        cpu, wall, error = steps(model, scheme, 15 if states == 10_000 else 7)
        plain = replace(scheme, compiled=False)
        slow = [] if scale == "ci" else steps(model, plain, 1)[0]
        yield Figure(
            "fuse",
            round(float(np.median(cpu)), 1),
            f"ms per step, {states:,} states, {observations:,} observations, 50 members",
            f"≤ {goal:g} ms on one core",
            bool(np.median(cpu) <= goal),
            {
                "wall_ms": round(float(np.median(wall)), 1),
                "rmse": round(error, 3),
                "reach": round(len(near.state) / observations, 1),
                "setup_s": round(setup, 2),
                **({"numpy_ms": round(slow[0], 1)} if slow else {}),
                **beside,
            },
        )


def growth(scale: str) -> Iterator[Figure]:
    """Mean only: a fifth of the states observed. Expected: as the states, no faster."""
    found: dict[int, float] = {}
    for states in MEAN_ONLY[scale]:
        model = city(states, states // 5)
        scheme = MeanOnly(LENGTH)
        scheme.precision(model)
        cpu, wall, error = steps(model, scheme, 5)
        found[states] = float(np.median(cpu))
        per_state = found[states] / states / (found[min(found)] / min(found))
        yield Figure(
            "fuse",
            round(found[states], 1),
            f"ms per step, {states:,} states, {states // 5:,} observations, mean only",
            "grows no faster than twice the number of states",
            per_state <= 2.0,
            {"wall_ms": round(float(np.median(wall)), 1), "rmse": round(error, 3), "per_state": round(per_state, 2)},
        )


def worth() -> Figure:
    """Negative control: the same ensemble without localisation."""
    model = replace(city(2_500, 1_250), a=0.995, q=0.1)  # slow: what was learned long ago still counts
    with_it, without = (steps(model, Ensemble(radius), 20)[2] for radius in (RADIUS, np.inf))
    return Figure(
        "fuse",
        round(with_it, 3),
        "RMSE of 2,500 states with localisation (negative control: without)",
        "at most two thirds of that without",
        with_it < without * 2 / 3,
        {"without": round(without, 3), "sensor": SD},
    )


def figures(scale: str) -> Iterator[Figure]:
    yield from localised(scale)
    yield from growth(scale)
    yield worth()


def run(scale: str) -> Iterator[Figure]:
    yield from alone("tests.bench.fuse", scale)
