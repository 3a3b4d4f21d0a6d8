"""Units on the wire, and how each becomes the one internal unit of a quantity: `internal = value * scale + offset`.

A unit belongs to a dimension and is measured against that dimension's base unit with exact fractions, so that folding
several conversions into one scale rounds once. Each quantity has ONE internal unit (protos/vocabulary.py); chosen so
that what meters count stays whole: Wh rather than J, m3/h rather than m3/s, degC rather than K, % rather than 0..1
for what people read in per cent. Factors after the SI brochure (9th edition) and NIST SP 811.

    UnitError       unknown quantity, unknown unit, or a unit of another dimension; says what would be right
"""

from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from protos.vocabulary import QUANTITIES, Quantity

Floats = npt.NDArray[np.float64]

MOLAR_VOLUME_L = Fraction("24.055")  # of a gas at 20 °C and 101.325 kPa, the reference of Directive 2008/50/EC


class UnitError(ValueError):
    """A quantity or a unit that cannot be used; the message says which and what to write instead."""


class Unit(NamedTuple):
    """base = value * scale + offset, in the base unit of `dimension`."""

    dimension: str
    scale: Fraction
    offset: Fraction = Fraction(0)


class Linear(NamedTuple):
    """internal = value * scale + offset."""

    scale: float
    offset: float


def _table(**dimensions: str) -> dict[str, Unit]:
    """Units from lines of `name scale[+offset]`, by dimension."""
    units: dict[str, Unit] = {}
    for dimension, words in dimensions.items():
        for word in words.split(";"):
            name, _, factor = word.strip().rpartition(" ")
            scale, _, offset = factor.partition("@")
            units[name] = Unit(dimension, Fraction(scale), Fraction(offset or 0))
    return units


# name scale, or name scale@offset, against the base unit (scale 1) of the dimension.
UNITS: dict[str, Unit] = _table(
    number="1 1; % 0.01; ppm 0.000001; ppb 0.000000001",
    count="count 1",
    voltage="V 1; mV 0.001; kV 1000",
    current="A 1; mA 0.001; kA 1000",
    active_power="W 1; mW 0.001; kW 1000; MW 1000000; hp 745.69987158227022",
    reactive_power="var 1; kvar 1000; Mvar 1000000",
    apparent_power="VA 1; kVA 1000; MVA 1000000",
    active_energy="Wh 1; kWh 1000; MWh 1000000; GWh 1000000000; J 1/3600; kJ 10/36; MJ 10000/36; GJ 10000000/36",
    reactive_energy="varh 1; kvarh 1000; Mvarh 1000000",
    apparent_energy="VAh 1; kVAh 1000; MVAh 1000000",
    charge="Ah 1; mAh 0.001; C 1/3600",
    resistance="ohm 1; kohm 1000; Mohm 1000000",
    frequency="Hz 1; mHz 0.001; kHz 1000",
    rotation="rpm 1; 1/s 60; rad/s 9.549296585513720146",
    time="s 1; ms 0.001; us 0.000001; min 60; h 3600; d 86400",
    length="m 1; mm 0.001; cm 0.01; km 1000; in 0.0254; ft 0.3048; mi 1609.344",
    speed="m/s 1; mm/s 0.001; km/h 10/36; kn 1852/3600; mph 0.44704",
    acceleration="m/s2 1; mg 0.00980665; g 9.80665",
    angle="deg 1; rad 57.29577951308232088; mrad 0.05729577951308232088",
    temperature="degC 1; K 1@-273.15; degF 5/9@-160/9",
    pressure="Pa 1; hPa 100; mbar 100; kPa 1000; bar 100000; MPa 1000000; psi 6894.757293168361; "
    "mmHg 133.322387415; inHg 3386.389; mH2O 9806.65; atm 101325",
    volume="m3 1; l 0.001; dm3 0.001; hl 0.1; ml 0.000001; gal 0.003785411784; ft3 0.028316846592",
    flow="m3/h 1; l/min 0.06; l/s 3.6; l/h 0.001; m3/s 3600; m3/d 1/24; gpm 0.2271247070400",
    mass="kg 1; gram 0.001; t 1000",
    mass_flow="g/h 1; kg/h 1000; g/s 3600; kg/s 3600000; t/d 1000000/24",
    area="m2 1; km2 1000000; ha 10000",
    irradiance="W/m2 1; kW/m2 1000",
    illuminance="lux 1; klux 1000",
    radiation="uSv/h 1; nSv/h 0.001; mSv/h 1000",
    concentration="ug/m3 1; mg/m3 1000; ng/m3 0.001; g/m3 1000000",
    dissolved="mg/l 1; ug/l 0.001; g/l 1000",
    conductivity="uS/cm 1; mS/cm 1000; S/m 10000; mS/m 10",
    turbidity="NTU 1; FNU 1",
    acidity="pH 1",
    sound="dB 1",
    signal="dBm 1",
    rain="mm/h 1; in/h 25.4",
    vehicle_flow="veh/h 1; veh/min 60; veh/s 3600",
    density="veh/km 1; veh/m 1000",
    crowding="1/m2 1",
    explosive="%LEL 1",
)

