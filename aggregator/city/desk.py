"""The operator's desk: what the twin finds becomes alarms after ISA-18.2, one per (asset, condition). No IO.

readings that do not fit   of each sensor: gate, nis, cusum (twin/anomalies.py), against their thresholds
a pattern that does not    of each domain: t2, q
the twin itself            of each domain: NIS/m, coverage, a domain that began anew
what may come              of each asset: a risk more likely than not
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.city.live import Lane
from aggregator.twin.alarms import Alarm, Alarms, BadAlarm, Name, Priority, Rule, State, Transition
from aggregator.twin.anomalies import Finding
from aggregator.twin.risk import Risk

NS = 1_000_000_000
PERSISTS_NS = (
    30 * NS
)  # how long a sensor must not fit before people are told: one spike is for the filter, not for them
QUIET_NS = 60 * NS  # how long it must fit again
LIKELY, UNLIKELY = 0.5, 0.1  # a risk is alarmed above, and over again so far below
SERIOUS = 100.0  # expected loss from which a risk is HIGH, in the city's unit
ACTIONS = {
    "gate": "look whether the sensor or the street is wrong",
    "nis": "look whether the sensor has become noisy",
    "cusum": "compare the sensor with its neighbours: a drift, a leak, a stuck value",
    "t2": "look at the sensors of this domain together",
    "t2 of the pattern": "look at the sensors of this domain together",
    "q": "look at the sensors of this domain together: they do not move together as usual",
    "calibration": "decide by hand in this domain until it is calibrated again",
    "begun anew": "look into the log of the server; history is whole",
}


@dataclass(eq=False)
class Desk:
    """Fed with what each second brings; tells what has changed."""

    alarms: Alarms = field(default_factory=Alarms)
    _domains: dict[Name, str] = field(default_factory=dict, init=False)  # whose forecast a risk is of
    _sensors: dict[Name, str] = field(default_factory=dict, init=False)  # whose detectors have found something
    _looked: dict[str, int] = field(default_factory=dict, init=False)  # the last step of each domain that was seen

    def look(
        self, lanes: Iterable[Lane], findings: Mapping[str, Sequence[Finding]], failed: Mapping[str, str], now_ns: int
    ) -> list[Transition]:
        """What the detectors, the calibration and failures of the last second say."""
        told: list[Transition] = []
        for lane in lanes:
            told += self._found(lane, findings.get(lane.name, ()), now_ns)
            verdict = lane.fuser.calibration.automatic()
            wrong = not verdict.allowed and not verdict.why.startswith("too little")
            told += self._watch(Name(lane.name, "calibration"), float(wrong), Priority.HIGH, now_ns, 0)
            told += self._watch(Name(lane.name, "begun anew"), float(lane.name in failed), Priority.HIGH, now_ns, 0)
        return told + self.alarms.tick(now_ns)

    def weigh(self, domain: str, risks: Sequence[Risk], now_ns: int) -> list[Transition]:
        """The risks that a fresh forecast of a domain brings; those that it no longer names are at 0."""
        told: list[Transition] = []
        named = set()
        for one in risks:
            name = Name(one.asset, one.what)
            named.add(name)
            if one.probability > LIKELY - UNLIKELY or name in self.alarms.all:
                priority = Priority.HIGH if one.expected >= SERIOUS else Priority.MEDIUM
                rule = Rule(name, LIKELY, one.action, priority, deadband=UNLIKELY, off_delay_ns=QUIET_NS)
                self.alarms.ensure(rule)
                self._domains[name] = domain
                told += self.alarms.observe(name, one.probability, now_ns)
        for name, owner in list(self._domains.items()):
            if owner == domain and name not in named:
                told += self.alarms.observe(name, 0.0, now_ns)
        return told

    def act(self, act: str, name: Name, actor: str, why: str, until_ns: int, now_ns: int) -> list[Transition]:
        """What an operator wants. Raises BadAlarm for what makes no sense now."""
        if act == "acknowledge":
            return self.alarms.acknowledge(name, actor, now_ns)
        if act == "shelve":
            return self.alarms.shelve(name, actor, why, until_ns, now_ns)
        if act == "unshelve":
            return self.alarms.unshelve(name, actor, now_ns)
        if act in ("out-of-service", "in-service"):
            return self.alarms.serve(name, act == "in-service", actor, why, now_ns)
        raise BadAlarm(f"{act}: no such act; there are acknowledge, shelve, unshelve, out-of-service, in-service")

    def _found(self, lane: Lane, findings: Sequence[Finding], now_ns: int) -> list[Transition]:
        """The newest finding of each detector and sensor, and that the others fit again."""
        told: list[Transition] = []
        newest = {(self._asset(lane, one), one.detector): one for one in findings if one.k == lane.looked}
        for (asset, detector), one in newest.items():
            name = Name(asset, detector)
            told += self._watch(name, one.value / one.threshold, Priority.MEDIUM, now_ns, PERSISTS_NS, 1.0)
            self._sensors.setdefault(name, lane.name)
        if lane.looked > self._looked.get(lane.name, -1):  # a step was done: what is not in it is over
            self._looked[lane.name] = lane.looked
            for name, owner in self._sensors.items():
                if owner == lane.name and (name.asset, name.condition) not in newest:
                    told += self.alarms.observe(name, 0.0, now_ns)
        return told

    @staticmethod
    def _asset(lane: Lane, one: Finding) -> str:
        return lane.name if one.channel is None else lane.domain.channels[one.channel]

    def _watch(
        self, name: Name, value: float, priority: Priority, now_ns: int, on_ns: int, limit: float = 0.5
    ) -> list[Transition]:
        if name not in self.alarms.all:
            if value <= limit:
                return []
            action = ACTIONS[name.condition]
            self.alarms.ensure(Rule(name, limit, action, priority, on_delay_ns=on_ns, off_delay_ns=QUIET_NS))
        return self.alarms.observe(name, value, now_ns)

    def kept(self, name: Name) -> str:
        """What is needed to go on with an alarm after a restart."""
        one, rule = self.alarms[name], self.alarms[name].rule
        return json.dumps(
            {
                "rule": [
                    rule.limit,
                    rule.action,
                    int(rule.priority),
                    rule.deadband,
                    rule.on_delay_ns,
                    rule.off_delay_ns,
                ],
                "alarm": [one.condition, one.since_ns, one.active, one.acknowledged, one.shelved_until_ns],
                "service": one.in_service,
                "value": one.value,
                "raised": one.raised,
                "owner": [self._domains.get(name, ""), self._sensors.get(name, "")],
            }
        )

    def resume(self, name: Name, kept: str) -> None:
        """Go on with an alarm as `kept` told. Raises BadAlarm for what it did not."""
        try:
            told = json.loads(kept)
            limit, action, priority, deadband, on_ns, off_ns = told["rule"]
            rule = Rule(name, limit, action, Priority(priority), False, deadband, on_ns, off_ns)
            condition, since_ns, active, acknowledged, shelved = told["alarm"]
            risk, sensor = told["owner"]
            alarm = Alarm(rule, condition, since_ns, active, acknowledged, shelved, told["service"])
            alarm.value, alarm.raised = told["value"], told["raised"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadAlarm(f"alarm {'/'.join(name)}: what was kept of it cannot be read ({error!r})") from error
        self.alarms.resume(alarm)
        if risk:
            self._domains[name] = risk
        if sensor:
            self._sensors[name] = sensor


def raised(alarm: Alarm) -> bool:
    """Whether people may want to see it: it stands, or somebody hides it."""
    return alarm.state is not State.NORMAL
