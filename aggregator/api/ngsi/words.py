"""The words of the standard that are no names of Attributes, and what makes a name, a URI, a scope."""

import re
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

NULL = "urn:ngsi-ld:null"  # 4.5.0: what removes a member where partial updates and merges allow it
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
NGSI = "https://uri.etsi.org/ngsi-ld/"
VOCAB = NGSI + "default-context/"
DEFAULT_TENANT = ""
BYTES_MAX = 8 << 20  # of a request's body: a batch of thousands of entities; more is an import, not a request

VALUE: Mapping[str, str] = {  # type of an Attribute → the member that holds what it says (4.5.2 … 4.5.24)
    "Property": "value",
    "GeoProperty": "value",
    "Relationship": "object",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
    "JsonProperty": "json",
}
PREVIOUS: Mapping[str, str] = {name: "previous" + name[0].upper() + name[1:] for name in VALUE.values()}
PLURAL: Mapping[str, str] = {  # the member of the simplified temporal representation (4.5.9)
    "value": "values",
    "object": "objects",
    "languageMap": "languageMaps",
    "vocab": "vocabs",
    "valueList": "valueLists",
    "objectList": "objectLists",
    "json": "jsons",
}
TIMES = ("observedAt", "createdAt", "modifiedAt", "deletedAt", "expiresAt")
SYSTEM = ("createdAt", "modifiedAt", "expiresAt", "deletedAt")  # shown only where options=sysAttrs asks for them
OUTPUT_ONLY = frozenset({*SYSTEM, *PREVIOUS.values(), "instanceId", "entity", "entityList"} - {"expiresAt"})
PLAIN = frozenset({"unitCode", "observedAt", "datasetId", "lang", "objectType", "expiresAt"})  # may be given
MEMBERS = frozenset({"type", *VALUE.values(), *PLAIN, *OUTPUT_ONLY})  # of an Attribute, that are no Attributes
GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")

NAME = re.compile(r"[^\W\d_]\w*\Z")  # 4.6.2
PREFIXED = re.compile(r"[^\W\d_][\w-]*:[^\W\d_][\w-]*\Z")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+\Z")  # RFC 3986, and IRIs (RFC 3987)
LEVEL = r"[^\W\d_]\w*"
SCOPE = re.compile(rf"/?{LEVEL}(/{LEVEL})*\Z")  # 4.18


def is_uri(value: object) -> bool:
    return isinstance(value, str) and bool(URI.match(value))


def is_name(value: object) -> bool:
    """A short name, prefix:name, or a URI."""
    return isinstance(value, str) and bool(NAME.match(value) or PREFIXED.match(value) or URI.match(value))


def is_geometry(value: object) -> bool:
    """Whether it looks like GeoJSON; `geo` says whether it is."""
    return (
        isinstance(value, dict)
        and value.get("type") in (*GEOMETRIES, "GeometryCollection")
        and ("coordinates" in value or "geometries" in value)
    )
