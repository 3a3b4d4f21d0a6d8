"""A catalogue with gateways that have a valve each, and a decision about them: the machine without a city."""

from collections.abc import Sequence
from pathlib import Path

from aggregator.decisions.decision import Act, Basis, Decision, Expected
from aggregator.decisions.policy import Policy
from aggregator.decisions.steward import Steward, row_of
from aggregator.stores.catalogue import Catalogue, Point
from aggregator.stores.decisions import Decisions
from aggregator.stores.orders import Orders, Report
from aggregator.twin.calibration import Verdict
from protos.clock import NS, SteppedClock

NOW_NS = 1_800_000_000 * NS
GOOD, BAD = Verdict(True, "calibrated"), Verdict(False, "NIS/m is 4.00, above 3.0")
BASIS = Basis(
    "services",
    "every pond stays below its rim",
    NOW_NS,
    "digest",
    "model",
    "optimal",
    1.0,
    9.0,
    [Expected("services", "over", 9.0, 1.0, 6.0, 9.0)],
    60 * NS,
    [9.0] * 10,
)
POLICY = Policy(automatic=("services",), city_wide=0.8, watch_s=60.0, approve_s=900.0)


def gateway(number: int) -> str:
    return f"gw-{number:02d}"


def decided(
    gateways: int, policy: Policy = POLICY, enrolled: int = 40, name: str = "d-1", windows: int = 2
) -> Decision:
    """`windows` acts of ten minutes each, one after the other, at every gateway."""
    acts = tuple(
        Act(gateway(i), "pump/valve", "percentage", 40.0 + w, NOW_NS + w * 600 * NS, NOW_NS + (w + 1) * 600 * NS)
        for i in range(gateways)
        for w in range(windows)
    )
    needs = policy.needs("services", acts, 40)
    return Decision(name, BASIS, acts, needs, "planner", NOW_NS, NOW_NS + 900 * NS, changed_ns=NOW_NS)


class Table:
    """The store, a steward and a clock; gateways answer when they are asked to."""

    def __init__(self, folder: Path, gateways: int = 40, policy: Policy = POLICY) -> None:
        self.path, self.policy = folder / "catalogue.sqlite", policy
        self.clock, self.verdict = SteppedClock(0, NOW_NS), GOOD
        self.gateways = gateways
        catalogue = Catalogue(self.path)
        for i in range(gateways):
            with catalogue.act(NOW_NS, "test", "enrol", gateway(i)):
                catalogue.put_gateway(gateway(i), "enrolled", NOW_NS)
            point = Point(gateway(i), "pump", "valve", "%", "services", "percentage", "", True, False, True)
            catalogue.put_points(gateway(i), "north", [point], b"")
        self.begin(catalogue)

    def begin(self, catalogue: Catalogue | None = None) -> None:
        """As after a start of the server."""
        self.catalogue = catalogue or Catalogue(self.path)
        self.decisions, self.orders = Decisions(self.catalogue), Orders(self.catalogue)
        self.steward = Steward(self.decisions, self.policy, lambda domain, now_ns: self.verdict, self.clock)

    def kill(self) -> None:
        self.catalogue.close()
        self.begin()

    async def tick(self, after_s: float = 0.0) -> None:
        await self.clock.advance(int(after_s * NS))
        await self.steward.tick()

    def put(self, one: Decision) -> None:
        self.decisions.put(row_of(one), one.proposer, "a plan")

    def answer(self, fate: str = "applied", only: Sequence[str] = (), reason: str = "") -> int:
        """Gateways say something of all that they have not yet answered so; how many orders that were."""
        rows = [
            row
            for row in self.orders.newest(limit=200)
            if row.fate in ("waiting", "sent", "accepted") and not row.stops
        ]
        rows = [row for row in rows if not only or row.gateway in only]
        self.orders.report([Report(row.gateway, row.id, fate, reason, None, self.clock.wall_ns()) for row in rows])
        return len(rows)
