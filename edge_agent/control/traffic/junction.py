"""A junction as its cabinet knows it: lanes with their detectors, and the stages that may be asked for.

Only facts of the site, nothing to tune. A stage is written as the lanes that have green in it:

    stage_1 = ["north", "south yields", "west part"]

`north` goes with all its movements protected; `south yields`: all of them, but one must let somebody pass (a left turn
through the oncoming stream); `west part`: only some of its movements have green, so whoever stands first may block.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

STAGES_MAX = 15  # that a cabinet can be asked for by number
LANES_MAX = 32
LEAST = 0.1  # of a distance, a speed, a flow: less is a slip of the pen
INTERVAL_MAX_S = 60.0  # a cabinet that tells of longer ones tells nonsense


class Service(Enum):
    """How a lane goes in a stage. The value is the share of its saturation flow that is assumed until one is seen."""

    FULL = 1.0
    YIELDS = 0.7
    PART = 0.4


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane at the stop line; its advance loop lies `distance_m` upstream of it.

    A neighbour's counter, `forwarded_m` upstream, tells earlier of this `share` of those that it counts for this lane.
    """

    name: str
    distance_m: float
    speed_m_s: float
    saturation_veh_s: float  # that leave in a second of green while a queue stands
    forwarded_m: float = 0.0  # 0: no neighbour counts for it
    share: float = 1.0

    @property
    def travel_s(self) -> float:
        """From the advance loop to the stop line for one who need not brake."""
        return self.distance_m / self.speed_m_s

    @property
    def forwarded_s(self) -> float:
        """From the neighbour's counter to the stop line."""
        return self.forwarded_m / self.speed_m_s


@dataclass(frozen=True, slots=True)
class Stage:
    number: int  # as the cabinet counts them, from 1
    serves: Mapping[str, Service] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Junction:
    lanes: tuple[Lane, ...]
    stages: tuple[Stage, ...]

    def index(self, number: int) -> int | None:
        """The place among `stages` of the cabinet's stage `number`."""
        return next((place for place, stage in enumerate(self.stages) if stage.number == number), None)


@dataclass(frozen=True, slots=True)
class Intervals:
    """What the cabinet keeps by itself and tells, s."""

    min_green_s: float
    yellow_s: float
    all_red_s: float

    @property
    def clearance_s(self) -> float:
        return self.yellow_s + self.all_red_s

    @property
    def plausible(self) -> bool:
        return all(0 <= one <= INTERVAL_MAX_S for one in (self.min_green_s, self.yellow_s, self.all_red_s))


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a site: which setting, what, and what to do."""

    key: str
    wrong: str
    remedy: str


def read_junction(
    names: Sequence[str],
    distances_m: Sequence[float],
    speeds_m_s: Sequence[float],
    saturation_veh_h: Sequence[float],
    stages: Mapping[int, Sequence[str]],
    forwarded_m: Sequence[float] = (),
    share: Sequence[float] = (),
) -> tuple[Junction, list[Flaw]]:
    """The junction of these settings, and everything that is wrong with them; with flaws it must not be used.

    Each list but the first has one number per lane, or one number for all lanes; the last two may be empty.
    """
    flaws: list[Flaw] = []
    if not 0 < len(names) <= LANES_MAX:
        flaws.append(Flaw("lanes", f"are {len(names)}", f"name 1 to {LANES_MAX} lanes"))
    twice = sorted({one for one in names if list(names).count(one) > 1})
    flaws += [Flaw("lanes", f"has {name} twice", "name each lane once") for name in twice]
    columns = {"distance_m": distances_m, "speed_m_s": speeds_m_s, "saturation_veh_h": saturation_veh_h}
    full = {key: per_lane(key, given, len(names), flaws) for key, given in columns.items()}
    full["forwarded_m"] = per_lane("forwarded_m", forwarded_m or (0.0,), len(names), flaws, least=0.0)
    full["forwarded_share"] = per_lane("forwarded_share", share or (1.0,), len(names), flaws, least=0.0)
    lanes = tuple(
        Lane(name, distance, speed, saturation / 3600, forwarded, part)
        for name, distance, speed, saturation, forwarded, part in zip(names, *full.values(), strict=True)
    )
    near = [lane.name for lane in lanes if 0 < lane.forwarded_m <= lane.distance_m]
    if near:
        remedy = "a neighbour's counter lies beyond the advance loop; 0 where there is none"
        flaws.append(Flaw("forwarded_m", f"is not above distance_m for {', '.join(near)}", remedy))
    found = tuple(read_stage(number, words, names, flaws) for number, words in stages.items())
    flaws += flaws_of_stages(names, found)
    return Junction(lanes, found), flaws


def per_lane(key: str, given: Sequence[float], count: int, flaws: list[Flaw], least: float = LEAST) -> list[float]:
    if len(given) not in (1, count):
        flaws.append(Flaw(key, f"has {len(given)} numbers for {count} lanes", "give one per lane, or one for all"))
        return [1.0] * count
    if not all(one >= least for one in given):
        flaws.append(Flaw(key, f"has a number below {least:g}", "give what was measured on site"))
        return [1.0] * count
    return list(given) * (count if len(given) == 1 else 1)


def read_stage(number: int, words: Sequence[str], names: Sequence[str], flaws: list[Flaw]) -> Stage:
    serves: dict[str, Service] = {}
    for word in words:
        name, _, manner = re.sub(r"\s+", " ", word.strip()).partition(" ")
        if name not in names:
            flaws.append(Flaw(f"stage_{number}", f"serves {name}, which is no lane", f"there are {', '.join(names)}"))
        elif manner and manner.upper() not in Service.__members__:
            remedy = "write the lane alone, or with `yields` or `part` behind it"
            flaws.append(Flaw(f"stage_{number}", f"says {manner} of {name}", remedy))
        else:
            serves[name] = Service[manner.upper()] if manner else Service.FULL
    return Stage(number, serves)


def flaws_of_stages(names: Sequence[str], stages: Sequence[Stage]) -> list[Flaw]:
    flaws = []
    if not 2 <= len(stages) <= STAGES_MAX:
        flaws.append(Flaw("stage_1", f"and its like are {len(stages)}", f"give 2 to {STAGES_MAX} stages"))
    flaws += [Flaw(f"stage_{one.number}", "serves no lane", "name its lanes") for one in stages if not one.serves]
    for name in names:
        if stages and not any(name in stage.serves for stage in stages):
            flaws.append(Flaw("lanes", f"has {name}, which no stage serves", "add it to a stage, or leave it out"))
    return flaws
