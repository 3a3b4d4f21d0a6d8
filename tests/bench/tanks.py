"""Cascaded Tanks (nonlinearbenchmark.org) in free run: what the gate chooses of physics, linear twins and a network.

Everything is decided on the first record: its first 70 % to learn from, the rest for the gate. The second record is
looked at once, with what the gate chose. It begins in the state of the first record (the description of the benchmark
says so), so a physical model takes its unmeasured level from there; a linear twin runs its filter for 5 samples.
"""

import csv
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from aggregator.learning.freerun import Int8Network, run_free, runs_of
from aggregator.learning.identify import Plant, Scaling, calibrated, lagged, subspace
from aggregator.learning.stretch import Stretch
from aggregator.learning.terms import Terms
from tests.bench import Figure

Floats = npt.NDArray[np.float64]

GOAL = "free-run RMSE ≤ 0.50 V, ≤ 100 parameters"
LEARN = 0.7
WARM = 5
FULL_V = 10.0  # where the sensor ends, and the tanks overflow
STARTS = 6  # of the physical fit


def records() -> tuple[Stretch, Stretch] | None:
    folder = Path(os.environ.get("CITYTWIN_DATA", "/work/shared/data"))
    file = folder / "sysid" / "cascaded_tanks_dataBenchmark.csv"
    if not file.exists():
        return None
    with file.open() as lines:
        rows = list(csv.DictReader(lines))
    columns = {name: np.array([float(row[name]) for row in rows])[:, None] for name in ("uEst", "yEst", "uVal", "yVal")}
    return Stretch("est", 0, columns["yEst"], columns["uEst"]), Stretch("val", 0, columns["yVal"], columns["uVal"])


def flow(theta: Floats, u: Floats) -> Floats:
    """y (N,): two tanks after Bernoulli, the upper spills into the lower and beside it when it is full.

    x₁⁺ = x₁ − k₁ √x₁ + k₄ u (+ c),  x₂⁺ = x₂ + k₂ √x₁ − k₃ √x₂ + k₅ · spill: Schoukens and Noël, "Three benchmarks
    addressing open challenges in nonlinear system identification", IFAC-PapersOnLine 50 (2017) 446–451.
    """
    k1, k2, k3, k4, k5, c, upper, x1, x2, offset = theta
    found = np.empty(len(u))
    for k, one in enumerate(u):
        found[k] = min(x2 + offset, FULL_V)
        root1, root2 = max(x1, 0.0) ** 0.5, max(x2, 0.0) ** 0.5
        x1 = x1 - k1 * root1 + k4 * one + c
        spill = max(x1 - upper, 0.0)
        x1 = min(x1, upper)
        x2 = min(x2 + k2 * root1 - k3 * root2 + k5 * spill, FULL_V)
    return found


def physics(one: Stretch) -> Callable[[Stretch], Floats]:
    """Fitted to the whole of `one` in free run, from a few starts; also where the tanks began."""
    chance = np.random.default_rng(1)
    u, y = one.u[:, 0], one.y[:, 0]
    best, least = None, np.inf

    def missed(theta: Floats) -> Floats:
        return np.nan_to_num(flow(theta, u) - y, nan=99.0)

    for _ in range(STARTS):
        start = np.array([0.2, 0.2, 0.2, 0.1, 0.5, 0.0, 10.0, y[0], y[0], 0.0]) * chance.uniform(0.5, 1.5, 10)
        found = least_squares(missed, start, max_nfev=60, loss="soft_l1")
        if found.cost < least:
            best, least = found.x, found.cost
    assert best is not None
    return lambda other: flow(best, other.u[:, 0])[:, None]


def rmse(found: Floats, wanted: Floats) -> float:
    return float(np.sqrt(np.mean((found - wanted) ** 2)))


def linear_free(plant: Plant, one: Stretch, network: Int8Network | None = None) -> Floats:
    """ŷ of the whole record: the first WARM samples are filtered, the rest is free."""
    runs = runs_of(plant.linear, [one], len(one) - WARM - 1, WARM)
    return np.concatenate((one.y[: WARM + 1], run_free(plant.linear, runs, network)[0]))


def network_of(plant: Plant, learn: Stretch, gate: Stretch, scaling: Scaling) -> Int8Network:
    """On the residual of the linear twin, stopped early on the last fifth of what it may learn from."""
    from aggregator.learning.training import Question, Rollout, Training

    names = [f"x{k}" for k in range(len(plant.linear.x0))], ["u"]
    question = Question(plant, *names)
    cut = round(0.8 * len(learn))
    early, late = learn.cut(0, cut), learn.cut(cut, len(learn))
    question.learn_scales([early])
    runs = [runs_of(plant.linear, [part], 60, WARM) for part in (early, late)]
    learning, watching = (Rollout(plant.linear, question, one, scaling.y_sd) for one in runs)
    terms = Terms(hidden=(32, 32), epochs=40, aware_epochs=10)
    with TemporaryDirectory() as folder:
        done = Training(terms, question, learning, watching, Path(folder) / "training", lambda *_: None).run()
    return Int8Network(done.candidates[-1][1], *names)


def run(scale: str) -> Iterator[Figure]:
    both = records()
    if both is None:
        yield Figure("tanks", 0.0, "the file is not in CITYTWIN_DATA", GOAL, ok=False)
        return
    first, second = both
    begun = time.process_time()
    cut = round(LEARN * len(first))
    learn = first.cut(0, cut)
    gates: dict[str, float] = {}
    answers: dict[str, tuple[int, Callable[[Stretch], Floats]]] = {}
    scaling = Scaling.of([learn])
    plants = [lagged([learn], lags, scaling) for lags in range(4)] + [subspace([learn], n, scaling) for n in (1, 2, 3)]
    for plant in [calibrated(one, [learn]) for one in plants]:
        answers[plant.kind] = plant.numbers, partial(linear_free, plant)
    answers["physics"] = 10, physics(learn)
    for name, (_, answer) in answers.items():
        gates[name] = rmse(answer(first)[cut:], first.y[cut:])
    best = min((one for one in plants), key=lambda one: gates[one.kind])
    if find_spec("torch") is not None:
        plant = calibrated(best, [learn])
        network = network_of(plant, learn, first, scaling)
        weights = sum(one.weights.size + one.bias.size for one in network.residual.layers)
        answers["network"] = weights + plant.numbers, lambda one: linear_free(plant, one, network)
        gates["network"] = rmse(answers["network"][1](first)[cut:], first.y[cut:])
    chosen = min(gates, key=lambda name: gates[name])
    numbers, answer = answers[chosen]
    error = rmse(answer(second), second.y)
    beside = {f"gate {name}": round(value, 3) for name, value in gates.items()}
    beside |= {f"test {name}": round(rmse(one(second), second.y), 3) for name, (_, one) in answers.items()}
    beside |= {"parameters": numbers, "cpu_s": round(time.process_time() - begun, 1)}
    yield Figure(
        "tanks", round(error, 3), f"V, {chosen}, as the gate chose", GOAL, error <= 0.5 and numbers <= 100, beside
    )
