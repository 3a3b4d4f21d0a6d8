"""Days of a RESCO net as history: SUMO with the net's own routes and programs, a seed a day, links every 5 min."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.simulators.sumo_road import file_of

STEP_S = 300  # what loops are usually summed up over
HOUR_S = 3600
BEGINS_S = {"cologne1": 25200, "cologne3": 25200, "ingolstadt1": 57600, "grid4x4": 0}
ROUTES = {"grid4x4": "grid4x4_1"}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Counted:
    """(T, E) each: mean vehicles on every link, and how many came in and left in the step."""

    links: tuple[str, ...]
    vehicles: Floats
    entered: Floats
    left: Floats


def counted(net: str, seed: int, folder: Path) -> Counted:
    """One hour. Raises CalledProcessError when SUMO fails."""
    found = folder / f"{net}-{seed}.xml"
    added = folder / f"{net}-{seed}.add.xml"
    added.write_text(f'<additional><edgeData id="e" freq="{STEP_S}" file="{found}" excludeEmpty="false"/></additional>')
    spec = find_spec("sumo")
    binary = (
        Path(spec.submodule_search_locations[0]) / "bin" / "sumo"
        if spec and spec.submodule_search_locations
        else "sumo"
    )
    routes = file_of(net, "rou").with_name(f"{ROUTES.get(net, net)}.rou.xml")
    begin = BEGINS_S[net]
    words: list[Any] = [binary, "-n", file_of(net, "net"), "-r", routes, "-a", added, "-b", begin]
    words += ["-e", begin + HOUR_S, "--seed", seed, "--time-to-teleport", -1, "--no-step-log", "--no-warnings"]
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    steps = [one.findall("edge") for one in ET.parse(found).getroot().iter("interval")]
    columns = [
        [[sum(float(edge.get(key, 0)) for key in keys) for edge in edges] for edges in steps]
        for keys in (("sampledSeconds",), ("entered", "departed"), ("left", "arrived"))
    ]
    vehicles, entered, left = (np.array(one, np.float64) for one in columns)
    return Counted(tuple(str(edge.get("id")) for edge in steps[0]), vehicles / STEP_S, entered, left)
