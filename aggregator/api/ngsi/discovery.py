"""What types of entities there are, and what Attributes (5.7.5 … 5.7.10)."""

from uuid import uuid4

from aggregator.api.ngsi.answer import Answer, shown
from aggregator.api.ngsi.errors import ResourceNotFound
from aggregator.api.ngsi.request import Call
from aggregator.api.ngsi.words import Json

Table = dict[str, dict[str, set[str]]]  # type → Attribute → types of the Attribute


def types(call: Call) -> Answer:
    call.context = call.linked()
    found, context = table(call), call.context
    if call.flag("details"):
        rows = [
            {
                "id": kind,
                "type": "EntityType",
                "typeName": context.compact(kind),
                "attributeNames": [context.compact(one) for one in attrs],
            }
            for kind, attrs in found.items()
        ]
        return shown(call, rows)
    names = sorted(context.compact(one) for one in found)
    return shown(call, {"id": f"urn:ngsi-ld:EntityTypeList:{uuid4()}", "type": "EntityTypeList", "typeList": names})


def one_type(call: Call) -> Answer:
    call.context = call.linked()
    kind, context = call.context.expand(call.path[0], "type"), call.context
    some = [one for one in call.room().all() if kind in one["type"]]
    if not some:
        raise ResourceNotFound(f"{call.path[0]}: no entity is of this type")
    details = [
        {
            "id": name,
            "type": "Attribute",
            "attributeName": context.compact(name),
            "attributeTypes": sorted(kinds),
        }
        for name, kinds in table(call)[kind].items()
    ]
    head = {"id": kind, "type": "EntityTypeInfo", "typeName": context.compact(kind)}
    return shown(call, head | {"entityCount": len(some), "attributeDetails": details})


def table(call: Call) -> Table:
    made: Table = {}
    for one in call.room().all():
        for kind in one["type"]:
            row = made.setdefault(kind, {})
            for name, some in one["attrs"].items():
                row.setdefault(name, set()).update(each["type"] for each in some)
    return made


def attributes(call: Call) -> Answer:
    call.context = call.linked()
    found, context = table(call), call.context
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    if call.flag("details"):
        rows = [
            {
                "id": name,
                "type": "Attribute",
                "attributeName": context.compact(name),
                "typeNames": [context.compact(kind) for kind, row in found.items() if name in row],
            }
            for name in names
        ]
        return shown(call, rows)
    told = sorted(context.compact(one) for one in names)
    return shown(call, {"id": f"urn:ngsi-ld:AttributeList:{uuid4()}", "type": "AttributeList", "attributeList": told})


def one_attribute(call: Call) -> Answer:
    call.context = call.linked()
    name, context = call.context.expand(call.path[0], "attribute"), call.context
    some = [one for one in call.room().all() if name in one["attrs"]]
    if not some:
        raise ResourceNotFound(f"{call.path[0]}: no entity has this attribute")
    found: Json = {
        "id": name,
        "type": "Attribute",
        "attributeName": context.compact(name),
        "attributeCount": sum(len(one["attrs"][name]) for one in some),
        "attributeTypes": sorted({each["type"] for one in some for each in one["attrs"][name]}),
        "typeNames": sorted({context.compact(kind) for one in some for kind in one["type"]}),
    }
    return shown(call, found)
