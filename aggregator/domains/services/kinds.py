"""What a city file may say of its services: the water network, containers and who empties them, lamps."""

from aggregator.twin.part import Flow, Key, Kind

FAILS = Key("times that it fails in a year", default=0.5, low=0, high=1000)

KINDS = {
    "water_junction": Kind(
        "where customers take water",
        {
            "elevation_m": Key("above the sea", "m", 0.0, -500, 9000),
            "demand": Key("mean over a day", "m3/h", 0.0, 0, 100_000),
            "least_m": Key("pressure that customers need, as height of water", "m", 20.0, 0, 200),
        },
        measured=("pressure",),
    ),
    "reservoir": Kind("gives whatever is asked for", {"head_m": Key("of its surface above the sea", "m")}),
    "tank": Kind(
        "holds water for the hours of demand; its level is above its floor",
        {
            "floor_m": Key("above the sea", "m", None, -500, 9000),
            "area_m2": Key("of its surface", "m2", None, 0.1),
            "usual_m": Key("level on a usual day", "m", 2.0, 0),
            "low_m": Key("level that is to stay for a fire", "m", 0.5, 0),
            "high_m": Key("level at which it overflows", "m", 4.0, 0.1),
        },
        measured=("water_level",),
    ),
    "pipe": Kind(
        "leads water",
        {
            "length_m": Key("of it", "m", None, 0.1),
            "diameter_m": Key("inside", "m", 0.15, 0.01, 5),
            "roughness": Key("coefficient of Hazen and Williams", "1", 130.0, 10, 200),
            "fails_per_year": Key("times that it bursts in a year", default=0.05, low=0, high=1000),
        },
        ends=("water_junction", "tank", "reservoir"),
        measured=("water_flow",),
    ),
    "pump": Kind(
        "lifts water from one end to the other",
        {
            "lift_m": Key("at no flow", "m", None, 0.1, 1000),
            "flow": Key("at which it lifts three quarters of that", "m3/h", None, 0.1),
            "power_w": Key("it draws while it runs", "W", None, 1),
            "fails_per_year": FAILS,
        },
        ends=("water_junction", "tank", "reservoir"),
        measured=("water_flow",),
        commanded=("switch",),
    ),
    "container": Kind(
        "for waste; a truck empties it",
        {
            "litres": Key("that it holds, as weight in a truck", "l", 1100.0, 1),
            "per_day": Key("share that it fills by in a usual day", "%", 15.0, 0, 500),
            "overflow_cost": Key("of a day on which it overflows, in the city's unit", "1", 30.0, 0),
        },
        measured=("fill_level",),
    ),
    "depot": Kind(
        "where trucks begin and end",
        {
            "trucks": Key("that it has", "count", 1.0, 1, 1000),
            "litres": Key("that a truck takes", "l", 12_000.0, 1),
        },
    ),
    "lamp": Kind(
        "of a street",
        {"watts": Key("at full light", "W", 60.0, 0), "fails_per_year": FAILS},
        measured=("active_power",),
        commanded=("lamp_level",),
    ),
}
SETTINGS = {
    "step_s": Key("of the twin", "s", 300.0, 1, 3600),
    "utc_offset_h": Key("of the clock that people live by", "h", 0.0, -12, 14),
    "unusual": Key("of a junction's demand around what is usual, of its mean; standard deviation", "%", 20.0, 0.1, 200),
    "memory_h": Key("after which an unusual demand is usual again", "h", 3.0, 0.05, 100),
    "level_noise_m": Key("of a tank's level in an hour, that nobody can foresee", "m", 0.02, 0.0001, 1),
    "fill_noise": Key("of a container in a day, that nobody can foresee", "%", 4.0, 0.01, 100),
    "rate_spread": Key("of what a container fills by in a day, around what is said of it, as share", "%", 40.0, 1, 300),
    "per_degree": Key("share more water for each degC above 20", "1", 0.02, 0, 1),
    "price_low": Key("of a kWh, 22 to 6 o'clock", default=0.20, low=0),
    "price_high": Key("of a kWh, 6 to 22 o'clock", default=0.30, low=0),
    "not_served": Key("what a m3 of water that is not there costs, in the city's unit", default=20.0, low=0),
    "repair_h": Key("of a pump or a pipe", "h", 6.0, 0, 1000),
}
TAKES = {
    "outage": Flow("1 where a pump is without supply", "1", "pump"),
    "demand": Flow("factor on what is usual", "1", "water_junction", 1.0),
    "temperature": Flow("of the air", "degC", "water_junction", 15.0),
    "running": Flow("1 while a pump is meant to run", "1", "pump", 1.0),
    "emptied": Flow("1 in the step in which a container is emptied", "1", "container"),
}
GIVES = {
    "pump_power": Flow("that is drawn", "W", "pump"),
    "pressure_low": Flow("1 where customers have less than they need", "1", "water_junction"),
    "full": Flow("1 where a container is full", "1", "container"),
}
# Share of a day's mean that is taken in each hour of it, households (after DVGW W 410).
DAY = (
    0.35,
    0.25,
    0.2,
    0.2,
    0.3,
    0.6,
    1.2,
    1.6,
    1.5,
    1.3,
    1.2,
    1.2,
    1.3,
    1.2,
    1.0,
    1.0,
    1.1,
    1.3,
    1.5,
    1.6,
    1.4,
    1.1,
    0.8,
    0.5,
)
