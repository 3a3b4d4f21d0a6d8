"""Who this source of context is (5.15)."""

from aggregator.api.ngsi import times
from aggregator.api.ngsi.answer import Answer, shown
from aggregator.api.ngsi.request import Call


def source(call: Call) -> Answer:
    call.context = call.linked()
    broker = call.broker
    tenant = call.headers.get("ngsild-tenant", "")
    seconds = max(0, (broker.now_ns - broker.began_ns) // times.NS)
    alias = broker.settings.name + (f"~{tenant}" if tenant else "")
    found = {
        "id": f"urn:ngsi-ld:ContextSourceIdentity:{alias.replace('~', ':')}",
        "type": "ContextSourceIdentity",
        "contextSourceAlias": alias,
        "contextSourceUptime": f"PT{seconds}S",
        "contextSourceTimeAt": times.text(broker.now_ns),
    }
    return shown(call, found)
