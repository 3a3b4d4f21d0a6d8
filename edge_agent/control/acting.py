"""One output as it really stands: what it was told, what it shows, how fast and how often it may change.

Accepted is not actuated: what counts is what the device shows. It must show what it was told within `readback_ns`, and
may show nothing else. Two things are no disobedience: time in which this agent itself stood still is not the device's,
and a device whose own timeout has passed without a write has gone to its safe state as it should; it is taken over from
there. All times are monotonic ns, all values internal units. Rules without IO.
"""

import math
from dataclasses import dataclass

from edge_agent.cell import Output
from protos.clock import NS

LATE_PERIODS = 3  # a tick that is later earns no larger step: the output would jump; nor is the device blamed for it
WRITES_BURST = 50  # of a register that wears out, for a busy day
RETRY_MAX_NS = 600 * NS  # of a write that fails: 100,000 writes then last for two years of it
LIFE_NS = 10 * 31_557_600 * NS  # how long its writes have to last: ten years
TOLD_MAX = 64  # values that a slow device has not shown yet; beyond, the oldest are one range
EXACT = 1e-9  # two values nearer than this (relative) are one: unit conversion rounds


@dataclass(slots=True)
class Told:
    """A value that the device was given. It may show it until a newer one was confirmed, and `readback_ns` more."""

    value: float
    low: float  # what counts as showing it: registers round
    high: float
    since_ns: int
    until_ns: int = 0  # 0: not superseded yet


