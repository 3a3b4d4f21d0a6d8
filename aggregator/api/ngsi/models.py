"""The city's assets as FIWARE Smart Data Models: which type a kind of asset is, and what its numbers are called there.

What has no model keeps its own name, in the default vocabulary. Without IO.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from aggregator.twin.part import Asset

Z90 = 1.6448536269514722  # of the 90 % interval of a normal distribution
UNIT_CODES = {  # UN/CEFACT Recommendation 20; "P1" is percent
    "%": "P1", "A": "AMP", "K": "KEL", "Pa": "PAL", "V": "VLT", "W": "WTT", "Wh": "WHR", "count": "C62", "degC": "CEL",
    "kW": "KWT", "km/h": "KMH", "lx": "LUX", "m": "MTR", "m/s": "MTS", "m3": "MTQ", "m3/h": "MQH", "s": "SEC",
    "ug/m3": "GQ", "var": "D44", "veh/h": "H10", "1": "C62",
}  # fmt: skip


class Named(NamedTuple):
    """An attribute of a model: its name, and what the twin's number is multiplied with for it."""

    name: str
    unit: str = ""  # of the model, where it differs from the twin's
    scale: float = 1.0


@dataclass(frozen=True)
class Model:
    type: str
    names: Mapping[str, Named] = field(default_factory=dict)  # by quantity


POWER = {
    "active_power": Named("totalActivePower"),
    "reactive_power": Named("totalReactivePower"),
    "voltage": Named("voltage"),
    "current": Named("current"),
}
AIR = {name: Named(name) for name in ("pm25", "pm10", "no2", "o3", "so2", "co")}
MODELS: Mapping[str, Model] = {
    "link": Model("TrafficFlowObserved", {"flow": Named("intensity"), "speed": Named("averageVehicleSpeed")}),
    **dict.fromkeys(("load", "pv", "source", "bus", "meter", "storage"), Model("ThreePhaseAcMeasurement", POWER)),
    "charger": Model("EVChargingStation", POWER),
    "lamp": Model("Streetlight", {"level": Named("illuminanceLevel", "1", 0.01)} | POWER),
    **dict.fromkeys(("station", "cell"), Model("AirQualityObserved", AIR)),
    "container": Model("WasteContainer", {"fill_level": Named("fillingLevel", "1", 0.01)}),
    "watch": Model("WaterObserved", {"flood_level": Named("height")}),
}
SEVERITIES = {1: "critical", 2: "high", 3: "medium", 4: "low"}
CATEGORIES = {"traffic": "traffic", "environment": "environment", "safety": "security"}
OVER = ("expired", "superseded", "rejected", "undelivered", "revoked")


def urn(kind: str, city: str, *names: str) -> str:
    return ":".join(["urn:ngsi-ld", kind, *(quote(one, safe="-._~") for one in (city, *names))])


def model_of(asset: Asset) -> Model:
    if asset.kind == "watch" and asset.values.get("hazard") != "flood":
        return Model("HazardObserved")
    return MODELS.get(asset.kind) or Model(camel(asset.kind, first=True))


def camel(name: str, *, first: bool = False) -> str:
    """As names are written in data models: fillLevel; with `first`, of types: WaterJunction."""
    words = [one for one in re.split(r"[^0-9A-Za-z]+", name) if one]
    text = "".join(one[:1].upper() + one[1:] for one in words)
    return text if first else text[:1].lower() + text[1:]


def geometry(line: list[tuple[float, float]]) -> dict[str, Any]:
    places = [list(one) for one in line]
    kind, coordinates = ("Point", places[0]) if len(places) == 1 else ("LineString", places)
    return {"type": "GeoProperty", "value": {"type": kind, "coordinates": coordinates}}


def estimate(model: Model, quantity: str, unit: str, mean: float, sd: float, at: str, made: str) -> dict[str, Any]:
    """A number that was estimated: value, unit and time, and how sure it is and how it was made beside it."""
    named = model.names.get(quantity) or Named(camel(quantity))
    value, spread = mean * named.scale, sd * abs(named.scale)
    found: dict[str, Any] = {"type": "Property", "value": number(value), "observedAt": at}
    code = UNIT_CODES.get(named.unit or unit)
    if code is not None:
        found["unitCode"] = code
    found["standardDeviation"] = number(spread)
    if math.isfinite(value) and math.isfinite(spread):
        found["quantiles"] = {
            "type": "Property",
            "value": {
                "0.05": number(value - Z90 * spread),
                "0.5": number(value),
                "0.95": number(value + Z90 * spread),
            },
        }
    else:
        del found["standardDeviation"]
    found["method"] = made
    return found


def attribute_name(model: Model, quantity: str) -> str:
    named = model.names.get(quantity)
    return named.name if named else camel(quantity)


def number(value: float) -> float | str:
    """A number as JSON has them, with the six digits that single precision holds."""
    return float(f"{value:.6g}") if math.isfinite(value) else "unknown"


def date_time(text: str) -> dict[str, Any]:
    return {"type": "Property", "value": {"@type": "DateTime", "@value": text}}
