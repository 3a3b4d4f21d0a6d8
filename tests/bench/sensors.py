"""The sensor matrix: every registered kind of controller × every input × every way that a sensor fails.

Each trial runs through the real cleaning and image; it counts when the controller did what its FALLBACK declares.
Beside it, the same matrix with controllers that look at values only, whatever their quality and age.
"""

import time
from collections.abc import Iterator

from edge_agent.control import CONTROLLERS
from tests.bench import Figure
from tests.edge.control.matrix import faults_of, misbehaviour
from tests.edge.control.scenes import SCENES, cases
from tests.edge.control.test_every_controller import Careless


def run(scale: str) -> Iterator[Figure]:
    if missing := CONTROLLERS.keys() - SCENES.keys():
        raise RuntimeError(f"no scene for {', '.join(sorted(missing))}")
    begun = time.perf_counter()
    trials = [(kind, role, fault) for kind, role in cases() for fault in faults_of(kind, role)]
    wrong = {trial: found for trial in trials if (found := misbehaviour(*trial))}
    for trial, found in wrong.items():
        print(" · ".join(trial), found)
    some = trials if scale == "full" else trials[::5]
    careless = sum(bool(misbehaviour(*trial, Careless)) for trial in some)
    beside = {
        "trials": len(trials),
        "kinds": len(CONTROLLERS),
        "careless_caught_percent": round(100 * careless / len(some), 1),
    }
    share = 100.0 * (len(trials) - len(wrong)) / len(trials)
    spent = time.perf_counter() - begun
    yield Figure(
        "sensors", round(share, 2), "% declared fallback", "declared fallback in all", not wrong, beside, spent
    )
