"""The traffic law as a kind of `[[controller]]`: points of a cabinet in, one request out."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from edge_agent.cell import ControllerSpec
from edge_agent.control.sense import Sense
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.control.traffic.junction import STAGES_MAX, Intervals, Junction, read_junction
from edge_agent.control.traffic.law import NS, THINK_NS, Ask, Law, Running
from edge_agent.control.traffic.queues import Detections
from edge_agent.control.traffic.search import HORIZON_S
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish

CABINET = {
    "stage": Role("the stage that is green, 0 while the cabinet clears", "1"),
    "next_stage": Role("the stage that comes after the clearance", "1"),
    "stage_age": Role("since the stage turned green", "s"),
    "min_green": Role("the cabinet's minimum green", "s"),
    "yellow": Role("the cabinet's yellow", "s"),
    "all_red": Role("the cabinet's all-red", "s"),
}
DETECTORS = {
    "arrived_": Role("counter of a lane's advance loop, 50 to 100 m before the stop line", "count", optional=True),
    "departed_": Role("counter of its loop at the stop line", "count", optional=True),
    "between_": Role("vehicles between the two, from a radar or a camera", "count", optional=True),
    "covered_": Role("whether somebody is on the advance loop", "1", optional=True),
    "standing_": Role("whether somebody is on the loop at the stop line", "1", optional=True),
    "forwarded_": Role("a neighbour's counter of those who come to this lane", "count", optional=True),
}


class Traffic:
    """Asks a cabinet for the stage that costs its vehicles the least delay over the next half minute."""

    KIND: ClassVar[str] = "traffic"
    RANK: ClassVar[Rank] = Rank.OPTIMISER
    FALLBACK: ClassVar[str] = (
        "a detector that may not be used is replaced by what the others and the last minutes say; without the "
        "cabinet's own points, or with fewer than half of the lanes seen, no wish: the cabinet runs its own plan"
    )
    BUMPLESS: ClassVar[bool] = False
    INPUTS: ClassVar[Mapping[str, Role]] = CABINET | {f"{prefix}*": role for prefix, role in DETECTORS.items()}
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"request": Role("100 · (1 call, 2 hold, 3 force off) + stage; 0 nothing")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "lanes": Setting("their names, as behind the _ of the inputs", kind="texts", required=True),
        "distance_m": Setting(
            "from advance loop to stop line, per lane or for all", "m", kind="numbers", required=True
        ),
        "speed_m_s": Setting("who need not brake, per lane or for all", "m/s", (13.9,), "numbers"),
        "saturation_veh_h": Setting("a lane's discharge in green, per lane or for all", "veh/h", (1800.0,), "numbers"),
        "forwarded_m": Setting("from a neighbour's counter to the stop line; 0: none", "m", (0.0,), "numbers"),
        "forwarded_share": Setting("of what that counter counts, what comes to this lane", "1", (1.0,), "numbers"),
    } | {
        f"stage_{number}": Setting("lanes with green in it: NAME, NAME yields or NAME part", kind="texts")
        for number in range(1, STAGES_MAX + 1)
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "crossing"
kind = "traffic"
inputs = { stage = "cabinet/stage", next_stage = "cabinet/next_stage", stage_age = "cabinet/stage_age", min_green = "cabinet/min_green", yellow = "cabinet/yellow", all_red = "cabinet/all_red", arrived_main = "cabinet/lane_1_arrived", departed_main = "cabinet/lane_1_departed", standing_main = "cabinet/lane_1_standing", between_side = "cabinet/lane_2_between" }
outputs = { request = "request" }
settings = { lanes = ["main", "side"], distance_m = [90, 50], stage_1 = ["main"], stage_2 = ["side"] }
"""  # noqa: E501  an inline table of TOML is one line

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        stages = {n: wired.texts(f"stage_{n}") for n in range(1, STAGES_MAX + 1) if wired.has(f"stage_{n}")}
        junction, flaws = read_junction(
            wired.texts("lanes"),
            wired.numbers("distance_m"),
            wired.numbers("speed_m_s"),
            wired.numbers("saturation_veh_h"),
            stages,
            wired.numbers("forwarded_m"),
            wired.numbers("forwarded_share"),
        )
        for flaw in flaws:
            wired.refuse(f"settings.{flaw.key}", flaw.wrong, flaw.remedy, spec.settings.get(flaw.key))
        check_detectors([lane.name for lane in junction.lanes], spec, wired)
        for number in stages:
            wired.reachable(f"settings.stage_{number}", 100 * Ask.FORCE_OFF + number)
        return cls(wired, junction) if wired.sound else None

    def __init__(self, wired: Wired, junction: Junction) -> None:
        self.name = wired.name
        self._slot = wired.slot("request")
        self._cabinet = {role: wired.sense(role) for role in CABINET}
        names = [lane.name for lane in junction.lanes]
        self._detectors: list[list[Sense | None]] = [
            [wired.senses(prefix).get(name) for name in names] for prefix in DETECTORS
        ]
        self._law = Law(junction, math.ceil(HORIZON_S * wired.period_ns / (THINK_NS / 2)))
        self._observed_ns = -1

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        cabinet = {role: sense.read(view) for role, sense in self._cabinet.items()}
        seen = self._observe(view)
        if any(value is None for value in cabinet.values()):
            return ()
        said = {role: value for role, value in cabinet.items() if value is not None}
        age_s = said["stage_age"] + (view.now_ns - self._cabinet["stage_age"].received_ns) / NS
        running = Running(int(said["stage"]), int(said["next_stage"]), age_s)
        intervals = Intervals(said["min_green"], said["yellow"], said["all_red"])
        if seen is not None:
            self._law.observe(self._observed_ns, seen, running)
        request = self._law.step(view.now_ns, running, intervals)
        return [self._slot.exactly(request.code, request.why)] if request.ask else ()

    def _observe(self, view: View) -> Detections | None:
        """What all detectors say, None where nothing came since the last tick."""
        columns = [[math.nan if one is None else known(one, view) for one in row] for row in self._detectors]
        heard = [one.received_ns for row in self._detectors for one in row if one is not None]
        newest_ns = max(heard, default=-1)
        if newest_ns <= self._observed_ns and view.now_ns - self._observed_ns < THINK_NS:
            return None
        self._observed_ns = newest_ns if newest_ns > self._observed_ns else view.now_ns
        return Detections(*(np.array(column) for column in columns))


def known(sense: Sense, view: View) -> float:
    value = sense.read(view)
    return math.nan if value is None else value


def check_detectors(names: Sequence[str], spec: ControllerSpec, wired: Wired) -> None:
    """Every detector belongs to a lane, and every lane can be seen."""
    for role in spec.inputs:
        prefix = next((one for one in DETECTORS if role.startswith(one)), "")
        if prefix and role.removeprefix(prefix) not in names:
            wired.refuse(f"inputs.{role}", "belongs to no lane", f"settings.lanes has {', '.join(names)}")
    for name in names:
        counted = f"arrived_{name}" in spec.inputs and f"departed_{name}" in spec.inputs
        if f"between_{name}" not in spec.inputs and not counted:
            wired.refuse(f"inputs.between_{name}", "is missing", "or give the lane both arrived_ and departed_")
