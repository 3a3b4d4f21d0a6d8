"""Alarms on seeded incidents: how many are found, how many alarms are about something, how early; by kind, by detector.

Each domain's filter runs over what its sensors read (tests/bench/incidents.py); its innovations go to the detectors,
its forecasts to the safety domain's cost-loss rule, and both to ISA-18.2 alarms: what people are told once counts. An
alarm is right when its sensor (or, of all sensors together, its domain) has an incident then; every other one is false.
Thresholds come from a seed that is not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aggregator.domains import safety
from aggregator.domains.safety.events import exceedance, read_over, threshold
from aggregator.twin import Floats
from aggregator.twin.alarms import Alarms, Name, Priority, Rule
from aggregator.twin.anomalies import Detectors, Thresholds
from aggregator.twin.gaussian import Gaussian
from aggregator.twin.observation import Innovation, Observation
from aggregator.twin.series import forecast
from tests.bench import Figure
from tests.bench.incidents import EVERY, FAULTS, QUIET, STEP_S, WATCHES, WORLD, Course, Incident, city

GOAL = "alarm precision/recall table on seeded incidents"
TUNED, JUDGED = 1, {"ci": (11, 12), "full": (11, 12, 13, 14, 15)}
ROUNDS = {"ci": 1, "full": 4}
NS = 1_000_000_000
AHEAD = 12  # steps of a forecast: an hour
LOOKS = 3  # steps from one forecast to the next: every quarter of an hour
AFTER = 24  # steps after an incident in which its traces may still be told: two hours
SINGLE, VECTOR = ("gate", "nis", "cusum"), ("t2", "t2 of the pattern", "q")
TRIED = [
    Thresholds(gate=gate, slack=slack, limit=limit, nis_false=1e-6)
    for gate, slack, limit in ((5.0, 0.5, 12.0), (4.5, 0.5, 12.0), (5.0, 0.75, 12.0), (5.0, 0.75, 20.0))
]


@dataclass(frozen=True, slots=True)
class Told:
    """One alarm that people were told. `channel` -1 for all of them."""

    k: int
    domain: str
    channel: int
    detector: str


@dataclass(frozen=True, eq=False, slots=True)
class Watched:
    """What one domain's filter met, and how likely (steps, w) each watch was to be over its limit within the hour."""

    domain: str
    channels: int
    innovations: Sequence[Innovation]
    likely: Floats
    pays: Floats


def run(scale: str) -> Iterator[Figure]:
    rounds = ROUNDS[scale]
    chosen = tuned(rounds)
    told: list[tuple[Told, Incident | None]] = []
    incidents: list[Incident] = []
    quiet_days = 0.0
    for place, seed in enumerate(JUDGED[scale]):
        courses, known = city(seed, rounds)
        shift = place * 1_000_000  # so that steps of different seeds stay apart
        known = [moved(one, shift) for one in known]
        heard = [replace(one, k=one.k + shift) for course in courses for one in alarms(watched(course), chosen)]
        told += matched(heard, known)
        incidents += known
        quiet_days += len(courses[0].y) * STEP_S / 86_400 - QUIET * STEP_S / 86_400
    yield from by_kind(told, incidents)
    yield from by_detector(told, incidents, quiet_days)
    yield whole(told, incidents, quiet_days, chosen)


def moved(one: Incident, shift: int) -> Incident:
    over = None if one.over is None else one.over + shift
    return replace(one, begin=one.begin + shift, end=one.end + shift, over=over)


def watched(course: Course) -> Watched:
    domain, scheme = course.domain, Gaussian()
    belief = domain.prior(0)
    channel = np.arange(len(domain.channels))
    met: list[Innovation] = []
    likely: list[Floats] = []
    ahead = np.zeros(len(WATCHES))
    pays = threshold(domain.ground) if isinstance(domain, safety.Domain) else np.zeros(0)
    for k, y in enumerate(course.y, 1):
        prior = scheme.forecast(domain, belief, k, 1.0)
        seen = Observation(k, channel, y, course.sd**2, domain.H(prior.x, channel, k))
        belief, innovation = scheme.analyse(domain, prior, seen)
        met.append(innovation)
        if isinstance(domain, safety.Domain):
            if not k % LOOKS:
                ahead = exceedance(domain.ground, forecast(domain, scheme, belief, AHEAD)).max(axis=0)
            now = read_over(domain.ground, y, course.y[max(k - 2, 0)])
            likely.append(1 - (1 - ahead) * (1 - now))
    return Watched(domain.name, len(channel), met, np.array(likely), pays)


