"""What can be measured in a city: for each quantity its one internal unit and what is physically plausible.

The range is wide on purpose: a value outside it is a fault of the sensor or of its profile, not of the city; it
lowers the quality (cleaning's default range check) and drops nothing. A device's own limits belong in its profile.
Names are on disk and on the wire for ever: add, never rename. Units are keys of protos/units.py.
"""

from typing import NamedTuple


class Quantity(NamedTuple):
    unit: str  # internal: all values of this quantity are in it, everywhere
    low: float  # plausible, both ends included
    high: float
    doc: str
    molar_g: float = 0.0  # g/mol of a gas, which may also come as ppb or ppm


HUGE = 1e15  # what no counter reaches

COMMON = {
    "temperature": Quantity("degC", -90, 1200, "of air, water, a surface or a machine"),
    "humidity": Quantity("%", 0, 105, "relative; sensors read a little above 100 in fog"),
    "dew_point": Quantity("degC", -100, 60, "temperature at which water condenses"),
    "pressure": Quantity("Pa", -100_000, 100_000_000, "gauge or absolute, of any medium"),
    "state": Quantity("1", -1e9, 1e10, "a number that the profile's enumeration names, or a word of bits"),
    "switch": Quantity("1", 0, 1, "one bit: on or off, open or closed"),
    "fault": Quantity("1", 0, 1e10, "a device's own fault code; 0 is none"),
    "count": Quantity("count", 0, HUGE, "events or pulses since the counter began"),
    "duration": Quantity("s", 0, 1e10, "running time, timeout, remaining time"),
    "percentage": Quantity("%", -1000, 1000, "share, position, level, setpoint"),
    "ratio": Quantity("1", -1e9, 1e9, "a number without a unit"),
    "frequency": Quantity("Hz", 0, 1e9, "of a machine or a signal"),
    "rotation": Quantity("rpm", -200_000, 200_000, "speed of a shaft"),
    "battery_level": Quantity("%", 0, 100, "of a sensor's own battery"),
    "battery_voltage": Quantity("V", 0, 100, "of a sensor's own battery"),
    "signal_strength": Quantity("dBm", -160, 30, "of a radio as received"),
    "signal_ratio": Quantity("dB", -40, 60, "signal to noise of a radio"),
    "latitude": Quantity("deg", -90, 90, "WGS 84"),
    "longitude": Quantity("deg", -180, 180, "WGS 84"),
    "text": Quantity("1", 0, 0, "a string: serial number, version, state in words"),
}

TRAFFIC = {
    "vehicle_count": Quantity("count", 0, HUGE, "vehicles that passed a detector since its counter began"),
    "vehicle_flow": Quantity("veh/h", 0, 20_000, "vehicles an hour over a cross-section"),
    "vehicle_speed": Quantity("km/h", 0, 300, "mean or single speed"),
    "vehicle_density": Quantity("veh/km", 0, 2000, "vehicles on a length of road"),
    "vehicle_length": Quantity("m", 0, 60, "as a detector sees it"),
    "occupancy": Quantity("%", 0, 100, "share of time that a detector is covered"),
    "presence": Quantity("1", 0, 1, "one bit: detector or bay covered"),
    "headway": Quantity("s", 0, 86_400, "from front to front"),
    "queue_length": Quantity("m", 0, 20_000, "of waiting vehicles"),
    "travel_time": Quantity("s", 0, 86_400, "over a link or a route"),
    "signal_state": Quantity("1", 0, 255, "colour of a signal group"),
    "signal_plan": Quantity("1", 0, 65_535, "number of the plan that runs"),
    "signal_stage": Quantity("1", 0, 255, "number of the stage that runs"),
    "cycle_time": Quantity("s", 0, 600, "of a signal plan"),
    "green_time": Quantity("s", 0, 600, "of a stage"),
    "plan_offset": Quantity("s", -600, 600, "of a plan against its neighbours"),
    "parking_free": Quantity("count", 0, 100_000, "free bays"),
    "parking_taken": Quantity("count", 0, 100_000, "taken bays"),
}