# Other spellings, as vendors write them. A key may not be a unit itself.
SPELLINGS: dict[str, str] = {
    "": "1",
    "-": "1",
    "bool": "1",
    "IEC 61851": "1",  # the letter of a charging state, as a number
    "%RH": "%",
    "% RH": "%",
    "% of sensor_max": "%",
    "pct": "%",
    "percent": "%",
    "pulses": "count",
    "imp": "count",
    "vehicles": "count",
    "°C": "degC",
    "°F": "degF",
    "°": "deg",
    "µg/m³": "ug/m3",
    "μg/m3": "ug/m3",
    "µg/m3": "ug/m3",
    "mg/m³": "mg/m3",
    "µSv/h": "uSv/h",
    "µS/cm": "uS/cm",
    "W/m²": "W/m2",
    "m³": "m3",
    "m³/h": "m3/h",
    "L": "l",
    "L/min": "l/min",
    "L/s": "l/s",
    "lx": "lux",
    "dB(A)": "dB",
    "dBA": "dB",
    "Ohm": "ohm",
    "Ω": "ohm",
    "kph": "km/h",
    "1/min": "rpm",
    "sec": "s",
    "hr": "h",
}


def spelled(unit: str) -> str:
    """The name in UNITS of a unit as a vendor may write it; `unit` itself when it is no other spelling."""
    return SPELLINGS.get(unit, unit)


def known(name: str) -> Quantity:
    """The quantity of this name. Raises UnitError with the nearest names."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    near = get_close_matches(name, QUANTITIES, 3, 0.5)
    remedy = f"did you mean {' or '.join(near)}?" if near else "protos/vocabulary.py lists them"
    raise UnitError(f"quantity {name!r} is not in the vocabulary; {remedy}")


def units_of(quantity: str) -> list[str]:
    """Every unit that values of `quantity` may come in. Raises UnitError for an unknown quantity."""
    one = known(quantity)
    dimension = UNITS[one.unit].dimension
    gas = ["ppb", "ppm"] if one.molar_g else []
    return [name for name, unit in UNITS.items() if unit.dimension == dimension] + gas


@lru_cache(maxsize=4096)
def _exact(unit: str, quantity: str) -> tuple[Fraction, Fraction]:
    one, name = known(quantity), spelled(unit)
    target, source = UNITS[one.unit], UNITS.get(name)
    if source is not None and one.molar_g and name in ("ppb", "ppm"):
        # mass = fraction * molar mass / molar volume; a ppb of 1 g/mol in 1 l/mol is 1 µg/m3
        source = Unit(target.dimension, source.scale * 10**9 * Fraction(str(one.molar_g)) / MOLAR_VOLUME_L)
    if source is None or source.dimension != target.dimension:
        what = "is not known" if source is None else f"measures {source.dimension}"
        raise UnitError(f"unit {unit!r} of {quantity} {what}; use one of {', '.join(units_of(quantity))}")
    return source.scale / target.scale, (source.offset - target.offset) / target.scale


def coefficients(unit: str, quantity: str) -> Linear:
    """Scale and offset from `unit` to the internal unit of `quantity`. Raises UnitError."""
    scale, offset = _exact(unit, quantity)
    return Linear(float(scale), float(offset))


def fold(scale: float, offset: float, unit: str, quantity: str) -> Linear:
    """From raw to internal, where `raw * scale + offset` is in `unit`. Raises UnitError.

    Scales are taken as the decimals they were written as, and rounded once: 0.1 hPa is exactly 10 Pa.
    """
    exact_scale, exact_offset = _exact(unit, quantity)
    written = Fraction(str(scale)), Fraction(str(offset))
    return Linear(float(written[0] * exact_scale), float(written[1] * exact_scale + exact_offset))


def convert(values: Floats, unit: str, quantity: str) -> Floats:
    """`values` in `unit` as new values in the internal unit of `quantity`. Raises UnitError."""
    scale, offset = coefficients(unit, quantity)
    return values * scale + offset
