"""Three intersections with a centre above them: the same edge laws with and without what the centre expects.

The net cologne3 of the RESCO set and its own demand. Both sides run the edge's traffic law at every junction, straight
on libsumo (tests/simulators/sumo_streets); the centre learns shares of arrivals from two seeds that are not judged,
where the laws ran alone, and hears the counters at the entrances of links up to 30 s upstream. "ci" runs the first 20
minutes of one seed. Delay is timeLoss + departDelay over every trip.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from tests.bench import Figure
from tests.simulators.modbus import ROOT
from tests.simulators.sumo_road import missing

NET = "cologne3"
TAUGHT = (101, 102)  # seeds of which the centre learns
SEEDS = {"full": (21, 22, 23, 24, 25), "ci": (21,)}
SECONDS = {"full": 3600, "ci": 1200}
LEAST = 5  # seeds: of one, chance alone shows either side ahead
GOAL = "centre + edge beats edge alone on cologne3 mean delay"


def delay(seed: int, seconds: int, words: Sequence[str | Path] = ()) -> float:
    """Raises CalledProcessError, with what the simulator said, when it fails."""
    command = [sys.executable, "-m", "tests.simulators.sumo_streets", "--net", NET, "--seed", str(seed)]
    ended = subprocess.run(
        [*command, "--seconds", str(seconds), *words], cwd=ROOT, check=True, capture_output=True, text=True
    )
    said = next(line for line in ended.stdout.splitlines() if line.startswith("{"))
    return float(json.loads(said)["mean_s"])


def run(scale: str) -> Iterator[Figure]:
    if lacking := missing():
        unit = f"not run: {', '.join(lacking)} missing, pip install 'citytwin[sumo]'"
        yield Figure("traffic-control", 0.0, unit, GOAL, ok=False)
        return
    seconds, seeds = SECONDS[scale], SEEDS[scale]
    with tempfile.TemporaryDirectory(prefix="streets-") as name:
        records = [Path(name) / f"{seed}.npz" for seed in TAUGHT]
        for seed, record in zip(TAUGHT, records, strict=True):
            delay(seed, seconds, ["--record", record])
        fixed = fmean(delay(seed, seconds, ["--fixed"]) for seed in seeds)
        alone = [delay(seed, seconds) for seed in seeds]
        centre = [delay(seed, seconds, ["--history", *records]) for seed in seeds]
    yield Figure(
        name="traffic-control",
        figure=round(fmean(centre), 2),
        unit="s of delay per trip",
        goal=GOAL,
        ok=fmean(centre) < fmean(alone) and len(seeds) >= LEAST,
        beside={
            "edge_alone": round(fmean(alone), 2),
            "fixed": round(fixed, 2),
            "seeds": len(seeds),
            "seeds_better": sum(a < b for a, b in zip(centre, alone, strict=True)),
            "simulated_s": seconds,
        },
    )