ENERGY = {
    "voltage": Quantity("V", -1_500_000, 1_500_000, "RMS or direct"),
    "current": Quantity("A", -100_000, 100_000, "RMS or direct; negative flows back"),
    "active_power": Quantity("W", -5e9, 5e9, "positive is taken from the grid unless the profile says otherwise"),
    "reactive_power": Quantity("var", -5e9, 5e9, "positive is inductive"),
    "apparent_power": Quantity("VA", -5e9, 5e9, "magnitude of complex power"),
    "power_factor": Quantity("1", -1.001, 1.001, "active over apparent; meters round a little above 1"),
    "mains_frequency": Quantity("Hz", 0, 70, "of the grid; 0 without voltage"),
    "active_energy": Quantity("Wh", -HUGE, HUGE, "counter or amount"),
    "reactive_energy": Quantity("varh", -HUGE, HUGE, "counter or amount"),
    "apparent_energy": Quantity("VAh", -HUGE, HUGE, "counter or amount"),
    "harmonic_distortion": Quantity("%", 0, 1000, "total, of voltage or current"),
    "state_of_charge": Quantity("%", 0, 100, "of a store"),
    "state_of_health": Quantity("%", 0, 110, "capacity left of a store"),
    "charge": Quantity("Ah", -1e9, 1e9, "electric charge"),
    "insulation": Quantity("ohm", 0, 1e12, "resistance to earth"),
    "power_limit": Quantity("%", 0, 110, "share of rated power that is allowed"),
    "current_limit": Quantity("A", 0, 100_000, "largest current that is allowed"),
    "heat_power": Quantity("W", -5e9, 5e9, "thermal"),
    "heat_energy": Quantity("Wh", -HUGE, HUGE, "thermal"),
    "irradiance": Quantity("W/m2", -20, 1800, "on a plane; slightly negative at night"),
    "energy_price": Quantity("1", -1e6, 1e6, "per unit, in the currency of the market"),
}

ENVIRONMENT = {
    "pm1": Quantity("ug/m3", 0, 10_000, "particles below 1 µm"),
    "pm25": Quantity("ug/m3", 0, 10_000, "particles below 2.5 µm"),
    "pm4": Quantity("ug/m3", 0, 10_000, "particles below 4 µm"),
    "pm10": Quantity("ug/m3", 0, 20_000, "particles below 10 µm"),
    "no": Quantity("ug/m3", -50, 20_000, "nitrogen monoxide", 30.006),
    "no2": Quantity("ug/m3", -50, 20_000, "nitrogen dioxide; sensors drift a little below zero", 46.0055),
    "o3": Quantity("ug/m3", -50, 20_000, "ozone", 47.998),
    "so2": Quantity("ug/m3", -50, 50_000, "sulphur dioxide", 64.066),
    "co": Quantity("ug/m3", -1000, 2_000_000, "carbon monoxide", 28.010),
    "nh3": Quantity("ug/m3", -50, 1_000_000, "ammonia", 17.031),
    "h2s": Quantity("ug/m3", -50, 500_000, "hydrogen sulphide", 34.08),
    "hcho": Quantity("ug/m3", -50, 100_000, "formaldehyde", 30.026),
    "benzene": Quantity("ug/m3", -50, 100_000, "benzene", 78.114),
    "co2": Quantity("ppm", 0, 1_000_000, "carbon dioxide"),
    "voc": Quantity("ppb", 0, 10_000_000, "volatile organic compounds, as the sensor's equivalent"),
    "air_quality_index": Quantity("1", 0, 1000, "by the sensor's own scale"),
    "noise": Quantity("dB", 0, 194, "sound pressure level, A-weighted unless the profile says otherwise"),
    "radiation": Quantity("uSv/h", 0, 1e9, "ambient dose rate"),
    "air_pressure": Quantity("Pa", 40_000, 120_000, "of the atmosphere, at the station or reduced to the sea"),
    "wind_speed": Quantity("m/s", 0, 120, "mean, lull or gust"),
    "wind_direction": Quantity("deg", 0, 360, "where it comes from; 0 north, 90 east"),
    "rain": Quantity("mm", 0, 1_000_000, "depth since the counter began, or of a period"),
    "rain_rate": Quantity("mm/h", 0, 2000, "intensity"),
    "snow_depth": Quantity("m", 0, 20, "on the ground"),
    "illuminance": Quantity("lux", 0, 250_000, "on a plane"),
    "uv_index": Quantity("1", 0, 30, "after the WHO"),
    "visibility": Quantity("m", 0, 200_000, "meteorological"),
    "soil_moisture": Quantity("%", 0, 100, "volumetric"),
    "ph": Quantity("pH", 0, 14, "acidity of water"),
    "conductivity": Quantity("uS/cm", 0, 300_000, "of water"),
    "turbidity": Quantity("NTU", 0, 100_000, "of water"),
    "dissolved_oxygen": Quantity("mg/l", 0, 60, "in water"),
    "chlorine": Quantity("mg/l", 0, 100, "free, in water"),
    "redox": Quantity("mV", -3000, 3000, "potential of water"),
}

