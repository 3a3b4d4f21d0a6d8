"""`int8-step`: one step of an int8 network through Python, alone and in a batch of 64; bare LiteRT beside it.

The network is dense 48-64-64-16 on the features of a twin of 16 states and 32 inputs. A step takes features in single
precision, as the twin's matrix gives them, clamps and quantises them, runs the network and gives int8 residuals, all
as the twin does it. Bare are set_tensor, invoke and get_tensor with int8 arrays that are ready. `forecast` beside is
all of a twin's step: deviations, the linear part, the network, the residual on the state. Rounds alternate; of each
the quickest counts, which is what remains where other work shares the machine.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge_agent.twin.forecast import Forecast
from edge_agent.twin.int8 import SHIFT, Network
from protos.bundle import Bundle
from tests.bench import Figure
from tests.simulators.bundles import signing_key
from tests.simulators.dense import dense_bundle

WIDTHS = (48, 64, 64, 16)
BATCH = 64
ALONE_MAX, SHARE_MAX = 1.3, 0.15
REPEATS = 50
ROUNDS = {"full": 2000, "ci": 500}


def quickest(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Microseconds of each call in its quickest round."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter_ns()
            for _ in range(REPEATS):
                call()
            best[name] = min(best[name], (time.perf_counter_ns() - begun) / REPEATS / 1000)
    return best


def bare(content: bytes, rows: int) -> Callable[[], object]:
    interpreter = Interpreter(model_content=content, num_threads=1)
    into, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(into, [rows, WIDTHS[0]])
    interpreter.allocate_tensors()
    z = np.random.default_rng(rows).integers(-127, 128, (rows, WIDTHS[0])).astype(np.int8)

    def step() -> object:
        interpreter.set_tensor(into, z)
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return step


def calls_of(bundle: Bundle, rows: int) -> dict[str, Callable[[], object]]:
    assert bundle.network is not None
    network, forecast = Network(bundle.network, rows), Forecast(bundle, rows)
    random = np.random.default_rng(rows)
    features = (random.normal(0, 40, (rows, WIDTHS[0])) + SHIFT).astype(np.float32)
    x, u = random.normal(0, 1, (rows, forecast.n)), random.normal(0, 1, (rows, forecast.m))
    return {
        f"step {rows}": partial(network.run, features),
        f"bare {rows}": bare(bundle.network, rows),
        f"forecast {rows}": partial(forecast, x, u),
    }


def run(scale: str) -> Iterator[Figure]:
    bundle = Bundle.open(dense_bundle(WIDTHS), [signing_key().public_key()])
    took = quickest(calls_of(bundle, 1) | calls_of(bundle, BATCH), ROUNDS[scale])
    alone, share = took["step 1"] / took["bare 1"], took[f"step {BATCH}"] / BATCH / took["bare 1"]
    yield Figure("int8-step", alone, "× bare", f"≤ {ALONE_MAX:g}", alone <= ALONE_MAX, rounded(took, "1"))
    beside = rounded(took, str(BATCH)) | {"bare share": took[f"bare {BATCH}"] / BATCH / took["bare 1"]}
    yield Figure("int8-step batch", share, "× bare, per twin", f"≤ {SHARE_MAX:g}", share <= SHARE_MAX, beside)


def rounded(took: Mapping[str, float], rows: str) -> dict[str, float]:
    return {f"{name} µs": round(value, 3) for name, value in took.items() if name.endswith(f" {rows}")}
