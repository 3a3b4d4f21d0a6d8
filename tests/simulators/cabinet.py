"""A certified signal controller as rules: it owns the lamps, whatever anybody asks for.

One second after the other. It keeps minimum green, yellow and all-red, lights no two signal groups that conflict, and
runs its own fixed plan unless requests keep coming: a request that is not written again for `TTL_S` has lapsed.

A request is 100 · ask + stage: 1 call (this stage comes next), 2 hold (do not end the running stage), 3 force off (end
the running stage once its minimum green has passed, and change to this one); 0 asks for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

TTL_S = 15
MAX_GREEN_S = 180  # no hold keeps a stage longer
CALL, HOLD, FORCE_OFF = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Groups:
    """The stages as lamps per link (G protected, g yields, r red) and which links must never be G together."""

    stages: tuple[str, ...]
    plan_s: tuple[int, ...]  # green of each stage in the own plan
    foes: frozenset[tuple[int, int]]

    def conflicts(self, lamps: str) -> list[tuple[int, int]]:
        return sorted((a, b) for a, b in self.foes if lamps[a] == lamps[b] == "G")


@dataclass(eq=False, slots=True)
class Cabinet:
    """`tick` once a second; `request` whenever one is written. Raises ValueError for stages that conflict."""

    groups: Groups
    min_green_s: int = 5
    yellow_s: int = 3
    all_red_s: int = 0
    stage: int = 1  # that is green, or was until the clearance
    next_stage: int = 0  # while it clears; else 0
    age_s: int = 0  # since green, or since the clearance began
    on_request: bool = False
    refused: int = 0  # requests that it did not follow: unknown, too early, held too long
    asked: int = 0
    left_s: int = 0  # until the request lapses
    followed_s: int = 0  # seconds with a request that had not lapsed
    history: list[tuple[int, int]] = field(default_factory=list)  # (stage, seconds of green)

    def __post_init__(self) -> None:
        for number, lamps in enumerate(self.groups.stages, 1):
            if found := self.groups.conflicts(lamps):
                raise ValueError(f"stage {number}: links {found} conflict")

    def request(self, code: int) -> bool:
        """Take a request; False, and nothing changes, if it is none that this cabinet knows."""
        ask, stage = divmod(code, 100)
        if code and not (CALL <= ask <= FORCE_OFF and 1 <= stage <= len(self.groups.stages)):
            self.refused += 1
            return False
        if code != self.asked and ask == FORCE_OFF and not self.next_stage and self.age_s < self.min_green_s:
            self.refused += 1  # too early: it waits until the minimum green has passed
        self.asked, self.left_s = code, TTL_S
        return True

    def tick(self) -> str:
        """One second passes; the lamps of the next one."""
        self.age_s += 1
        self.left_s = max(0, self.left_s - 1)
        self.on_request = self.asked > 0 and self.left_s > 0
        self.followed_s += self.on_request
        if self.next_stage:
            if self.age_s >= self.yellow_s + self.all_red_s:
                self.stage, self.next_stage, self.age_s = self.next_stage, 0, 0
        elif (wanted := self._wanted()) != self.stage and self.age_s >= self.min_green_s:
            self.history.append((self.stage, self.age_s))
            self.next_stage, self.age_s = wanted, 0
        return self.lamps()

    def lamps(self) -> str:
        now = self.groups.stages[self.stage - 1]
        if not self.next_stage:
            return now
        ends = "y" if self.age_s < self.yellow_s else "r"
        after = self.groups.stages[self.next_stage - 1]
        lamps = "".join(self._lamp(a, b, ends) for a, b in zip(now, after, strict=True))
        assert not self.groups.conflicts(lamps), lamps
        return lamps

    @staticmethod
    def _lamp(now: str, after: str, ends: str) -> str:
        """Green before and after stays green, as the one that yields; what ends clears; what begins waits."""
        if now not in "Gg":
            return "r"
        if after not in "Gg":
            return ends
        return now if now == after else "g"

    def _wanted(self) -> int:
        """The stage that should run now."""
        ask, stage = divmod(self.asked, 100) if self.on_request else (0, 0)
        if ask == FORCE_OFF:
            return stage
        if ask == HOLD and stage == self.stage:
            if self.age_s < MAX_GREEN_S:
                return self.stage
            self.refused += 1
        if self.age_s < self.groups.plan_s[self.stage - 1]:
            return self.stage
        return stage if ask == CALL else self.stage % len(self.groups.stages) + 1


def foes_of(pairs: Sequence[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    return frozenset((min(pair), max(pair)) for pair in pairs)
