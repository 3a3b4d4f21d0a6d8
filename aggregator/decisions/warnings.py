"""When people are warned, of what, how strongly, and until when: from threats to CAP messages. Rules without IO.

    a threat likelier than its cost-loss ratio   → Alert
    it changes a class, or its warning runs out  → Update, which names the messages before it
    it is over, or no longer likely              → Cancel, which names them too

Urgency comes from the time that is left, certainty from the probability, severity from the expected harm, each by the
bounds below. Until somebody arms the city every message is an Exercise; arming is said by name and put on record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from aggregator.decisions import Refused
from aggregator.decisions.cap import NS, Area, BadWarning, Message
from aggregator.twin.alarms import Alarm, Priority, State
from aggregator.twin.risk import Risk

OBSERVED, LIKELY, POSSIBLE = 0.99, 0.5, 0.05  # probabilities; CAP: likely is above about a half
IMMEDIATE_S, EXPECTED_S = 900.0, 3600.0  # CAP: expected is within the next hour
EXTREME, SEVERE, MODERATE = 10_000.0, 1_000.0, 100.0  # harm in the city's unit
QUIET = 0.5  # share of the threshold below which a warning is taken back: none flickers
LASTS_S = 3600.0  # of a message; one that still holds is said again before
RENEW_S = 600.0  # before it ends
STANDING_MAX = 1000  # warnings at a time: more is a fault, and a city that reads none of them
HARM = {Priority.URGENT: EXTREME, Priority.HIGH: SEVERE, Priority.MEDIUM: MODERATE, Priority.LOW: 0.0}
NOTE = "Exercise: this city's warnings have not been armed. No action is needed."

CATEGORY = {
    "flood": "Met",
    "crowd": "Safety",
    "smoke": "Fire",
    "gas": "CBRNE",
    "slope": "Geo",
    "tilt": "Infra",
    "air": "Env",
    "outage": "Infra",
    "leak": "Infra",
    "traffic": "Transport",
}
RESPONSE = {"flood": "Avoid", "smoke": "Evacuate", "gas": "Evacuate", "slope": "Evacuate", "air": "Shelter"}


@dataclass(frozen=True, slots=True)
class Threat:
    """What may happen, as a domain's events or an alarm say it. `kind` and `place` are its name."""

    kind: str
    place: str
    probability: float
    lead_s: float  # until it happens; 0 now
    harm: float  # in the city's unit, if it happens and nobody is warned
    threshold: float  # probability from which a warning pays: its cost against the loss it averts
    area: Area
    advice: str

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or not self.lead_s >= 0 or not self.harm >= 0 or not self.advice.strip():
            raise BadWarning(
                f"threat {self.kind} at {self.place}: probability {self.probability} (0 … 1), lead {self.lead_s} s and "
                f"harm {self.harm} (from 0 on), advice {self.advice!r} (not empty)"
            )


def of_risk(risk: Risk, area: Area, lead_s: float, threshold: float) -> Threat:
    """What a domain's forecast names; `threshold` is the cost of a warning over the loss that it averts."""
    return Threat(risk.what, risk.asset, risk.probability, lead_s, risk.consequence, threshold, area, risk.action)


def of_alarm(alarm: Alarm, area: Area) -> Threat | None:
    """What an alarm says is so, as harmful as it is urgent; None while it is not raised, shelved, or out of service.

    What it asks of the operator is no advice for people: `action` of its rule must be one that anybody can follow.
    """
    if alarm.state not in {State.UNACKNOWLEDGED, State.ACKNOWLEDGED}:
        return None
    rule = alarm.rule
    return Threat(rule.name.condition, rule.name.asset, 1.0, 0.0, HARM[rule.priority], 0.0, area, rule.action)


def certainty(probability: float) -> str:
    if probability >= OBSERVED:
        return "Observed"
    if probability > LIKELY:
        return "Likely"
    return "Possible" if probability > POSSIBLE else "Unlikely"


def urgency(lead_s: float) -> str:
    if lead_s <= IMMEDIATE_S:
        return "Immediate"
    return "Expected" if lead_s <= EXPECTED_S else "Future"


def severity(harm: float) -> str:
    for name, bound in (("Extreme", EXTREME), ("Severe", SEVERE), ("Moderate", MODERATE)):
        if harm >= bound:
            return name
    return "Minor"


@dataclass(frozen=True, slots=True)
class Standing:
    """A warning that people have been given. `chain`: its messages, the newest last."""

    threat: Threat
    chain: tuple[Message, ...]

    @property
    def newest(self) -> Message:
        return self.chain[-1]


