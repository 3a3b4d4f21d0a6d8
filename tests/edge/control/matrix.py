"""The sensor matrix: what a controller does when a sensor is absent, dies, freezes, says NaN, spikes, or rests.

Each fault runs through the real cleaning and image. `misbehaviour` says what went against the declared fallback.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from edge_agent.setpoint import Controller, Wish
from protos.clock import NS
from protos.quality import Quality, Reason, code
from tests.edge.control.rig import Rig
from tests.edge.control.scenes import SCENES, TIME, Failing, Wished, dithered, outputs_of, spec_of_kind

FAULTS = ("absent at boot", "dies", "falls silent", "freezes", "NaN", "spikes", "reports on change")
BIT_FAULTS = ("absent at boot", "dies", "falls silent", "NaN", "reports on change")  # of what rests rightly
TIME_FAULTS = ("absent at boot", "dies")
NO_ANSWER = (math.nan, code(Quality.BAD, Reason.NO_ANSWER))
STUCK_S = 10
HEALTHY_TICKS = 30  # of 1 s
GRACE_TICKS = 3 + STUCK_S + 2  # until a failure must have shown
HEARTBEAT = 30  # ticks of 10 s between two reports of one that reports on change
NOON = 1_795_435_200 * NS  # a Monday in November 2026, UTC
TOLERANCE = 0.02  # of an output's range

Wrap = Callable[[Controller], Controller]
Value = float | tuple[float, int] | None


def faults_of(kind: str, role: str) -> Sequence[str]:
    if role == TIME:
        return TIME_FAULTS
    return BIT_FAULTS if SCENES[kind].failing[role].bit else FAULTS


class Trial:
    """One controller in its scene; `step` runs a tick with one role as told."""

    def __init__(self, kind: str, failing: Failing, *, slow: bool = False, wrap: Wrap | None = None) -> None:
        scene = SCENES[kind]
        self.spec = spec_of_kind(kind)
        self.outputs = outputs_of(kind, self.spec)
        self.values = dict(scene.values) | dict(failing.values)
        self._bits = {role for role, one in scene.failing.items() if one.bit}
        checks: Mapping[str, Mapping[str, float]] = {"stuck": {"after_s": STUCK_S}, "spike": {"sigmas": 6.0}}
        self.rig = Rig(
            self.spec,
            self.outputs,
            checks={} if slow else checks,
            quiet=[self.spec.inputs[role] for role in self._bits if role != TIME],
            period_ns=10 * NS if slow else NS,
            point_period_ns=10 * HEARTBEAT * NS if slow else NS,
            predictors=scene.predictors,
        )
        if wrap is not None:
            self.rig.controller = wrap(self.rig.controller)
        self.tick = 0

    def step(self, role: str, value: Value) -> dict[str, Wish]:
        """`value` None: nothing arrives of it. The others are healthy."""
        self.tick += 1
        arrived: dict[str, float | tuple[float, int]] = {}
        for other, healthy in self.values.items():
            found = value if other == role else healthy if other in self._bits else dithered(healthy, self.tick)
            if found is not None:
                arrived[self.spec.inputs[other]] = found
        utc_ns = None if role == TIME and value is None else NOON + self.tick * NS
        wishes = {wish.output: wish for wish in self.rig.tick(arrived, utc_ns)}
        names = [one.name for one in self.outputs]
        return {to: wishes[names.index(name)] for to, name in self.spec.outputs.items() if names.index(name) in wishes}

    def healthy(self, role: str) -> Value:
        if role == TIME:
            return 0.0
        value = self.values[role]
        return value if role in self._bits else dithered(value, self.tick + 1)

    def differs(self, wishes: Mapping[str, Wish], wanted: Wished | None) -> str:
        if wanted is None:
            return "" if wishes else "wishes for nothing"
        if wishes.keys() != wanted.keys():
            return f"wishes for {sorted(wishes) or 'nothing'}, not for {sorted(wanted) or 'nothing'}"
        for role, value in wanted.items():
            slot = next(one for one in self.outputs if one.name == self.spec.outputs[role])
            if abs(wishes[role].low - value) > TOLERANCE * (slot.high - slot.low):
                return f"wishes {wishes[role].low:g} for {role}, not {value:g}"
        return ""


def misbehaviour(kind: str, role: str, fault: str, wrap: Wrap | None = None) -> list[str]:
    """What the controller did against its declared fallback; nothing if it behaved."""
    failing = SCENES[kind].failing[role]
    trial = Trial(kind, failing, slow=fault == "reports on change", wrap=wrap)
    if fault == "reports on change":
        return list(filter(None, [resting(trial, role, failing, kind)]))
    if fault == "spikes":
        return list(filter(None, [spiking(trial, Trial(kind, failing), role)]))
    found = [] if fault == "absent at boot" else list(filter(None, [settled(trial, role, failing, kind)]))
    frozen = trial.healthy(role)
    value: Value = {"dies": NO_ANSWER, "freezes": frozen, "NaN": math.nan}.get(fault)
    value = None if role == TIME else value
    for tick in range(failing.settles):
        wishes = trial.step(role, value)
        if failing.fallback == {} and tick >= (0 if fault == "absent at boot" else GRACE_TICKS) and wishes:
            return [*found, f"{tick} s into it, it wishes for {sorted(wishes)}"]
    if problem := trial.differs(wishes, failing.fallback):
        found.append(f"at the end it {problem}")
    return found


def settled(trial: Trial, role: str, failing: Failing, kind: str) -> str:
    """Let it run in health; what it wishes then must be healthy."""
    for _ in range(HEALTHY_TICKS):
        wishes = trial.step(role, trial.healthy(role))
    wanted = failing.healthy if failing.healthy is not None else SCENES[kind].healthy
    if wanted is not None and not failing.values:
        problem = trial.differs(wishes, wanted)
        return f"in health it {problem}" if problem else ""
    return "" if wishes else "in health it wishes for nothing"


def resting(trial: Trial, role: str, failing: Failing, kind: str) -> str:
    """Every five minutes the same value and nothing between: alive, so it must not fall back."""
    if role in trial.values:
        trial.values[role] = SCENES[kind].values[role] if not failing.values else trial.values[role]
    for tick in range(3 * HEARTBEAT):
        wishes = trial.step(role, trial.values.get(role, 0.0) if tick % HEARTBEAT == 0 else None)
        twin = failing.healthy if failing.healthy is not None else SCENES[kind].healthy
        if not wishes and twin != {}:
            return f"{10 * tick} s after its start it falls back although its sensor lives"
    return ""


def spiking(trial: Trial, calm: Trial, role: str) -> str:
    """One wild value, which cleaning doubts, must change nothing."""
    for _ in range(HEALTHY_TICKS):
        trial.step(role, trial.healthy(role))
        calm.step(role, calm.healthy(role))
    for tick in range(3):
        value = trial.healthy(role)
        wild = -1000.0 * trial.values[role] if tick == 0 else value
        wishes, others = trial.step(role, wild), calm.step(role, calm.healthy(role))
        if problem := trial.differs(wishes, {to: wish.low for to, wish in others.items()}):
            return f"{tick} s after the spike it {problem}"
    return ""