class Acting:
    """The physical side of one output. `value` is what is applied: told last, or shown where it was never told."""

    def __init__(self, output: Output, period_ns: int, writes: int = 0) -> None:
        self.output = output
        self.value = math.nan
        self.shown = math.nan
        self.shown_ns = 0
        self.on: bool | None = None
        self.changed_ns = 0  # when it went on or off
        self.writes = writes  # of its whole life
        self.failures_total = 0
        self.failure = ""  # of the last write; "" it worked
        self._period_ns = period_ns
        self._judged_ns: int | None = None
        self._told: list[Told] = []
        self._sent: float = math.nan  # on its way, not yet answered
        self._sent_ns = 0
        self._held: float = math.nan  # what the device was last known to be given
        self._retry_ns = self._pause_ns = 0  # of a write that failed
        self._waiting_ns: int | None = None  # since when a told value is not shown
        self._asked_ns: int | None = None  # when that was last looked at
        self._fed_ns: int | None = None  # when the device last answered a write; None: that is over
        self._trusted_ns: int | None = None  # from then on it may show only what it was told
        self._tokens = float(WRITES_BURST)
        self._tokens_ns: int | None = None

    # ---- what the device shows

    def seen(self, value: float, at_ns: int) -> str:
        """The device showed `value` at `at_ns`. Returns what is wrong with that, "" nothing."""
        if not math.isfinite(value) or at_ns <= self.shown_ns:
            return ""
        if at_ns - self.shown_ns > self.output.readback_ns:  # it was silent, and is back: no need to wait longer
            self._retry_ns = min(self._retry_ns, at_ns)
        self.shown, self.shown_ns = value, at_ns
        if self._left_alone(at_ns):
            self._fed_ns = None  # once: what it does with the next write is its own doing
            self.begin_again(at_ns, at_once=True)
            return ""
        if math.isnan(self.value) or not self._told:
            self._apply(value, at_ns)
            return ""
        self._told = [one for one in self._told if not one.until_ns or at_ns <= one.until_ns]
        for place in reversed(range(len(self._told))):
            if self._shows(place, value):
                self._confirmed(place, at_ns)
                return ""
        if self._trusted_ns is None or at_ns < self._trusted_ns:
            return ""
        self._apply(value, at_ns)
        return f"shows {value:g}, was told {self._told[-1].value:g}"

    def missing(self, now_ns: int) -> str:
        """What is wrong when it has not shown in time what it was told; "" nothing. Call it in each tick."""
        stood_ns = 0 if self._asked_ns is None else now_ns - self._asked_ns - LATE_PERIODS * self._period_ns
        self._asked_ns = now_ns
        if self._waiting_ns is not None and stood_ns > 0:
            self._waiting_ns += stood_ns
        if self._waiting_ns is None or now_ns - self._waiting_ns <= self.output.readback_ns:
            return ""
        wanted = self._told[-1].value
        shows = f"shows {self.shown:g}" if math.isfinite(self.shown) else "shows nothing"
        return f"told {wanted:g}, {shows} after {(now_ns - self._waiting_ns) / NS:.1f} s" + (
            f": {self.failure}" if self.failure else ""
        )

    def _left_alone(self, at_ns: int) -> bool:
        """Whether the device has not been written for as long as its own timeout: it did then as it is made to do."""
        timeout_ns = self.output.device_timeout_ns
        return timeout_ns > 0 and self._fed_ns is not None and at_ns - self._fed_ns >= timeout_ns

    def begin_again(self, now_ns: int, *, at_once: bool) -> None:
        """Go on from what it shows; the time to show what it is told runs anew. `at_once`: write without a pause."""
        self._waiting_ns = None
        self._trusted_ns = None
        self._told.clear()
        self._held = math.nan
        if at_once:
            self._retry_ns = now_ns
        if math.isfinite(self.shown):
            self._apply(self.shown, now_ns)

    @property
    def confirmed(self) -> bool:
        """Whether it shows what it was told last."""
        return bool(self._told) and self._waiting_ns is None

    @property
    def obeyed(self) -> bool:
        """Whether it shows the value that is applied now."""
        return self.confirmed and self._same(self._told[-1].value, self.value)

    def _shows(self, place: int, value: float) -> bool:
        """Whether `value` is what it was told at `place`, or on the way from there to the next."""
        reached = self._told[place : place + 2]
        slack = self.output.tolerance + EXACT * max(1.0, abs(value))
        return min(one.low for one in reached) - slack <= value <= max(one.high for one in reached) + slack

    def _confirmed(self, place: int, at_ns: int) -> None:
        until_ns = at_ns + self.output.readback_ns
        for one in self._told[:place]:
            one.until_ns = one.until_ns or until_ns
        newer = self._told[place + 1 :]
        self._waiting_ns = newer[0].since_ns if newer else None
        if self._trusted_ns is None:
            self._trusted_ns = until_ns

    # ---- what it may be set to

    def reach(self, wanted: float, low: float, high: float, now_ns: int, *, jump: bool) -> tuple[float, str]:
        """The nearest to `wanted` that may be applied now, and the rule that kept it from `wanted` ("" none).

        `low` and `high` are within the output's own; `jump` lets it be reached at once: for the safe value.
        """
        value, rule = min(max(wanted, low), high), ""
        if value != wanted:
            rule = "bounds" if not self.output.low <= wanted <= self.output.high else "interlock"
        if not jump:
            value, rule = self._slewed(value, now_ns, rule)
            value, rule = self._patient(value, now_ns, rule)
            value, rule = self._thrifty(value, now_ns, rule)
            value = min(max(value, self.output.low), self.output.high)  # it may have been found outside
        self._judged_ns = now_ns
        self._apply(value, now_ns)
        return value, rule

    def _slewed(self, value: float, now_ns: int, rule: str) -> tuple[float, str]:
        output = self.output
        if math.isnan(self.value) or math.isinf(output.slew_per_s):
            return value, rule
        passed_ns = self._period_ns if self._judged_ns is None else max(0, now_ns - self._judged_ns)
        step = output.slew_per_s * min(passed_ns, LATE_PERIODS * self._period_ns) / NS
        if abs(value - self.value) <= step:
            return value, rule
        return self.value + math.copysign(step, value - self.value), "slew"

    def _patient(self, value: float, now_ns: int, rule: str) -> tuple[float, str]:
        """Stay on or off for the minimum time: it keeps the value that it has."""
        if self.on is None or self._is_on(value) == self.on:
            return value, rule
        least_ns = self.output.min_on_ns if self.on else self.output.min_off_ns
        if now_ns - self.changed_ns >= least_ns:
            return value, rule
        return self.value, "minimum on time" if self.on else "minimum off time"

    @property
    def worn(self) -> bool:
        """Whether the writes of its whole life are spent."""
        return 0 < self.output.lifetime_writes <= self.writes

    def _thrifty(self, value: float, now_ns: int, rule: str) -> tuple[float, str]:
        """Where memory wears out: no change within the tolerance, none without a write to spare."""
        given = self._held if math.isnan(self._sent) else self._sent
        if not self.output.lifetime_writes or math.isnan(given):
            return value, rule
        if abs(value - given) <= self.output.tolerance:
            return given, rule
        return (value, rule) if self.writes_left(now_ns) >= 1 else (given, "write budget")

    def _apply(self, value: float, now_ns: int) -> None:
        on = self._is_on(value)
        if on != self.on:
            self.on, self.changed_ns = on, now_ns
        self.value = value

    def _is_on(self, value: float) -> bool:
        return value >= self.output.off_below

    # ---- writing

    def due(self, now_ns: int) -> bool:
        """Whether `value` is to be written now; then call `sent`."""
        if math.isnan(self.value) or now_ns < self._retry_ns:
            return False
        if not math.isnan(self._sent) and now_ns - self._sent_ns < self.output.readback_ns:
            return False  # one at a time; an answer that never comes is not waited for longer
        if not self._same(self.value, self._held):
            return True
        output = self.output
        if not output.refresh_ns or now_ns - self._sent_ns < output.refresh_ns:
            return False
        return bool(output.device_timeout_ns) or self.writes_left(now_ns) >= 1

    def _same(self, value: float, held: float) -> bool:
        """Whether the device could not tell them apart."""
        step = self.output.step
        if not step or math.isnan(held):
            return value == held
        return round(value / step) == round(held / step)

    def sent(self, now_ns: int) -> None:
        """`value` is on its way."""
        self.writes_left(now_ns)
        self._tokens -= 1
        self.writes += 1
        self._sent, self._sent_ns = self.value, now_ns
        if not self._told or self._told[-1].value != self.value:
            self._told.append(Told(self.value, self.value, self.value, now_ns))
            if self._waiting_ns is None:
                self._waiting_ns = now_ns
        if len(self._told) > TOLD_MAX:
            first, second = self._told[:2]
            merged = min(first.low, second.low), max(first.high, second.high)
            self._told[:2] = [Told(second.value, *merged, first.since_ns, second.until_ns)]

    def written(self, held: float, now_ns: int, *, applied: bool) -> str:
        """The write was answered: the device holds `held` (NaN: it cannot tell). Returns what is wrong, "" nothing."""
        self.failure, self._pause_ns = "", 0
        self._fed_ns = now_ns
        self._held = self._sent
        self._sent = math.nan
        if not math.isfinite(held) or not self._told:
            return ""
        newest = self._told[-1]
        if applied and newest.value == self._held:  # the register may not hold it to the last digit
            newest.low, newest.high = min(newest.low, held), max(newest.high, held)
        return self.seen(held, now_ns)

    def failed(self, why: str, now_ns: int) -> None:
        """The write was refused, or nobody knows what became of it. It is tried again; where memory wears out, ever
        more rarely, for what nobody answered may have been written."""
        self.failure = why
        self.failures_total += 1
        self._sent = math.nan
        self._held = math.nan
        least_ns = min(self.output.readback_ns, NS)
        longest_ns = RETRY_MAX_NS if self.output.lifetime_writes else least_ns
        self._pause_ns = min(max(2 * self._pause_ns, least_ns), longest_ns)
        self._retry_ns = now_ns + self._pause_ns

    def writes_left(self, now_ns: int) -> float:
        """Writes that may be made now; inf where memory does not wear. The life is spread over ten years."""
        life = self.output.lifetime_writes
        if not life:
            return math.inf
        since_ns = now_ns if self._tokens_ns is None else self._tokens_ns
        self._tokens = min(WRITES_BURST, self._tokens + max(0, now_ns - since_ns) * life / LIFE_NS)
        self._tokens_ns = max(now_ns, since_ns)
        return min(self._tokens, life - self.writes)
