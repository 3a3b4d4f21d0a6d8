"""Who did what, and when: the audit, from the first row on."""

import msgspec

from aggregator.access.roles import AUDITORS
from aggregator.api.items import Items, Paged, utc
from aggregator.api.route import Call, Route


class AuditItem(msgspec.Struct, frozen=True):
    number: int
    at: str
    actor: str
    act: str
    subject: str
    detail: str


def audit(call: Call) -> Items[AuditItem]:
    after = call.query.place or 0
    with call.parts.catalogue() as catalogue:
        rows = catalogue.audit(after, call.query.limit)
    items = [AuditItem(one.number, utc(one.at_ns), one.actor, one.act, one.subject, one.detail) for one in rows]
    return Items(items, str(rows[-1].number) if len(rows) == call.query.limit else None)


ROUTES = (Route("GET", "/api/v1/audit", audit, AUDITORS, "Who did what", query=Paged, answer=Items[AuditItem]),)
