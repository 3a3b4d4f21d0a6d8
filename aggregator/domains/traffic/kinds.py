"""What a road network is made of, in a city file's words."""

from aggregator.twin.part import Flow, Key, Kind

KINDS = {
    "junction": Kind(
        "where links meet, with signals or without",
        {
            "cycle_s": Key("of its signal plan; 0 has no signals", "s", 90.0, 0, 600),
            "lost_s": Key("of a cycle, yellow and all-red: no stage has green", "s", 8.0, 0, 120),
            "fails_per_year": Key("times that its signals go dark", default=2.0, low=0, high=1000),
            "repair_h": Key("until they work again", "h", 3.0, 0, 1000),
        },
        measured=("cycle_time", "signal_plan", "signal_stage"),
        commanded=("cycle_time", "plan_offset"),
    ),
    "stage": Kind(
        "links that have green together at a junction with signals",
        {
            "junction": Key("where", words=("*",)),
            "green_s": Key("of the plan that runs", "s", 41.0, 1, 300),
            "min_green_s": Key("least that it may have", "s", 7.0, 1, 120),
        },
        measured=("green_time",),
        commanded=("green_time",),
    ),
    "link": Kind(
        "one direction of a road, from junction to junction",
        {
            "length_m": Key("of the link", "m", None, 5, 50_000),
            "lanes": Key("side by side", "1", 1.0, 1, 12),
            "free_speed": Key("of one who need not brake", "km/h", 50.0, 3, 200),
            "capacity": Key("of a lane: discharge while it has green", "veh/h", 1800.0, 100, 3000),
            "jam_density": Key("of a lane that stands", "veh/km", 140.0, 50, 300),
            "stages": Key(
                "that serve it, with spaces between; `always` is not held by signals", "1", "always", words=("*",)
            ),
            "entering": Key("vehicles that begin here, as usual", "veh/h", 0.0, 0, 20_000),
            "ending": Key("share of its vehicles that end their trip on it", "1", 0.0, 0, 1),
            "blocked_per_year": Key("times that an accident closes it", default=0.2, low=0, high=1000),
        },
        ends=("junction",),
        measured=("vehicle_flow", "vehicle_density", "occupancy", "vehicle_speed", "queue_length"),
    ),
    "turn": Kind(
        "share of those who leave a link that go on into another; without any they spread by lanes, none turns round",
        {"share": Key("of those that go on", "1", None, 0, 1)},
        ends=("link",),
    ),
    "route": Kind(
        "a way through the city that may be recommended, or kept free for a vehicle in a hurry",
        {
            "links": Key("one after the other, with spaces between", words=("*",)),
            "group": Key("routes of one group lead to the same end: alternatives", "1", "", words=("*",)),
        },
        measured=("travel_time",),
    ),
}
SETTINGS = {
    "step_s": Key("of the twin", "s", 60.0, 5, 900),
    "utc_offset_h": Key("local time less UTC", "h", 0.0, -12, 14),
    "day": Key("how demand runs through the day", default="flat", words=("flat", "city")),
    "surplus": Key("what enters a link beyond the usual, standard deviation", "veh/h", 120.0, 0, 5000),
    "memory_min": Key("how long that lasts", "min", 20.0, 1, 1440),
    "noise": Key("of a link's vehicles in a step, standard deviation", "count", 1.0, 0.01, 100),
    "nox_g_km": Key("g in a km that a vehicle gives off on a free road (EMEP/EEA guidebook 2023)", "1", 0.4, 0, 50),
    "pm25_g_km": Key("likewise, with tyres and brakes", "1", 0.03, 0, 10),
    "hour": Key("worth of an hour that a vehicle loses, in the city's unit of risk", default=12.0, low=0, high=1000),
}
TAKES = {
    "demand": Flow("factor of what usually enters", "1", "link", 1.0),
    "signals_off": Flow("chance, or fact, that signals are dark", "1", "junction"),
    "blocked": Flow("share of its width that cannot be used", "1", "link"),
}
GIVES = {
    "vehicles": Flow("on the link", "count", "link"),
    "travel_time": Flow("from end to end, waiting at its signals included", "s", "link"),
    "emission_nox": Flow("nitrogen oxides that its vehicles give off", "g/h", "link"),
    "emission_pm25": Flow("fine particles likewise", "g/h", "link"),
}
