"""What a grid is made of, in a city file's words. Power is positive where it is taken from the grid, but for PV."""

from aggregator.twin.part import Flow, Key, Kind

BUS = Key("the bus that it is connected to", words=("*",))
FAILS = Key("times that it fails in a year", default=0.05, low=0, high=100)
BRANCH = ("active_power", "reactive_power", "current")
HABITS = ("household", "business", "street light", "flat")

KINDS = {
    "bus": Kind(
        "a busbar, a cabinet, a service box: one voltage",
        {
            "rated_v": Key("between two phases", "V", None, 1, 1e6),
            "lowest": Key("voltage that is allowed, of rated", "%", 90.0, 50, 100),
            "highest": Key("voltage that is allowed, of rated", "%", 110.0, 100, 150),
        },
        measured=("voltage",),
    ),
    "line": Kind(
        "a cable or an overhead line; what is measured, is measured where it begins, positive into it",
        {
            "r_ohm": Key("of the whole length", "ohm", None, 0),
            "x_ohm": Key("of the whole length, not 0", "ohm", None),
            "charging_var": Key("what its capacitance gives at rated voltage", "var", 0.0, 0),
            "rated_a": Key("current that it carries for ever", "A", None, 0.1),
            "fails_per_year": FAILS,
        },
        ends=("bus",),
        measured=BRANCH,
    ),
    "transformer": Kind(
        "from the higher voltage to the lower; what is measured, is measured at the lower, positive out of it",
        {
            "rated_va": Key("apparent power that it carries for ever", "VA", None, 1),
            "from_v": Key("rated voltage of the higher side", "V", None, 1),
            "to_v": Key("rated voltage of the lower side", "V", None, 1),
            "short_circuit": Key("voltage that drives the rated current through it", "%", 6.0, 0.1, 50),
            "copper_w": Key("loss at rated current", "W", 0.0, 0),
            "iron_w": Key("loss without load", "W", 0.0, 0),
            "magnetising": Key("current without load, of rated", "%", 0.0, 0, 100),
            "clock": Key("hours that the lower side lags", default=0.0, low=0, high=11),
            "tap": Key("steps of its higher side away from neutral", default=0.0, low=-50, high=50),
            "tap_step": Key("voltage of a step", "%", 2.5, 0, 10),
            "fails_per_year": Key("times that it fails in a year", default=0.01, low=0, high=100),
        },
        ends=("bus",),
        measured=BRANCH,
    ),
    "source": Kind(
        "where the grid above feeds in",
        {
            "bus": BUS,
            "voltage": Key("that it usually holds, of rated", "%", 100.0, 80, 120),
            "known_to": Key("how well that is known beforehand; standard deviation", "%", 1.0, 0.001, 10),
            "sway": Key("of its voltage in a step; standard deviation", "%", 0.1, 0, 10),
        },
        measured=("voltage", "active_power", "reactive_power"),
    ),
    "load": Kind(
        "what customers at a bus take",
        {
            "bus": BUS,
            "mean_w": Key("over a year", "W", None, 0),
            "power_factor": Key("active over apparent power, inductive", default=0.95, low=0.1, high=1),
            "habit": Key("the course of its day", default="household", words=HABITS),
            "customers": Key("who are in the dark without it", default=1.0, low=0),
            "heating_w_per_k": Key("taken more for each degree below 15 °C", default=0.0, low=0),
        },
        measured=("active_power", "reactive_power"),
    ),
    "pv": Kind(
        "a photovoltaic plant; its power is what it gives",
        {
            "bus": BUS,
            "rated_w": Key("the most that it gives", "W", None, 1),
            "latitude": Key("where it stands, if it has no place", "deg", 50.0, -90, 90),
        },
        measured=("active_power",),
        commanded=("power_limit",),
    ),
    "battery": Kind(
        "a store; positive charges it",
        {
            "bus": BUS,
            "rated_w": Key("the most that it takes or gives", "W", None, 1),
            "capacity_wh": Key("between empty and full", "Wh", None, 1),
            "efficiency": Key("of what goes in, that which comes out", "%", 90.0, 10, 100),
        },
        measured=("active_power", "state_of_charge"),
        commanded=("active_power",),
    ),
    "charger": Kind(
        "for electric vehicles, which come and leave at usual hours and charge at once if nobody plans",
        {
            "bus": BUS,
            "rated_w": Key("the most that it takes", "W", None, 1),
            "energy_wh": Key("that a day's vehicles need", "Wh", 10_000.0, 0),
            "arrives_h": Key("hour of the day", "h", 18.0, 0, 24),
            "leaves_h": Key("hour of the day, the next one if before the arrival", "h", 7.0, 0, 24),
        },
        measured=("active_power",),
        commanded=("active_power",),
    ),
    "switch": Kind(
        "joins two buses, or a line or transformer to one of its buses",
        {
            "closed": Key("as it normally stands: 1 closed, 0 open", default=1.0, low=0, high=1),
            "switching_h": Key("until it has been moved when that is needed", "h", 1.0, 0, 48),
        },
        ends=("bus", "line", "transformer"),
        commanded=("switch",),
    ),
}
SETTINGS = {
    "step_s": Key("of the twin", "s", 900.0, 1, 3600),
    "utc_offset_h": Key("of the clock that people live by", "h", 0.0, -12, 14),
    "price_low": Key("of a kWh, 22 to 6 o'clock", default=0.20),
    "price_high": Key("of a kWh, 6 to 22 o'clock", default=0.30),
    "carbon_low": Key("g of CO2 per kWh at noon", default=250.0, low=0),
    "carbon_high": Key("g of CO2 per kWh in the evening", default=450.0, low=0),
    "carbon_price": Key("of a kg of CO2", default=0.10, low=0),
    "peak_price": Key("of each kW of the highest power that is drawn, per day", default=0.20, low=0),
    "feed_in": Key("what a kWh brings that is given to the grid above", default=0.08),
    "wear_price": Key("of a kWh that a battery takes or gives", default=0.01, low=0),
    "lost_load": Key("what a kWh costs that is not served", default=10.0, low=0),
    "repair_h": Key("of a line or a transformer", "h", 6.0, 0, 1000),
    "load_spread": Key("of a load around its habit, of its mean; standard deviation", "%", 40.0, 0.1, 500),
    "memory": Key("share of what is above the habit that is still there a step later", default=0.9, low=0, high=0.999),
}
NAN = float("nan")
TAKES = {
    "temperature": Flow("of the air; nothing given: as usual", "degC", "bus", NAN),
    "irradiance": Flow("on the level; nothing given: as usual", "W/m2", "bus", NAN),
    "demand": Flow("factor on the habit of all loads", "1", "bus", 1.0),
    "pumping": Flow("what pumps take, on top of the loads", "W", "bus"),
    "price": Flow("of a kWh; nothing given: by the settings", "1", "source", NAN),
    "carbon": Flow("g of CO2 per kWh; nothing given: by the settings", "1", "source", NAN),
    "line_out": Flow("above 0.5 the line is out of order", "1", "line"),
    "transformer_out": Flow("above 0.5 the transformer is out of order", "1", "transformer"),
    "moved": Flow("above 0.5 the switch stands other than normally", "1", "switch"),
}
GIVES = {
    "outage": Flow("1 where a bus is without supply", "1", "bus"),
    "voltage": Flow("between two phases", "V", "bus"),
    "loading": Flow("current over rated current", "%", "line"),
    "transformer_loading": Flow("apparent over rated power", "%", "transformer"),
}
