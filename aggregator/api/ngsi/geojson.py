"""Entities as GeoJSON (4.5.16, 4.5.17, RFC 7946): Features, their geometry one of the GeoProperties."""

from collections.abc import Sequence

from aggregator.api.ngsi.geo import shape_of
from aggregator.api.ngsi.view import View
from aggregator.api.ngsi.words import Json


def feature(found: Json, shown: Json, prop: str, view: View) -> Json:
    """`prop`: the URI of the GeoProperty; null where there is none, or none of its instances is meant."""
    some = found["attrs"].get(prop, [])
    wanted = view.datasets or {"@none"}
    picked = next((one for one in some if one.get("datasetId", "@none") in wanted), None)
    value = picked.get("value") if picked else None
    return {
        "id": found["id"],
        "type": "Feature",
        "geometry": value if shape_of(value) is not None else None,
        "properties": {key: one for key, one in shown.items() if key != "id"},
    }


def collection(features: Sequence[Json]) -> Json:
    return {"type": "FeatureCollection", "features": list(features)}
