"""int8 against floating point of residual networks, trained here: free run on held-out time, size of the file.

The plants are the tests' own; needs PyTorch. The float file is written by the same writer, with 32-bit numbers.
"""

import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from aggregator.learning.flatbuffer import write_float
from aggregator.learning.freerun import FloatNetwork, Int8Network, judged, run_free, runs_of
from aggregator.learning.identify import Scaling, calibrated, lagged
from aggregator.learning.stretch import divide
from aggregator.learning.terms import Terms
from tests.aggregator.learning.plants import draining_tank
from tests.bench import Figure

GOAL = "free run of int8 within 2 % of float; int8 file ≤ 40 % of the float file"
HORIZON, WARM = 20, 20
STEPS = {"ci": 2_000, "full": 6_000}
EPOCHS = {"ci": 12, "full": 100}
KINDS = {"dense": 0, "conv1d": 2}  # lags


def run(scale: str) -> Iterator[Figure]:
    if find_spec("torch") is None:
        yield Figure("int8-parity", 0.0, "PyTorch is not installed (extra train)", GOAL, ok=False)
        return
    from aggregator.learning.training import Question, Rollout, Training

    for kind, lags in KINDS.items():
        begun = time.process_time()
        parts = divide([draining_tank(STEPS[scale], noise=0.0005)], HORIZON, HORIZON + WARM + 1)
        scaling = Scaling.of(parts.train)
        plant = calibrated(lagged(parts.train, lags, scaling), parts.train)
        names = [f"x{k}" for k in range(len(plant.linear.x0))], ["speed"]
        question = Question(plant, *names)
        question.learn_scales(parts.train)
        train, validate, test = (
            runs_of(plant.linear, one, HORIZON, WARM) for one in (parts.train, parts.validate, parts.test)
        )
        learn, watch = (Rollout(plant.linear, question, one, scaling.y_sd) for one in (train, validate))
        terms = Terms(kind=kind, hidden=(64, 64), epochs=EPOCHS[scale], aware_epochs=EPOCHS[scale] // 2, rate=1e-2)
        with TemporaryDirectory() as folder:
            done = Training(terms, question, learn, watch, Path(folder) / "training", lambda *_: None).run()
        for title, residual in done.candidates:
            small = Int8Network(residual, *names)
            real = judged(run_free(plant.linear, test, FloatNetwork(residual, *names)), test)
            errors = judged(run_free(plant.linear, test, small), test)
            off = errors.total(scaling.y_sd) / real.total(scaling.y_sd) - 1
            share = len(small.content) / len(write_float(residual.layers))
            beside = {
                "file_share": round(share, 3),
                "int8_bytes": len(small.content),
                "float_mm": round(1000 * float(real.free[0]), 3),
                "linear_mm": round(1000 * float(judged(run_free(plant.linear, test), test).free[0]), 3),
                "cpu_s": round(time.process_time() - begun, 1),
            }
            unit = f"% further astray than float: {kind}, {title}"
            yield Figure("int8-parity", round(100 * off, 2), unit, GOAL, off <= 0.02 and share <= 0.4, beside)