def alarms(one: Watched, thresholds: Thresholds) -> list[Told]:
    """Everything announced after the quiet days, in order."""
    names = [(name, c) for name in SINGLE for c in range(one.channels)] + [(name, -1) for name in VECTOR]
    events = [("event", c) for c in range(len(one.pays))]
    detectors, desk = Detectors(one.channels, thresholds), Alarms(rule(*name) for name in names + events)
    told: list[Told] = []
    for place, innovation in enumerate(one.innovations):
        k, now_ns = innovation.k, innovation.k * STEP_S * NS
        found = {(each.detector, -1 if each.channel is None else each.channel) for each in detectors.look(innovation)}
        values = {name: float(name in found) for name in names}
        values |= {name: float(one.likely[place][name[1]] / one.pays[name[1]]) for name in events}
        for (detector, c), value in values.items():
            for change in desk.observe(Name(str(c), detector), value, now_ns):
                if change.announced and k >= QUIET:
                    told.append(Told(k, one.domain, int(change.name.asset), change.name.condition))
                if change.announced:
                    desk.acknowledge(change.name, "bench", now_ns)
    return told


def rule(detector: str, channel: int) -> Rule:
    """Urgent, so that none is held back in a flood of them: detectors are judged here, not the desk."""
    limit = 1.0 if detector == "event" else 0.5
    name = Name(str(channel), detector)
    return Rule(name, limit, "look", Priority.URGENT, deadband=limit / 2, off_delay_ns=12 * STEP_S * NS)


def matched(told: Sequence[Told], incidents: Sequence[Incident]) -> list[tuple[Told, Incident | None]]:
    """Each alarm with the incident that it is about."""

    def about(one: Told, what: Incident) -> bool:
        here = one.domain == what.domain and (one.channel in what.channels or one.channel == -1)
        return here and what.begin <= one.k <= what.end + AFTER

    return [(one, next((what for what in incidents if about(one, what)), None)) for one in told]


def tuned(rounds: int) -> Thresholds:
    """By F1 of all alarms together on the seed that is not judged."""
    courses, known = city(TUNED, rounds)
    seen = [watched(course) for course in courses]

    def f1(thresholds: Thresholds) -> float:
        told = matched([one for each in seen for one in alarms(each, thresholds)], known)
        precision, recall = rates(told, known)
        return 2 * precision * recall / max(precision + recall, 1e-9)

    return max(TRIED, key=f1)


def rates(told: Sequence[tuple[Told, Incident | None]], incidents: Sequence[Incident]) -> tuple[float, float]:
    """Precision and recall."""
    right = [what for _, what in told if what is not None]
    found = sum(one in right for one in incidents)
    return len(right) / max(len(told), 1), found / max(len(incidents), 1)


def by_kind(told: Sequence[tuple[Told, Incident | None]], incidents: Sequence[Incident]) -> Iterator[Figure]:
    """Recall of each kind, of each detector beside it; minutes from its begin to the first alarm, or to its limit."""
    for kind in (*FAULTS, *WORLD):
        of_kind = [one for one in incidents if one.kind == kind]
        hits = [(one, what) for one, what in told if what is not None and what.kind == kind]
        beside: dict[str, float] = {}
        for detector in (*SINGLE, *VECTOR, "event"):
            found = {what for one, what in hits if one.detector == detector}
            beside[f"{detector}, %"] = 100 * len(found) / len(of_kind)
        first = {what: min(one.k for one, other in hits if other == what) for _, what in hits}
        if first:
            beside["after its begin, min, median"] = minutes([k - what.begin for what, k in first.items()])
        warned = {
            what: min((one.k for one, other in hits if other == what and one.detector == "event"), default=None)
            for what in first
        }
        leads = [what.over - k for what, k in warned.items() if what.over is not None and k is not None]
        if leads:
            beside["warned before its limit, min, median"] = minutes(leads)
        passed = [one for one in of_kind if one.over is not None]
        beside |= {"incidents": float(len(of_kind)), "passed a limit": float(len(passed))}
        recall = 100 * len(first) / len(of_kind)
        told_of = all(warned.get(one) is not None for one in passed)  # what passed a limit must have been told as such
        yield Figure(f"alarms, {kind}, found", recall, "%", GOAL, told_of, beside)


def minutes(steps: Sequence[int]) -> float:
    return float(np.median(steps)) * STEP_S / 60


def by_detector(
    told: Sequence[tuple[Told, Incident | None]], incidents: Sequence[Incident], days: float
) -> Iterator[Figure]:
    for detector in (*SINGLE, *VECTOR, "event"):
        own = [(one, what) for one, what in told if one.detector == detector]
        precision, recall = rates(own, incidents)
        yield Figure(f"alarms, {detector}, precision", 100 * precision, "%", GOAL, True, table(own, recall, days))


def table(own: Sequence[tuple[Told, Incident | None]], recall: float, days: float) -> Mapping[str, float]:
    false = sum(what is None for _, what in own)
    return {"recall, %": 100 * recall, "false a day": false / days, "alarms": float(len(own))}


def whole(
    told: Sequence[tuple[Told, Incident | None]], incidents: Sequence[Incident], days: float, chosen: Thresholds
) -> Figure:
    precision, recall = rates(told, incidents)
    beside = {**table(told, recall, days), "incidents": float(len(incidents)), "days": days}
    beside |= {"gate": chosen.gate, "slack": chosen.slack, "limit": chosen.limit, "steps between incidents": EVERY}
    return Figure("alarms, precision", 100 * precision, "%", GOAL, bool(incidents) and bool(told), beside)
