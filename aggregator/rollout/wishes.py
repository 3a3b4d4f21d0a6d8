"""What persons may do about a rollout, from a terminal or over HTTP: one change of the table, audited either way."""

from aggregator.rollout import RolloutError
from aggregator.rollout.engine import row_of
from aggregator.rollout.plan import Rollout, unpacked
from aggregator.stores import StoreError
from aggregator.stores.rollouts import Entry, RolloutRow, Rollouts

ACTS = ("approve", "pause", "resume", "abort")
TRIES = 5  # of a change that the server was quicker with


def change(rollouts: Rollouts, act: str, row: RolloutRow, by: str, why: str, now_ns: int) -> Rollout:
    """Raises RolloutError for what cannot be done now, StoreError where the server is quicker again and again."""
    for _ in range(TRIES):
        try:
            one = wanted(unpacked(row.content), act, by, why, now_ns)
        except RolloutError as error:
            rollouts.catalogue.note(now_ns, by, f"rollout {act} refused", row.id, str(error))
            raise
        if rollouts.change(row_of(one, row.version, now_ns), by, [Entry(f"rollout {act}", row.id, why or one.title)]):
            return one
        row = rollouts.get(row.id)
    raise StoreError(f"{row.id}: it changes faster than it can be read; try again")


def newest_of(rollouts: Rollouts, twin: str) -> RolloutRow:
    """What may be taken back of a twin. Raises StoreError."""
    found = [row for row in rollouts.newest() if row.twin == twin and not row.over]
    if not found:
        raise StoreError(f"{twin}: no rollout that could be taken back; `aggregator models rollouts` lists them")
    return found[0]


def wanted(one: Rollout, act: str, by: str, why: str, now_ns: int) -> Rollout:
    match act:
        case "approve":
            return one.approve(by, now_ns)
        case "pause":
            return one.pause(why or f"by {by}")
        case "resume":
            return one.resume(now_ns)
    return one.abort(why or f"{act} by {by}")