@dataclass(eq=False)
class Warnings:
    """All warnings of a city. `sender` as in CAP: who answers for them, unique in the world."""

    sender: str
    armed: bool = False
    _standing: dict[tuple[str, str], Standing] = field(default_factory=dict, init=False)

    def arm(self, by: str) -> str:
        """From here on messages are Actual; what to put on record. Raises Refused without a name."""
        if not by.strip():
            raise Refused("nobody: warnings are armed by a person, by name")
        self.armed = True
        return f"{by} has armed the warnings of {self.sender}"

    def disarm(self, by: str) -> str:
        self.armed = False
        return f"{by} has disarmed the warnings of {self.sender}"

    @property
    def standing(self) -> Sequence[Standing]:
        return [self._standing[name] for name in sorted(self._standing)]

    def resume(self, standing: Sequence[Standing]) -> None:
        """What was given before a restart: it is updated and cancelled like any other."""
        self._standing |= {(one.threat.kind, one.threat.place): one for one in standing}

    def weigh(self, threats: Sequence[Threat], now_ns: int) -> list[Message]:
        """What to send now that these are all the threats there are: alerts, updates, cancellations.

        Raises Refused where there would be more warnings than people can read; then nothing has changed.
        """
        now = {(one.kind, one.place): one for one in threats}
        new = [one for name, one in now.items() if name not in self._standing and one.probability > one.threshold]
        if len(self._standing) + len(new) > STANDING_MAX:
            raise Refused(f"{len(self._standing) + len(new)} warnings at once, {STANDING_MAX} can be: look for a fault")
        told = [self._over(one, now_ns) for one in self.standing if self._is_over(one, now)]
        told += [
            self._say(now[name], one, "Update", now_ns)
            for name, one in list(self._standing.items())
            if name in now and self._is_news(one, now[name], now_ns)
        ]
        return told + [self._say(one, None, "Alert", now_ns) for one in sorted(new, key=lambda each: -each.harm)]

    def feed(self, now_ns: int) -> Sequence[Message]:
        """The message that counts of each warning, unless it has run out."""
        return [one.newest for one in self.standing if one.newest.expires_ns > now_ns]

    def _is_over(self, one: Standing, now: dict[tuple[str, str], Threat]) -> bool:
        threat = now.get((one.threat.kind, one.threat.place))
        return threat is None or threat.probability <= QUIET * threat.threshold

    def _is_news(self, one: Standing, threat: Threat, now_ns: int) -> bool:
        """Another class, another area or status, or about to run out."""
        said, says = one.newest, self._message(threat, one, "Update", now_ns)
        words = ("urgency", "severity", "certainty", "areas", "status", "instruction")
        return (
            any(getattr(said, name) != getattr(says, name) for name in words) or said.expires_ns - now_ns < RENEW_S * NS
        )

    def _over(self, one: Standing, now_ns: int) -> Message:
        threat = replace(one.threat, probability=min(one.threat.probability, POSSIBLE))
        message = self._message(threat, one, "Cancel", now_ns)
        del self._standing[one.threat.kind, one.threat.place]
        return message

    def _say(self, threat: Threat, before: Standing | None, kind: str, now_ns: int) -> Message:
        message = self._message(threat, before, kind, now_ns)
        chain = before.chain if before else ()
        kept = tuple(one for one in chain if one.expires_ns > now_ns)
        self._standing[threat.kind, threat.place] = Standing(threat, (*kept, message))
        return message

    def _message(self, threat: Threat, before: Standing | None, kind: str, now_ns: int) -> Message:
        """References name every message of the warning that has not run out; the newest at least."""
        chain = before.chain if before else ()
        earlier = tuple(one for one in chain if one.expires_ns > now_ns) or chain[-1:]
        digest = sha256(f"{threat.kind} {threat.place} {kind} {now_ns}".encode()).hexdigest()[:16]
        onset_ns = now_ns + int(min(threat.lead_s, 365 * 86_400.0) * NS)
        cancel = kind == "Cancel"
        headline = f"{'No longer: ' if cancel else ''}{threat.kind} at {threat.area.name}"
        return Message(
            identifier=f"{self.sender}-{digest}",
            sender=self.sender,
            sent_ns=now_ns,
            status="Actual" if self.armed else "Exercise",
            msgType=kind,
            category=CATEGORY.get(threat.kind, "Other"),
            event=threat.kind,
            responseType="AllClear" if cancel else RESPONSE.get(threat.kind, "Prepare"),
            urgency="Past" if cancel else urgency(threat.lead_s),
            severity="Minor" if cancel else severity(threat.harm),
            certainty="Unlikely" if cancel else certainty(threat.probability),
            onset_ns=onset_ns,
            expires_ns=max(now_ns, onset_ns) + int(LASTS_S * NS),
            headline=headline,
            description=f"{threat.kind} at {threat.area.name}: {threat.probability:.0%} likely",
            instruction="The warning has ended." if cancel else threat.advice,
            areas=(threat.area,),
            references=tuple(one.reference for one in earlier),
            parameters=(("probability", f"{threat.probability:.3f}"), ("place", threat.place)),
            note="" if self.armed else NOTE,
        )
