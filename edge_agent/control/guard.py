"""The last word on every output. It is always there: no file, order, model or switch takes it out. Rules without IO.

    nobody has wished for the output's TTL        → safe value        a decision that is no number   → safe value
    a person or the centre takes its wish back    → safe value        not shown in time, or wrong    → safe value
    never acted yet: held, or safe (`start`)                          the writes of its life are spent → safe value
    outside min and max · faster than the slew limit · on or off for too short · no write to spare → the nearest allowed

This is not a SIL-rated safety function (IEC 61508): hardware interlocks stay where they are.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.cell import Output
from edge_agent.control.acting import Acting
from edge_agent.setpoint import Authority, Decision, Standing
from protos.clock import NS

PAUSE_NS, PAUSE_MAX_NS = 60 * NS, 3600 * NS  # in the safe state after a read-back that was wrong; doubled each time
SAYS_OF_OTHERS = (Authority.HAND, Authority.CENTRAL)  # theirs ends when they end it; local ones ride through on the TTL


class Write(NamedTuple):
    """What is to be written now."""

    output: int
    value: float


@dataclass(slots=True)
class Post:
    """What the guard knows of one output besides its physical side."""

    acting: Acting
    valid: Decision | None = None  # the last valid decision
    begun: bool = False  # somebody has decided since the start
    ours: bool = False  # an earlier life of this agent has written it: what it left is ours to end
    first_ns: int | None = None  # the first tick
    asked_ns: int | None = None  # the first valid decision
    by: str = ""
    safe: bool = False  # the guard has set it to its safe value
    fault: str = ""  # why it may not act: read-back
    until_ns: int = 0  # of the fault
    pause_ns: int = PAUSE_NS


class Guard:
    """Judges every decision before it is written.

    In each tick: `seen` for what was read, `standing`, then `judge`, then `due` gives what to write; the answer to
    each write goes to `written` or `failed`, whenever it comes. `writes` are those of the output's life so far, by
    name, as `saved` gave them last.
    """

    def __init__(self, outputs: Sequence[Output], period_ns: int, writes: Mapping[str, int] | None = None) -> None:
        self.outputs = outputs
        self.limited_total: Counter[str] = Counter()  # by rule
        self.failsafes_total = 0
        self._now_ns = 0
        known = writes or {}
        self._posts = [Post(Acting(one, period_ns, known.get(one.name, 0)), ours=one.name in known) for one in outputs]

    # ---- how things stand

    def seen(self, output: int, value: float, at_ns: int) -> None:
        """The output's point was read: `value` (internal unit), received at `at_ns`."""
        self._suspect(self._posts[output], self._posts[output].acting.seen(value, at_ns))

    def standing(self) -> list[Standing]:
        return [
            Standing(post.acting.value, one.low, one.high, post.by)
            for one, post in zip(self.outputs, self._posts, strict=True)
        ]

    def ours(self) -> list[int]:
        """The outputs that this agent has set, now or in an earlier life: it answers for how they are left."""
        return [number for number, post in enumerate(self._posts) if post.by or post.ours]

    def obeyed(self) -> list[bool]:
        """Of each output, whether the device shows what is set now."""
        return [post.acting.obeyed for post in self._posts]

    def alarms(self) -> Mapping[str, str]:
        """Output → what is wrong with it, to be acted on by a person."""
        found = {}
        for one, post in zip(self.outputs, self._posts, strict=True):
            if post.fault:
                found[one.name] = post.fault
            elif post.acting.worn:
                found[one.name] = f"the {one.lifetime_writes} writes of its life are spent: replace it"
            elif post.acting.failure:
                found[one.name] = post.acting.failure
        return found

    def saved(self) -> Mapping[str, int]:
        """Writes of each output that was ever acted on, to be given to the next life."""
        return {
            one.name: post.acting.writes
            for one, post in zip(self.outputs, self._posts, strict=True)
            if post.acting.writes or post.ours
        }

    # ---- judging

    def judge(self, decisions: Sequence[Decision], now_ns: int) -> list[Decision]:
        """What is really set in this tick. NaN: the output is left alone."""
        self._now_ns = max(self._now_ns, now_ns)  # a tick may be late, but never earlier than the last
        return [self._judge(post, one) for post, one in zip(self._posts, decisions, strict=True)]

    def _judge(self, post: Post, decision: Decision) -> Decision:
        now = self._now_ns
        post.first_ns = now if post.first_ns is None else post.first_ns
        self._recover(post, post.acting.missing(now))
        wanted = self._wanted(post, decision)
        if not wanted.acts:
            post.by = ""
            return wanted
        low, high = self._bounds(post, decision)
        safe = wanted.authority is Authority.FAILSAFE
        jump = safe and post.acting.output.safe_jump
        value, rule = post.acting.reach(wanted.value, low, high, now, jump=jump)
        if rule:
            self.limited_total[rule] += 1
        self.failsafes_total += safe and not post.safe
        post.safe, post.by = safe, wanted.by
        return wanted._replace(value=value, limited=rule or wanted.limited, low=low, high=high)

    def _wanted(self, post: Post, decision: Decision) -> Decision:
        """The decision that counts, before the physical limits."""
        now, output = self._now_ns, post.acting.output
        if decision.by and not math.isfinite(decision.value):
            return self._failsafe(post, decision, f"{decision.by} decided {decision.value:g}", "finite")
        if post.fault:
            return self._failsafe(post, decision, post.fault, "read-back")
        if post.acting.worn:
            return self._failsafe(post, decision, "the writes of its life are spent", "write budget")
        if decision.by and now < decision.not_after_ns:
            return self._valid(post, decision)
        if post.valid and now < post.valid.not_after_ns and post.valid.authority not in SAYS_OF_OTHERS:
            held = post.valid  # rides through: one missing reading is no reason to move
            return held._replace(low=decision.low, high=decision.high, overruled=decision.overruled)
        if post.begun:
            return self._failsafe(post, decision, self._lapsed(post), "lapsed")
        left_ns = (post.first_ns or 0) + output.ttl_ns - now
        if output.start == "safe" or (post.ours and left_ns <= 0):
            return self._failsafe(post, decision, f"start: {decision.why}", "start")
        return decision._replace(value=math.nan, authority=Authority.NOBODY, by="", why="start: left as it was found")

    def _valid(self, post: Post, decision: Decision) -> Decision:
        now, output = self._now_ns, post.acting.output
        if not post.begun and math.isnan(post.acting.value):  # bumpless: it begins from what the device shows
            post.asked_ns = now if post.asked_ns is None else post.asked_ns
            if now - post.asked_ns <= output.readback_ns:
                why = "start: its present value is not known yet"
                return decision._replace(value=math.nan, authority=Authority.NOBODY, by="", why=why, limited="start")
            return self._failsafe(post, decision, "start: its present value cannot be read", "start")
        post.begun = True
        post.valid = decision
        if decision.not_after_ns > now + output.ttl_ns:
            post.valid = decision._replace(not_after_ns=now + output.ttl_ns)
        return post.valid

    def _failsafe(self, post: Post, decision: Decision, why: str, rule: str) -> Decision:
        output = post.acting.output
        if rule != "start":
            post.begun = True
        return Decision(
            value=output.safe,
            authority=Authority.FAILSAFE,
            by="guard",
            why=why,
            not_after_ns=self._now_ns + output.ttl_ns,
            limited=rule,
            overruled=decision.overruled,
            low=decision.low,
            high=decision.high,
        )

    def _lapsed(self, post: Post) -> str:
        last = post.valid
        if last is None:
            return "nobody wishes"
        return f"{last.by} has not renewed its wish; nobody else wishes"

    def _bounds(self, post: Post, decision: Decision) -> tuple[float, float]:
        """The output's own bounds, and what interlocks leave of them."""
        output = post.acting.output
        low = min(max(output.low, decision.low), output.high)
        return low, max(min(output.high, decision.high), low)

    # ---- read-back

    def _suspect(self, post: Post, fault: str) -> None:
        """What it shows is not what it was told: safe state, for a while that doubles with each time in a row."""
        if not fault:
            return
        post.acting.begin_again(self._now_ns, at_once=not post.fault)
        if not post.fault:
            post.until_ns = self._now_ns + post.pause_ns
            post.pause_ns = min(2 * post.pause_ns, PAUSE_MAX_NS)
        post.fault = fault

    def _recover(self, post: Post, missing: str) -> None:
        """Out of the safe state once it shows that it obeys and the pause has passed."""
        self._suspect(post, missing)
        if post.fault and post.acting.confirmed and self._now_ns >= post.until_ns:
            post.fault = ""
        elif not post.fault and self._now_ns >= post.until_ns + PAUSE_MAX_NS:
            post.pause_ns = PAUSE_NS

    # ---- writing

    def due(self, now_ns: int) -> list[Write]:
        """What to write now: what changed, what is to be refreshed, what failed. Each counts as on its way."""
        found = []
        for number, post in enumerate(self._posts):
            if post.by and post.acting.due(now_ns):
                post.acting.sent(now_ns)
                found.append(Write(number, post.acting.value))
        return found

    def written(self, output: int, held: float, now_ns: int, *, applied: bool) -> None:
        """A write was answered: the device holds `held` (NaN: it cannot tell); `applied`: that is what it was told."""
        self._suspect(self._posts[output], self._posts[output].acting.written(held, now_ns, applied=applied))

    def failed(self, output: int, why: str, now_ns: int) -> None:
        """A write was refused or unanswered; it is tried again, and counts as not shown until it works."""
        self._posts[output].acting.failed(why, now_ns)
