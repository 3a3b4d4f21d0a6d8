"""One decision of the sampling MPC on an int8 twin: 64 candidates × 10 steps, dense 48-64-64-16.

The whole decision is timed: reading its 44 inputs, sampling, ten steps of the model, costs, bounds, envelope. Beside
it the ten bare runs of the same network through LiteRT's own interface, which no sampling can do without.
"""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from aggregator.learning.bundling import Linear, Residual, make
from aggregator.learning.flatbuffer import Dense
from edge_agent.cell import ControllerSpec
from edge_agent.control.mpc import Mpc
from edge_agent.image import View
from edge_agent.setpoint import Standing
from edge_agent.twin.forecast import Forecast
from edge_agent.twin.predictor import TwinPredictor
from protos.bundle import Bundle
from protos.clock import NS
from protos.model import Manifest, Variable
from tests.bench import Figure
from tests.bench.one_core import alone
from tests.edge.control.wiring import Wires, output
from tests.simulators.bundles import signing_key

N, M, MOVED = 16, 32, 4  # states, inputs, and how many of these the MPC moves
CANDIDATES, HORIZON = 64, 10
GOAL_MS = 1.0
TICKS = {"full": 5_000, "ci": 1_000}
PERIOD_NS = NS // 10


def bundle() -> Bundle:
    """Sixteen coupled stores that leak into each other, fed by 32 inputs, and a residual network on top."""
    random = np.random.default_rng(11)
    a = 0.97 * np.eye(N) + 0.01 * np.roll(np.eye(N), 1, axis=1)
    linear = Linear(
        A=a,
        B=np.where(np.arange(M) < MOVED, 0.01, 0.0005) * random.random((N, M)),
        H=np.eye(N),
        Q=1e-4 * np.eye(N),
        R=1e-4 * np.eye(N),
        x0=np.full(N, 2.0),
        u0=np.full(M, 50.0),
        f0=np.full(N, 2.0),
        y0=np.full(N, 2.0),
        x_low=np.zeros(N),
        x_high=np.full(N, 10.0),
        u_sd=np.full(M, 10.0),
    )
    states = tuple(f"x{number}" for number in range(N))
    inputs = tuple(f"u{number}" for number in range(M))
    widths = (N + M, 64, 64, N)
    layers = tuple(
        Dense(
            random.normal(0, 1 / np.sqrt(wide), (high, wide)),
            random.normal(0, 0.1, high),
            0.0 if high == 64 else -3.0,
            6.0 if high == 64 else 3.0,
            relu=high == 64,
        )
        for wide, high in pairwise(widths)
    )
    residual = Residual(
        features=(*states, *inputs),
        targets=states,
        layers=layers,
        z_mean=np.concatenate((np.full(N, 2.0), np.full(M, 50.0))),
        z_sd=np.concatenate((np.full(N, 1.0), np.full(M, 25.0))),
        z_low=np.concatenate((np.zeros(N), np.zeros(M))),
        z_high=np.concatenate((np.full(N, 5.0), np.full(M, 100.0))),
        r_mean=np.zeros(N),
        r_sd=np.full(N, 1e-3),
        Q=1e-4 * np.eye(N),
    )
    manifest = Manifest(
        name="stores",
        version="1",
        asset_class="stores",
        period_ns=PERIOD_NS,
        states=tuple(Variable.of(name, "water_level") for name in states),
        channels=tuple(Variable.of(name, "water_level") for name in states),
        inputs=tuple(Variable.of(name, "pump_speed") for name in inputs),
        made_at="2026-01-01T00:00:00Z",
    )
    key = signing_key()
    return Bundle.open(make(manifest, linear, residual, card="# Stores\n", keys=[key]), [key.public_key()])


def controller(model: TwinPredictor) -> tuple[Mpc, list[str]]:
    moved = model.inputs[:MOVED]
    points = [*model.states, *model.inputs[MOVED:]]
    spec = ControllerSpec(
        "it",
        "mpc",
        {name: f"plant/{name}" for name in points},
        {name: name for name in moved},
        {
            "twin": "stores",
            "references": tuple(f"x{number} = 2.5" for number in range(N)),
            "bounds": tuple(f"x{number} = 0.5..3.5" for number in range(N)),
            "moves": tuple(f"{name} = 0.001" for name in moved),
            "rule": tuple(f"{name} = 50 - 10 * (x{number} - 2.5)" for number, name in enumerate(moved)),
            "candidates": CANDIDATES,
            "horizon": HORIZON,
        },
    )
    wires = Wires(
        [f"plant/{name}" for name in points],
        [output(name) for name in moved],
        period_ns=PERIOD_NS,
        predictors={"stores": model},
    )
    found = Mpc.build(spec, wires)
    if found is None:
        raise RuntimeError("\n".join(wires.faults))
    return found, points


def bare(content: bytes, ticks: int) -> Callable[[], float]:
    """Ten runs of the network alone, 64 rows at once, with LiteRT's own set and get; seconds."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    into, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(into, [CANDIDATES, N + M])
    interpreter.allocate_tensors()
    z = np.random.default_rng(3).integers(-128, 128, (CANDIDATES, N + M), np.int8)

    def once() -> float:
        begun = time.perf_counter()
        for _ in range(HORIZON):
            interpreter.set_tensor(into, z)
            interpreter.invoke()
            interpreter.get_tensor(out)
        return time.perf_counter() - begun

    return once


def run(scale: str) -> Iterator[Figure]:
    """On one core, as a gateway's loop runs it: numpy's own threads would only wait for each other."""
    yield from alone("tests.bench.mpc", scale)


def figures(scale: str) -> Iterator[Figure]:
    made = bundle()
    model = TwinPredictor(made)
    mpc, points = controller(model)
    plant = Forecast(made, 1)
    partner = bare(made.network or b"", TICKS[scale])
    random = np.random.default_rng(7)
    x, u = np.full(N, 1.5), np.full(M, 50.0)
    spent, cpu, bares = list[float](), list[float](), list[float]()
    codes, ages = np.zeros(len(points), np.uint8), np.zeros(len(points), np.int64)
    for tick in range(TICKS[scale]):
        view = View(tick * PERIOD_NS, np.concatenate((x, u[MOVED:])), codes, ages)
        standing = [Standing(u[number], 0.0, 100.0, "it") for number in range(MOVED)]
        worked = time.thread_time()  # a call into the kernel: not within what is timed
        begun = time.perf_counter()
        wishes = mpc.decide(view, standing)
        spent.append(time.perf_counter() - begun)
        cpu.append(time.thread_time() - worked)
        if tick % 100 == 0:  # now and then, not between all decisions: they would compute from cold caches
            bares.extend(partner() for _ in range(10))
        u[:MOVED] = [wish.low for wish in wishes]
        u[MOVED:] = np.clip(u[MOVED:] + random.normal(0, 1, M - MOVED), 20, 80)
        x = plant(x[None], u[None])[0] + random.normal(0, 0.005, N)
    times = 1e3 * np.array(spent[20:])
    figure = float(np.median(times))
    beside = {
        "p99_ms": round(float(np.percentile(times, 99)), 3),
        "cpu_ms": round(1e3 * float(np.median(cpu[20:])), 3),
        "bare_ten_runs_ms": round(1e3 * float(np.median(bares)), 3),
        "squared_error_at_the_end": round(float(np.mean((x[:MOVED] - 2.5) ** 2)), 4),
        "excursions": mpc.excursions_total,
    }
    yield Figure("mpc", round(figure, 3), "ms for one decision, median", "≤ 1 ms", figure <= GOAL_MS, beside)
