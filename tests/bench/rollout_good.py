"""Pumps wear, the twins no longer fit; what is learned anew from history reaches every gateway through the waves.

Real gateways on real Modbus tanks, a real aggregator. The model is least squares on the first part of what the history
holds since the wear; its free run is judged on the rest. Control and estimates go on all the while. Beside: the free
run of the model as designed, and NIS before the wear, after it, and with the new model.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from aggregator.rollout.plan import State
from tests.bench import Figure
from tests.bench.rollout_town import BAND_M, bundle, designed, free_run, identified, served, town

WEAR = "wear 0.6"
SETTLE_S, LEARN_S, NIS_S = 15.0, 45.0, 10.0
SHARE = 0.6  # of the history is learned from, the rest judges
GOAL = "free-run error −30 % at least, and every gateway has it in service"


def run(scale: str) -> Iterator[Figure]:
    gateways = 3 if scale == "ci" else 6
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, town(Path(folder), gateways) as found:
        served(found)
        found.worst()
        fitted = found.nis(NIS_S)
        found.plant(WEAR)
        found.live(SETTLE_S)
        worn = found.nis(NIS_S)
        found.live(LEARN_S)
        history = list(found.history(int(NIS_S + LEARN_S)).values())
        cuts = [int(SHARE * len(one)) for one in history]
        model = identified([one[:cut] for one, cut in zip(history, cuts, strict=True)])
        errors = {
            name: float(np.mean([free_run(one, h[cut:]) for h, cut in zip(history, cuts, strict=True)]))
            for name, one in (("before", designed()), ("after", model))
        }
        data = bundle(model, "2")
        rolled = time.monotonic()
        one = found.until(found.roll(data, "retrained"), State.DONE, State.ABORTED, State.PAUSED)
        seconds = time.monotonic() - rolled
        everywhere = one.state is State.DONE and found.digests() == {one.digest}
        again, worst = found.nis(NIS_S), found.worst()
    cut = 100 * (1 - errors["after"] / errors["before"])
    yield Figure(
        "rollout-good",
        round(cut, 1),
        "% less free-run error, in service everywhere",
        GOAL,
        cut >= 30 and everywhere and worn > 2 * fitted,
        {
            "gateways": gateways,
            "free run before mm": round(1000 * errors["before"], 1),
            "free run after mm": round(1000 * errors["after"], 1),
            "NIS fitted": round(fitted, 2),
            "NIS worn": round(worn, 1),
            "NIS retrained": round(again, 2),
            "rollout s": round(seconds, 1),
            "settled level off by at most mm": round(1000 * worst, 1),
            "band mm": 1000 * BAND_M,
        },
        round(time.monotonic() - begun, 1),
    )
