"""What time, gateways and the twin's own doubts do to a decision, and what is to be ordered now. Rules without IO.

The blast radius grows from one gateway to a share of them to all: to the next stage once everything that was ordered
in this one is carried out and has been watched for a while. It halts by itself when too many orders fail, when nobody
knows what became of them, when the twin is no longer calibrated, and at an all-stop.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from aggregator.decisions.decision import RUNNING, Decision, State, stages
from aggregator.decisions.policy import Needs, Policy
from aggregator.twin.calibration import Verdict

NS = 1_000_000_000
FAILED = ("rejected", "undelivered", "unknown", "revoked")
APPLIED = ("applied", "clamped")  # limited at the gateway is carried out too: there the gateway has the say
MEASURED_NS = 86_400 * NS  # after its end: what the city was like then is no longer kept
SHORTEST_NS = NS  # an order of less is over before it is read back


class Fate(NamedTuple):
    """What became of the order of an act (stores/orders.py)."""

    fate: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the world now."""

    now_ns: int
    verdict: Verdict  # of the decision's domain
    fates: Mapping[int, Fate] = field(default_factory=dict)  # by the act's place, of those that were given
    stops: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # newest all-stop of a gateway: UTC ns, why
    enrolled: int = 0  # gateways of the city


@dataclass(frozen=True, slots=True)
class Move:
    """The decision as it is now, acts to be given, and whether those that were given are taken back."""

    decision: Decision
    give: tuple[int, ...] = ()
    withdraw: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    policy: Policy

    def next(self, one: Decision, seen: Seen) -> Move:
        """What is to be done now. The same for the same; the caller keeps it and does it as one."""
        if one.over:
            return Move(one)
        if why := self._stopped(one, seen):
            return self._halt(one, why, seen)
        if one.state is State.PROPOSED:
            return self._proposed(one, seen)
        if one.state is State.APPROVED:
            return self._approved(one, seen)
        return self._running(self._heard(one, seen), seen)

    def _stopped(self, one: Decision, seen: Seen) -> str:
        stops = [seen.stops[gateway] for gateway in one.gateways if gateway in seen.stops]
        newest = max(stops, default=(0, ""))
        return f"all-stop: {newest[1]}" if newest[0] >= one.proposed_ns else ""

    def _proposed(self, one: Decision, seen: Seen) -> Move:
        if seen.now_ns >= one.decide_by_ns:
            return Move(one.now(State.EXPIRED, "nobody approved it in time", seen.now_ns))
        if self._needs(one, seen).persons == 0 and seen.verdict.allowed:
            return Move(one.now(State.APPROVED, "by policy", seen.now_ns))
        return Move(one)

    def _needs(self, one: Decision, seen: Seen) -> Needs:
        """What was asked for when it was proposed, or what the policy asks for now, whichever is more."""
        return max(one.needs, self.policy.needs(one.basis.domain, one.acts, seen.enrolled))

    def _approved(self, one: Decision, seen: Seen) -> Move:
        """Begin, if those who must agree have, and the state that it rests on is not too old."""
        if seen.now_ns >= one.decide_by_ns:
            return Move(one.now(State.EXPIRED, "it was not begun in time", seen.now_ns))
        needs = self._needs(one, seen)
        if not one.agreed(needs):
            return Move(one.now(State.REJECTED, f"not approved: {needs.why}", seen.now_ns))
        if not one.approvals and not seen.verdict.allowed:
            return Move(one.now(State.REJECTED, f"not without a person: {seen.verdict.why}", seen.now_ns))
        begun = replace(
            one.now(State.DISPATCHED, "", seen.now_ns),
            stage=0,
            stage_ns=seen.now_ns,
            begun_ns=seen.now_ns,
            calibrated=seen.verdict.allowed,
        )
        return Move(begun, self._due(begun, seen))

    def _heard(self, one: Decision, seen: Seen) -> Decision:
        """With what gateways have said since."""
        applied = frozenset(i for i, fate in seen.fates.items() if fate.fate in APPLIED)
        accepted = applied | frozenset(i for i, fate in seen.fates.items() if fate.fate == "accepted")
        if applied <= one.applied and accepted <= one.accepted:
            return one
        return replace(one, applied=one.applied | applied, accepted=one.accepted | accepted, changed_ns=seen.now_ns)

    def _running(self, one: Decision, seen: Seen) -> Move:
        if why := self._trouble(one, seen):
            return self._halt(one, f"halted: {why}", seen)
        if seen.now_ns >= one.end_ns:
            if one.state is State.EFFECTIVE:  # until what it has gained is measured
                return Move(one if seen.now_ns < one.end_ns + MEASURED_NS else one.settle(None, seen.now_ns))
            late = "it ended before every gateway had carried it out"
            return Move(one.now(State.EXPIRED, late, seen.now_ns))
        one = self._grown(one, seen)
        give = self._due(one, seen)
        return Move(one if give else self._reached(one, seen), give)

    def _trouble(self, one: Decision, seen: Seen) -> str:
        failed = {i: fate for i, fate in seen.fates.items() if fate.fate in FAILED}
        if failed and len(failed) > self.policy.halt_share * len(seen.fates):
            i, fate = min(failed.items())
            act = one.acts[i]
            told = f"{act.gateway}/{act.point} {fate.fate}{': ' if fate.reason else ''}{fate.reason}"
            return f"{len(failed)} of {len(seen.fates)} orders failed, first {told}"
        if one.calibrated and not seen.verdict.allowed and seen.now_ns < one.end_ns:
            return f"calibration lost: {seen.verdict.why}"
        return ""

    def _halt(self, one: Decision, why: str, seen: Seen) -> Move:
        return Move(one.now(State.REJECTED, why, seen.now_ns), withdraw=one.state in RUNNING)

    def _grown(self, one: Decision, seen: Seen) -> Decision:
        """To the next stage, if this one is carried out and watched."""
        last = len(stages(len(one.gateways), self.policy.first_share)) - 1
        watched = seen.now_ns >= one.stage_ns + int(self.policy.watch_s * NS)
        if one.stage >= last or not watched or not self._done(one, seen, one.applied):
            return one
        return replace(one, stage=one.stage + 1, stage_ns=seen.now_ns, changed_ns=seen.now_ns)

    def _done(self, one: Decision, seen: Seen, by: frozenset[int]) -> bool:
        """Whether everything that was given, failures within the limit aside, is in `by`; and something was."""
        here = one.reach(self.policy.first_share)
        given = {i for i in seen.fates if one.acts[i].gateway in here}
        failed = {i for i in given if seen.fates[i].fate in FAILED}
        reached = {one.acts[i].gateway for i in given}
        waiting = {act.gateway for act in one.acts if act.gateway in here and act.end_ns > seen.now_ns}
        return bool(given) and waiting <= reached and given - failed - self._overridden(one, seen) <= by

    def _reached(self, one: Decision, seen: Seen) -> Decision:
        """Acknowledged or effective, once all gateways are in reach and have answered."""
        whole = len(one.reach(self.policy.first_share)) == len(one.gateways)
        if not whole or one.state is State.EFFECTIVE:
            return one
        if self._done(one, seen, one.applied):
            return one.now(State.EFFECTIVE, "", seen.now_ns)
        if one.state is State.DISPATCHED and self._done(one, seen, one.accepted):
            return one.now(State.ACKNOWLEDGED, "", seen.now_ns)
        return one

    def _due(self, one: Decision, seen: Seen) -> tuple[int, ...]:
        """Acts whose time is now, at gateways within reach, that were never given and that nobody has overridden."""
        here, hands = set(one.reach(self.policy.first_share)), self._overridden(one, seen)
        taken = {(one.acts[i].gateway, one.acts[i].point) for i in hands}
        return tuple(i for i in self._now(one, seen) if one.acts[i].gateway in here and _place(one, i) not in taken)

    def _now(self, one: Decision, seen: Seen) -> Iterator[int]:
        for i, act in enumerate(one.acts):
            if i not in seen.fates and act.start_ns <= seen.now_ns <= act.end_ns - SHORTEST_NS:
                yield i

    @staticmethod
    def _overridden(one: Decision, seen: Seen) -> set[int]:
        """Acts that somebody else's order has taken the place of: superseded, and by none of ours."""
        newest: dict[tuple[str, str], int] = {}
        for i in sorted(seen.fates, key=lambda i: one.acts[i].start_ns):
            newest[_place(one, i)] = i
        return {i for i in newest.values() if seen.fates[i].fate == "superseded"}


def _place(one: Decision, i: int) -> tuple[str, str]:
    return one.acts[i].gateway, one.acts[i].point
