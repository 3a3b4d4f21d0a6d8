"""A rollout as it is kept: which model, how far, what each gateway made of it, the evidence so far. One document."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from aggregator.rollout import RolloutError
from aggregator.rollout.policy import WAVES
from aggregator.rollout.sequential import Bet, Comparison


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"  # nothing new is begun; what is wrong is taken back all the same
    ABORTING = "aborting"  # until no gateway that is there has it any more
    ABORTED = "aborted"
    DONE = "done"  # gateways that come later get it too
    SUPERSEDED = "superseded"  # a newer one for the same twin has begun


class Stage(StrEnum):
    """Of one gateway."""

    ASKED = "asked"
    SHADOW = "shadow"
    PROBATION = "probation"
    GOOD = "good"  # committed, and within its contract
    FAILED = "failed"  # never got it, or broke its contract
    BACK = "back"  # took it back
    CLEARED = "cleared"  # has it no more, as it was told


HELD = (Stage.ASKED, Stage.SHADOW, Stage.PROBATION, Stage.GOOD)
ENDED = (Stage.FAILED, Stage.BACK)


@dataclass(frozen=True, slots=True)
class Member:
    """A gateway that takes part. `given`: the director has confirmed what is wanted of it now."""

    stage: Stage = Stage.ASKED
    apply: bool = False  # false: it may step in the shadow only
    given: bool = False
    tries: int = 1
    waited_s: float = 0.0  # in this try, while it was there
    away: bool = False
    cluster: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a gateway had told when it was last looked at, and how it did with the model it had before (means)."""

    digest: str = ""  # that the totals are of
    totals: Mapping[str, float] = field(default_factory=dict)
    looks: int = 0  # in which its error was measured before
    error: float = 0.0
    kpi_looks: int = 0
    kpi: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Approval:
    wave: int
    person: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """`target` is what the director calls the bundle; `digest` its SHA-256, by which gateways report it."""

    id: str
    twin: str
    target: str
    digest: str
    title: str
    person: str
    made_ns: int
    error: Comparison
    kpi: Comparison
    state: State = State.RUNNING
    wave: int = 0
    began_ns: int = 0  # the wave; 0: it waits for somebody to agree, or for its window
    looked_ns: int = 0
    stepped_ns: int = 0
    reason: str = ""
    approvals: tuple[Approval, ...] = ()
    members: Mapping[str, Member] = field(default_factory=dict)
    marks: Mapping[str, Marks] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.state in (State.ABORTED, State.SUPERSEDED)

    @property
    def wave_name(self) -> str:
        return WAVES[self.wave]

    def count(self, *stages: Stage) -> int:
        return sum(one.stage in stages for one in self.members.values())

    def pause(self, why: str) -> Self:
        if self.state is not State.RUNNING:
            raise RolloutError(f"{self.id} is {self.state}: only what runs can be paused")
        return replace(self, state=State.PAUSED, reason=why)

    def resume(self, now_ns: int) -> Self:
        """Go on; the time that a wave may take begins anew, for a person has looked."""
        if self.state is not State.PAUSED:
            raise RolloutError(f"{self.id} is {self.state}: only what is paused can be resumed")
        began_ns = now_ns if self.began_ns else 0
        return replace(self, state=State.RUNNING, reason="", began_ns=began_ns)

    def abort(self, why: str) -> Self:
        """Take it back everywhere, whether it runs, is paused or was done."""
        if self.state not in (State.RUNNING, State.PAUSED, State.DONE):
            raise RolloutError(f"{self.id} is {self.state}: there is nothing to take back")
        members = {
            name: replace(one, given=False, apply=False, waited_s=0.0) if one.stage is not Stage.CLEARED else one
            for name, one in self.members.items()
        }
        return replace(self, state=State.ABORTING, reason=why, members=members)

    def approve(self, person: str, now_ns: int) -> Self:
        """Agree to the wave that waits, or to the next one."""
        if self.state not in (State.RUNNING, State.PAUSED):
            raise RolloutError(f"{self.id} is {self.state}: it needs nobody's approval")
        wave = self.wave if not self.began_ns else self.wave + 1
        if wave >= len(WAVES):
            raise RolloutError(f"{self.id} is in its last wave: it needs nobody's approval")
        return replace(self, approvals=(*self.approvals, Approval(wave, person, now_ns)))

    def approved(self, wave: int) -> bool:
        return any(one.wave == wave for one in self.approvals)


def begin(
    rollout: str, twin: str, target: str, digest: str, *, title: str, person: str, now_ns: int, margin: float
) -> Rollout:
    evidence = Comparison.begin(margin)
    return Rollout(rollout, twin, target, digest, title, person, now_ns, evidence, evidence)


def packed(one: Rollout) -> str:
    return json.dumps(asdict(one), separators=(",", ":"), sort_keys=True)


def unpacked(content: str) -> Rollout:
    table: dict[str, Any] = json.loads(content)
    for name in ("error", "kpi"):
        table[name] = Comparison(**{side: _bet(table[name][side]) for side in ("fine", "worse")})
    table["approvals"] = tuple(Approval(**each) for each in table["approvals"])
    table["members"] = {k: Member(**each | {"stage": Stage(each["stage"])}) for k, each in table["members"].items()}
    table["marks"] = {name: Marks(**each) for name, each in table["marks"].items()}
    return Rollout(**table | {"state": State(table["state"])})


def _bet(table: Mapping[str, Any]) -> Bet:
    return Bet(table["m"], tuple(table["logs"]), table["seen"])
