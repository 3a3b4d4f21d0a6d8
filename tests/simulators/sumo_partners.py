"""The usual controllers on the same road, straight on libsumo: fixed, SUMO's actuated, max-pressure. As one process.

python -m tests.simulators.sumo_partners --net cologne1 --seed 1

Prints one JSON line with the mean delay of each. Fixed is the net's own program as shipped; actuated is the same with
greens of 5 to 50 s on SUMO's own detectors; max-pressure (Varaiya, Transportation Research C 36, 2013) chooses every
so many seconds the stage whose lanes hold most vehicles less those beyond it, and sees whole lanes, not 100 m of them.
Its yellow is the 3 s of the RESCO set, also where the net's own is longer.
"""

import argparse
import json
from collections.abc import Callable

from tests.simulators.sumo_road import Delay, Road

GREEN_S = (5, 50)
MAX_PRESSURE_S = (10, 15)  # two periods; the better one counts
MAX_PRESSURE_YELLOW_S = 3
Control = Callable[[Road], Delay]


def fixed(road: Road) -> Delay:
    while not road.over:
        road.step()
    return road.close()


def actuated(road: Road) -> Delay:
    lights = road.sumo.trafficlight
    shortest, longest = GREEN_S
    phases = []
    for phase in lights.getAllProgramLogics(road.light)[0].phases:
        limits = (phase.duration, phase.duration) if "y" in phase.state else (shortest, longest)
        phases.append(lights.Phase(phase.duration, phase.state, *limits))
    lights.setProgramLogic(road.light, lights.Logic("actuated", 3, 0, phases, {}))
    lights.setProgram(road.light, "actuated")
    return fixed(road)


def pressures(road: Road, stages: list[str]) -> list[int]:
    links = road.sumo.trafficlight.getControlledLinks(road.light)
    count = road.sumo.lane.getLastStepVehicleNumber
    found = []
    for lamps in stages:
        green = [link[0] for link, lamp in zip(links, lamps, strict=True) if lamp in "Gg"]
        before, after = {one[0] for one in green}, {one[1] for one in green}
        found.append(sum(map(count, before)) - sum(map(count, after)))
    return found


def max_pressure(period_s: int) -> Control:
    def control(road: Road) -> Delay:
        phases = road.sumo.trafficlight.getAllProgramLogics(road.light)[0].phases
        stages = [phase.state for phase in phases if "y" not in phase.state]
        running, chosen, second = 0, 0, 0
        while not road.over:
            if second % period_s == 0:
                pressure = pressures(road, stages)
                chosen = max(range(len(stages)), key=lambda k: (pressure[k], k == running))
            if second % period_s == MAX_PRESSURE_YELLOW_S:
                running = chosen
            now, after = stages[running], stages[chosen]
            pairs = zip(now, after, strict=True)
            road.step("".join("y" if a in "Gg" and b not in "Gg" else a for a, b in pairs))
            second += 1
        return road.close()

    return control


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=3600)
    args = parser.parse_args()
    controls: dict[str, Control] = {"fixed": fixed, "actuated": actuated}
    controls |= {f"max-pressure-{period}": max_pressure(period) for period in MAX_PRESSURE_S}
    found = {
        name: control(Road(args.net, args.seed, args.seconds, detectors=False)).mean_s
        for name, control in controls.items()
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
