"""What a person wants of a decision, from a terminal or the page: approve, reject, take back.

Also what is refused is noted.
"""

from dataclasses import replace

from aggregator.decisions import Refused
from aggregator.decisions.decision import RUNNING, Decision, State, unpacked
from aggregator.decisions.steward import row_of
from aggregator.stores import StoreError
from aggregator.stores.catalogue import Catalogue
from aggregator.stores.decisions import DecisionRow, Decisions

ACTS = ("approve", "reject", "stop")
TRIES = 3  # of a change that the server was quicker with


def change(decisions: Decisions, catalogue: Catalogue, name: str, act: str, by: str, why: str, now_ns: int) -> Decision:
    """The decision as it is then. Raises Refused, StoreError for a name that there is not, or where the server is
    quicker again and again."""
    for _ in range(TRIES):
        row = decisions.get(name)
        try:
            one = wanted(row, act, by, why, now_ns)
        except Refused as error:
            catalogue.note(now_ns, by, f"{act} refused", name, str(error))
            raise
        withdraw = unpacked(row.content).state in RUNNING
        if decisions.change(row_of(one, row.version), by, act, why or one.state.value, withdraw=withdraw):
            return one
    raise StoreError(f"{name}: it changes faster than it can be read; try again")


def wanted(row: DecisionRow, act: str, by: str, why: str, now_ns: int) -> Decision:
    """Raises Refused."""
    one = unpacked(row.content)
    if act == "approve":
        return one.approve(by, now_ns)
    if act == "reject" and one.state not in (State.PROPOSED, State.APPROVED):
        raise Refused(f"{one.id} is {one.state.value}; `aggregator decisions stop` takes back what runs")
    return replace(one.reject(by, why, now_ns), changed_ns=now_ns)
