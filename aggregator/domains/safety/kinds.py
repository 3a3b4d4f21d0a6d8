"""What a city file may say of its safety: what is watched, who lives there, roads, and who can be sent."""

from aggregator.twin.part import Flow, Key, Kind

HAZARDS = {  # hazard → the quantity that it is measured by
    "flood": "flood_level",
    "crowd": "crowd_density",
    "smoke": "smoke",
    "gas": "combustible_gas",
    "slope": "displacement",
    "tilt": "tilt",
}
KINDS = {
    "watch": Kind(
        "a place where one thing is watched that may become dangerous",
        {
            "hazard": Key("what", words=tuple(HAZARDS)),
            "usual": Key("its level on a usual day, in the unit of its quantity", default=0.0),
            "limit": Key("the level from which it does harm"),
            "spread": Key("standard deviation of the level on usual days", low=1e-9),
            "memory_h": Key("after which a usual deviation has gone", "h", 3.0, 0.01),
            "trend": Key("standard deviation of what the level rises in an hour", default=0.0, low=0),
            "trend_h": Key("how long a rise goes on", "h", 1.0, 0.01),
            "per_rain": Key("what it rises in an hour by each mm/h of rain", default=0.0),
            "per_outage": Key("what it rises in an hour without supply, as where a pump stands still", default=0.0),
            "per_vehicle": Key("what each vehicle near by adds to its usual level", default=0.0),
            "harm": Key("loss when nobody has been warned, in the city's unit", "1", 1000.0, 0),
            "warning_cost": Key("of a warning, needed or not, in the city's unit", "1", 100.0, 0),
            "averts": Key("share of the loss that a warning in time averts", "1", 0.8, 0, 1),
            "reach_m": Key("within which a flood closes roads", "m", 100.0, 0),
        },
        measured=tuple(HAZARDS.values()),
        commanded=("state",),
    ),
    "ward": Kind(
        "a part of the city where all that is known about a hazard comes together",
        {
            "reach_m": Key("from its middle", "m", 1000.0, 1),
            "limit_pm25": Key("from which people are to stay inside", "ug/m3", 100.0, 1),
        },
    ),
    "crossing": Kind("where roads meet", {"signals": Key("1 where lights can be asked for green", "1", 0.0, 0, 1)}),
    "road": Kind(
        "leads from one crossing to another, one way",
        {"seconds": Key("to drive through when it is free", "s", 30.0, 0.1, 86_400)},
        ends=("crossing",),
    ),
    "unit": Kind(
        "who can be sent: an ambulance, a fire engine, a crew",
        {"per_minute": Key("what each minute until it is there costs, in the city's unit", "1", 10.0, 0)},
        commanded=("state",),
    ),
}
SETTINGS = {
    "step_s": Key("of the twin", "s", 300.0, 1, 3600),
    "ahead_s": Key("of driving, for which green is asked along a route", "s", 120.0, 1, 3600),
    "late_min": Key("minutes that an incident which nobody comes to counts as", "1", 60.0, 1),
    "needed": Key("probability from which an event is an incident that somebody is sent to", "1", 0.5, 0, 1),
}
TAKES = {
    "rain": Flow("intensity", "mm/h", "watch"),
    "outage": Flow("probability that it is without supply", "1", "watch"),
    "vehicles": Flow("near by", "count", "watch"),
    "pm25": Flow("in the air", "ug/m3", "ward"),
    "flood": Flow("probability of a flood that others see", "1", "ward"),
    "travel_time": Flow("live, 0 where nobody knows it", "s", "road"),
    "closed": Flow("1 where nobody gets through", "1", "road"),
    "call": Flow("probability that help is needed, as called for", "1", "crossing"),
    "dark": Flow("1 where signals are out of order", "1", "crossing"),
    "busy": Flow("1 while it cannot be sent", "1", "unit"),
    "sent": Flow("the place of the crossing it has been sent to in the city's order, from 1; 0 for none", "1", "unit"),
}
GIVES = {
    "preempt": Flow("1 where green is asked for; the signal's own controller decides", "1", "crossing"),
    "blocked": Flow("1 where a flood closes the road", "1", "road"),
    "danger": Flow("probability of any event", "1", "ward"),
}
