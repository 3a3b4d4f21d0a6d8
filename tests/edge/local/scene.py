"""A cell of three outputs and two twins as its control loop would show it, for the servers that show it to others."""

from dataclasses import dataclass, replace

import numpy as np

from edge_agent.setpoint import Authority, Decision
from edge_agent.snapshot import Applied, Central, Hold, Mode, Roster, Snapshot, TwinNames, TwinState
from protos.clock import NS
from protos.quality import Quality, Reason, code

ESTIMATED = code(Quality.UNCERTAIN, Reason.ESTIMATED)
BAD = code(Quality.BAD, Reason.NO_ANSWER)
ROSTER = Roster(
    outputs=("valve", "pump", "lamp"),
    points=("tank/valve", "tank/pump", "street/lamp"),
    units=("%", "m3/h", "1"),
    twins=(TwinNames("tank", ("level", "leak"), ("m", "m3/h")), TwinNames("road", ("queue",), ("count",))),
)
UTC_NS = 1_800_000_000 * NS


def snapshot(now_ns: int, tick: int = 1, *, mode: Mode = Mode.RUNNING, utc: bool = True) -> Snapshot:
    """Valve decided by the pid, pump held by a person, lamp not touched yet."""
    return Snapshot(
        roster=ROSTER,
        tick=tick,
        now_ns=now_ns,
        utc_ns=UTC_NS if utc else None,
        mode=mode,
        decisions=(
            Decision(42.5, Authority.LOCAL, "level", "level 1.9 m, wanted 2.0 m", now_ns + 5 * NS, "tank 3", low=10),
            Decision(7.0, Authority.HAND, "hand", "kim: repair", now_ns + 60 * NS, "", "slew", ("level",)),
            Decision(float("nan"), Authority.NOBODY, "", "not touched yet", 0),
        ),
        applied=(
            Applied(42.0, 41.9, now_ns - NS // 2, "applied", writes=12),
            Applied(6.0, 6.0, now_ns - NS, "clamped"),
            Applied(float("nan"), float("nan"), 0),
        ),
        twins=(
            TwinState(np.array([1.9, 0.2]), np.array([0.01, 0.1]), np.array([ESTIMATED, ESTIMATED], np.uint8),
                      "tank 3", "current", 1.1),
            TwinState(np.array([12.0]), np.array([2.0]), np.array([BAD], np.uint8), "road 1", "probation", 0.9, 3 * NS),
        ),
        late=4,
        missed=1,
        central=Central(True, 17, now_ns - 2 * NS),
        holds=(Hold(1, 7.0, "kim", "repair", now_ns + 60 * NS),),
    )  # fmt: skip


@dataclass(eq=False)
class Newest:
    """Where a loop puts its newest snapshot."""

    snapshot: Snapshot | None = None

    def __call__(self) -> Snapshot | None:
        return self.snapshot

    def decide(self, output: int, **changes: object) -> None:
        assert self.snapshot is not None
        decisions = list(self.snapshot.decisions)
        decisions[output] = decisions[output]._replace(**changes)  # type: ignore[arg-type]
        self.snapshot = replace(self.snapshot, decisions=tuple(decisions), tick=self.snapshot.tick + 1)