SERVICES = {
    "water_volume": Quantity("m3", -HUGE, HUGE, "counter or amount; backflow is negative"),
    "water_flow": Quantity("m3/h", -1e7, 1e7, "backflow is negative"),
    "flow_velocity": Quantity("m/s", -100, 100, "of water in a pipe or a channel"),
    "water_level": Quantity("m", -100, 10_000, "above the profile's zero"),
    "gas_volume": Quantity("m3", 0, HUGE, "fuel gas, as metered"),
    "gas_flow": Quantity("m3/h", 0, 1e7, "fuel gas"),
    "fill_level": Quantity("%", 0, 110, "of a bin or a tank"),
    "distance": Quantity("m", 0, 10_000, "to a surface"),
    "weight": Quantity("kg", -1000, 1e8, "of a load"),
    "lamp_level": Quantity("%", 0, 100, "dimming; 100 is full light"),
    "lamp_state": Quantity("1", 0, 255, "off, on, fault, as the profile names it"),
    "pump_speed": Quantity("%", 0, 150, "share of rated speed"),
    "valve_position": Quantity("%", -5, 105, "100 is open"),
    "leak": Quantity("1", 0, 1, "one bit: leak detected"),
    "vehicle_mileage": Quantity("km", 0, 1e8, "of a service vehicle"),
}

SAFETY = {
    "alarm": Quantity("1", 0, 1, "one bit: raised"),
    "door": Quantity("1", 0, 1, "one bit: open"),
    "motion": Quantity("1", 0, 1, "one bit: something moves"),
    "smoke": Quantity("%", 0, 100, "obscuration, by the sensor's own scale"),
    "flood_level": Quantity("m", -100, 1000, "of water above the profile's zero"),
    "people_count": Quantity("count", 0, 1e9, "present, or passed since the counter began"),
    "crowd_density": Quantity("1/m2", 0, 20, "people per area"),
    "combustible_gas": Quantity("%LEL", -5, 1000, "share of the lower explosive limit"),
    "tilt": Quantity("deg", -360, 360, "of a mast, a wall, a slope"),
    "acceleration": Quantity("m/s2", -100_000, 100_000, "of a structure"),
    "vibration": Quantity("mm/s", 0, 100_000, "velocity, RMS (ISO 20816)"),
    "displacement": Quantity("m", -1000, 1000, "of a structure"),
}

DOMAINS: dict[str, dict[str, Quantity]] = {  # what each domain speaks of, besides COMMON
    "traffic": TRAFFIC,
    "energy": ENERGY,
    "environment": ENVIRONMENT,
    "services": SERVICES,
    "safety": SAFETY,
}
QUANTITIES: dict[str, Quantity] = {**COMMON, **TRAFFIC, **ENERGY, **ENVIRONMENT, **SERVICES, **SAFETY}


def internal_unit(quantity: str) -> str:
    """The unit of every value of `quantity`. Raises KeyError; configurations are checked before (units.known)."""
    return QUANTITIES[quantity].unit
