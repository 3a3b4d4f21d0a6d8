"""Plans of the city's domains, proposed as decisions, and what ended ones gained. In a process of its own, beside the
server: a plan may take seconds of a core, and ingestion must not wait for it."""

import time
from collections.abc import Iterator, Sequence

from aggregator import config
from aggregator.decisions import DecisionError, Refused
from aggregator.decisions.checkpointed import Checkpointed
from aggregator.decisions.decision import State, unpacked
from aggregator.decisions.proposal import propose
from aggregator.decisions.run import PLAN_S
from aggregator.decisions.sight import gained
from aggregator.decisions.steward import row_of
from aggregator.screen import fail, show
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.city import CityStore
from aggregator.stores.decisions import Decisions
from aggregator.verbs import checkpoint
from protos.clock import SystemClock

NS = 1_000_000_000
SEEN_NS = 30 * NS  # after the end of the last order: by then the city's pictures of it are there
STEPS_MAX = 96  # that a plan is made for: a day of quarters of an hour


async def go_on(settings: config.Config, names: Sequence[str], horizon_ns: int, by: str, every_ns: int) -> None:
    """Until cancelled; what fails once is told, and tried again."""
    clock = SystemClock()
    due_ns = clock.monotonic_ns()
    while True:
        try:
            show(propose_all(settings, names, horizon_ns, by), as_json=False, title="proposed")
        except (StoreError, DecisionError) as error:
            fail(error)
        due_ns = max(due_ns + every_ns, clock.monotonic_ns())
        await clock.sleep_until(due_ns)


def propose_all(settings: config.Config, names: Sequence[str], horizon_ns: int, by: str) -> list[dict[str, object]]:
    """A row for each domain: the decision, or why there is none; and for each that was measured. Raises StoreError."""
    city = checkpoint.city_of(settings)
    if unknown := [name for name in names if name not in city.parts]:
        raise StoreError(f"{', '.join(unknown)}: no such domain; there are {', '.join(city.parts)}")
    standing = checkpoint.standing(settings, city)
    catalogue = Catalogue(settings.catalogue)
    try:
        decisions = Decisions(catalogue)
        rows = list(measure(settings, standing, decisions))
        wanted = names or planners(standing)
        return rows + [propose_one(settings, standing, decisions, name, horizon_ns, by) for name in wanted]
    finally:
        catalogue.close()


def planners(city: Checkpointed) -> list[str]:
    """Domains whose plans set points."""
    return [name for name, (domain, _) in city.standing.items() if any(one.point for one in domain.controls)]


def propose_one(
    settings: config.Config, city: Checkpointed, decisions: Decisions, name: str, horizon_ns: int, by: str
) -> dict[str, object]:
    now_ns = time.time_ns()
    standing = [row.id for row in decisions.open() if row.domain == name and unpacked(row.content).end_ns > now_ns]
    if standing:
        return {"domain": name, "decision": standing[0], "told": "is open; one at a time"}
    domain, belief = city.fresh()[name], city.standing[name][1]
    steps = min(STEPS_MAX, max(1, horizon_ns // domain.dt_ns))
    plan = domain.plan(belief, steps, PLAN_S)
    try:
        one = propose(city, name, plan, settings.decisions, by, time.time_ns(), decisions.enrolled())
    except Refused as error:
        return {"domain": name, "decision": "", "told": str(error)}
    decisions.put(row_of(one), by, one.basis.why)
    return {"domain": name, "decision": one.id, "told": f"needs {one.needs.persons} persons: {one.needs.why}"}


def measure(settings: config.Config, city: Checkpointed, decisions: Decisions) -> Iterator[dict[str, object]]:
    """What those gained that are effective and over."""
    now_ns = time.time_ns()
    store = CityStore(settings.twin, read_only=True)
    for row in decisions.open():
        one = unpacked(row.content)
        if one.state is not State.EFFECTIVE or now_ns < one.end_ns + SEEN_NS:
            continue
        gain = gained(store, city, one)
        if gain is not None:
            settled = row_of(one.settle(gain, now_ns), row.version)
            decisions.change(settled, "aggregator", "measure", f"gained {gain:.4g} of {one.basis.expects[0].name}")
            yield {"domain": row.domain, "decision": row.id, "told": f"gained {gain:.4g}"}
    store.close()
