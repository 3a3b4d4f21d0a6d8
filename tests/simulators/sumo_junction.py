"""A junction as a device: SUMO's road behind a certified cabinet that speaks real Modbus TCP, as one process.

python -m tests.simulators.sumo_junction --net cologne1 --seed 1 --speed 20

Prints one JSON line when it listens: `connection`, and what an engineer would know of the site (`lanes`, their
distances and speeds, the `stages`). Time begins with the first request and runs `--speed` times as fast; it waits for
nobody. After `--seconds` of the hour it prints a second line with the delay and ends.

The registers are those of the profile citytwin-cabinet; holding register 0 is the request.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from edge_agent.verbs.simulate.endpoint import Line, listen
from edge_agent.verbs.simulate.memory import Memory
from tests.simulators.cabinet import Cabinet
from tests.simulators.sumo_road import Road, Seen

LANES, LANE_AT, LANE_WORDS = 8, 16, 8  # registers of the profile: status first, then so many for each lane
REGISTERS = LANE_AT + LANES * LANE_WORDS
SERVICE = {"G": "", "g": " yields", "r": " part"}


def wide(value: int) -> list[int]:
    return [value >> 16 & 0xFFFF, value & 0xFFFF]


def of_lane(seen: Seen) -> list[int]:
    return [
        *wide(seen.arrived),
        *wide(seen.departed),
        seen.between,
        seen.covered,
        seen.standing,
        round(seen.occupancy),
    ]


@dataclass(eq=False)
class Registers:
    """The cabinet's memory. Reads and writes raise LookupError for what it does not have, as a device's would."""

    cabinet: Cabinet
    road: Road
    begun: asyncio.Event
    words: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    asked: int = 0

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """One consistent picture after each second, so that no answer mixes two."""
        c = self.cabinet
        stage = 0 if c.next_stage else c.stage
        tenths = [10 * value for value in (c.age_s, c.min_green_s, c.yellow_s, c.all_red_s)]
        status = [int(c.on_request), stage, c.next_stage, *tenths, c.asked, 10 * c.left_s, c.refused & 0xFFFF]
        self.words[: len(status)] = status
        self.words[10:12] = wide(self.road.now)
        for number, seen in enumerate(self.road.seen):
            start = LANE_AT + number * LANE_WORDS
            self.words[start : start + LANE_WORDS] = of_lane(seen)

    def read(self, function: int, address: int, count: int) -> list[int]:
        self.begun.set()
        if function == 3 and (address, count) == (0, 1):
            return [self.asked]
        if function != 4 or address + count > REGISTERS:
            raise LookupError(address)
        return self.words[address : address + count]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        if function not in (6, 16) or address != 0 or len(values) != 1:
            raise LookupError(address)
        if not self.cabinet.request(int(values[0])):
            raise LookupError(values[0])
        self.asked = int(values[0])


def described(road: Road, cabinet: Cabinet) -> dict[str, Any]:
    """What an engineer reads off the plans: lanes, distances, speeds, and who has green in which stage."""
    stages = {}
    for number, lamps in enumerate(cabinet.groups.stages, 1):
        words = []
        for k, one in enumerate(road.site.approaches, 1):
            shown = {lamps[link] for link in road.links_of(one.lane)}
            if shown != {"r"}:
                words.append(f"lane_{k}{SERVICE['r' if 'r' in shown else 'g' if 'g' in shown else 'G']}")
        stages[number] = words
    return {
        "lanes": [f"lane_{k}" for k in range(1, len(road.site.approaches) + 1)],
        "distance_m": [one.distance_m for one in road.site.approaches],
        "speed_m_s": [road.speed_m_s(one.lane) for one in road.site.approaches],
        "stages": stages,
    }


async def drive(road: Road, cabinet: Cabinet, registers: Registers, speed: float) -> float:
    """Second after second at its own pace; the largest delay of a second against its pace, in seconds of the road."""
    await registers.begun.wait()
    due, worst = time.monotonic(), 0.0
    while not road.over:
        road.step(cabinet.lamps())
        cabinet.tick()
        registers.refresh()
        due += 1 / speed
        late = time.monotonic() - due
        worst = max(worst, late * speed)
        due = max(due, time.monotonic() - 1 / speed)  # what a busy machine has lost is not made up by haste
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return worst


async def serve(args: argparse.Namespace) -> None:
    road = Road(args.net, args.seed, args.seconds)
    cabinet = Cabinet(road.groups(), yellow_s=road.yellow_s(), all_red_s=args.all_red)
    registers = Registers(cabinet, road, asyncio.Event())
    server, connection = await listen(Line({1: cast(Memory, registers)}), args.listen)
    told = json.dumps({"connection": connection, **described(road, cabinet)})
    print(told, flush=True)
    if args.ready is not None:
        part = args.ready.with_suffix(".part")
        part.write_text(told)
        part.replace(args.ready)
    worst = await drive(road, cabinet, registers, args.speed)
    await server.shutdown()
    own = {"refused": cabinet.refused, "followed_s": cabinet.followed_s, "late_s": worst}
    print(json.dumps({**asdict(road.close()), **own}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", required=True, choices=["cologne1", "ingolstadt1"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of the road in one of the machine")
    parser.add_argument("--seconds", type=int, default=3600, help="of the hour")
    parser.add_argument("--all-red", type=int, default=0, help="s, after the yellow of the net")
    parser.add_argument("--ready", type=Path, help="a file for the first line, apart from what SUMO prints")
    parser.add_argument("--listen", default="tcp://127.0.0.1:0")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
