"""One internal unit for each quantity, every unit of the field with its way there, and messages that help."""

import numpy as np
import pytest

from protos.units import SPELLINGS, UNITS, UnitError, coefficients, convert, fold, spelled, units_of
from protos.vocabulary import COMMON, DOMAINS, QUANTITIES, internal_unit

# As vendors' documents of two dozen devices write them; what is prose there ("bit8 remote, ...") is a word of bits.
IN_THE_FIELD = (
    *("V", "A", "W", "VA", "var", "Hz", "kWh", "%", "kW", "kvar", "kVA", "Wh", "s", "pulses", "%RH", "hPa", "deg"),
    *("W/m2", "degC", "m/s", "Pa", "lux", "bar", "rpm", "", "IEC 61851", "% of sensor_max"),
)

CASES = [  # value, unit, quantity, internal value
    (300.0, "K", "temperature", 26.85),
    (451.0, "degF", "temperature", 232.7777777777778),
    (1.5, "kWh", "active_energy", 1500.0),
    (3.6, "MJ", "heat_energy", 1000.0),
    (1013.25, "hPa", "air_pressure", 101_325.0),
    (2.5, "bar", "pressure", 250_000.0),
    (0.95, "1", "power_factor", 0.95),
    (95.0, "%", "power_factor", 0.95),
    (36.0, "km/h", "wind_speed", 10.0),
    (10.0, "m/s", "vehicle_speed", 36.0),
    (10.0, "l/s", "water_flow", 36.0),
    (450.0, "l", "water_volume", 0.45),
    (21.0, "ppb", "no2", 40.163),  # Directive 2008/50/EC: 1 ppb of NO2 is 1.91 µg/m3 at 20 °C
    (1.0, "ppm", "co", 1164.4),
    (0.2, "mg/m3", "pm10", 200.0),
    (12.7, "mm", "rain", 12.7),
    (0.5, "in", "rain", 12.7),
    (50.0, "1/s", "rotation", 3000.0),
    (3.0, "dBA", "noise", 3.0),
]


@pytest.mark.parametrize(("value", "unit", "quantity", "internal"), CASES)
def test_known_conversions(value: float, unit: str, quantity: str, internal: float) -> None:
    assert convert(np.array([value, np.nan]), unit, quantity)[0] == pytest.approx(internal, rel=2e-5)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity(quantity: str) -> None:
    one = QUANTITIES[quantity]
    assert coefficients(internal_unit(quantity), quantity) == (1.0, 0.0)
    assert one.low <= one.high
    assert one.doc
    for unit in units_of(quantity):
        assert coefficients(unit, quantity).scale > 0


@pytest.mark.parametrize("unit", IN_THE_FIELD)
def test_every_unit_of_the_field_measures_something(unit: str) -> None:
    assert any(spelled(unit) in units_of(quantity) for quantity in QUANTITIES)


def test_no_name_means_two_things() -> None:
    tables = [COMMON, *DOMAINS.values()]
    assert len(QUANTITIES) == sum(map(len, tables))
    assert not SPELLINGS.keys() & UNITS.keys()
    assert set(SPELLINGS.values()) <= UNITS.keys()


@pytest.mark.parametrize(
    ("scale", "offset", "unit", "quantity", "folded"),
    [
        (0.1, 0.0, "hPa", "air_pressure", (10.0, 0.0)),
        (0.01, 0.0, "kWh", "active_energy", (10.0, 0.0)),
        (0.1, 0.0, "K", "temperature", (0.1, -273.15)),
        (0.1, -40.0, "degC", "temperature", (0.1, -40.0)),
        (1.0, 5.0, "kW", "active_power", (1000.0, 5000.0)),
    ],
)
def test_folding_rounds_once(
    scale: float, offset: float, unit: str, quantity: str, folded: tuple[float, float]
) -> None:
    assert fold(scale, offset, unit, quantity) == folded


def test_faults_say_what_to_write() -> None:
    with pytest.raises(UnitError, match="unit 'kWh' of active_power measures active_energy; use one of W, mW, kW"):
        coefficients("kWh", "active_power")
    with pytest.raises(UnitError, match="unit 'furlong' of distance is not known; use one of m,"):
        coefficients("furlong", "distance")
    with pytest.raises(UnitError, match="quantity 'activ_power' is not in the vocabulary; did you mean active_power"):
        coefficients("W", "activ_power")
