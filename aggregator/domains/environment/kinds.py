"""What a city file may say of its air: stations and cells that breathe it, zones that are decided for, fans."""

from aggregator.twin.part import Flow, Key, Kind

PLACE = {
    "background_pm25": Key("usual PM2.5 here, without the sources that are given", "ug/m3", 15.0, 0.1, 1000),
    "background_no2": Key("usual NO2 here, without the sources that are given", "ug/m3", 25.0, 0.1, 1000),
    "people": Key("who breathe it", "count", 0.0, 0),
}
KINDS = {
    "station": Kind("measures the air where it stands", PLACE, measured=("pm25", "no2")),
    "cell": Kind(
        "a piece of the city: a receptor, and where sources give off what they do",
        PLACE | {"area_m2": Key("that its sources spread over", "m2", 250_000.0, 100)},
        measured=("pm25", "no2"),
    ),
    "zone": Kind(
        "what is decided for at once: the stations and cells within its reach that are not nearer to another",
        {
            "reach_m": Key("from its middle", "m", 5_000.0, 1),
            "restrictable": Key("share of its sources that a full restriction of traffic holds back", "1", 0.5, 0, 1),
            "restriction_cost": Key("of an hour of full restriction, in the city's unit", "1", 100.0, 0),
            "advice_cost": Key("of an hour of advice: what people do not do", "1", 20.0, 0),
            "advice_protects": Key("share of the harm that advice averts", "1", 0.3, 0, 1),
        },
        commanded=("percentage", "state"),
    ),
    "actuator": Kind(
        "a fan or a filter: takes what floats in the air within its reach",
        {
            "reach_m": Key("from where it stands", "m", 200.0, 1),
            "changes_per_h": Key("times an hour that it renews that air, in full swing", "1", 2.0, 0, 60),
            "cost": Key("of an hour in full swing, in the city's unit", "1", 5.0, 0),
        },
        commanded=("percentage",),
    ),
}
SETTINGS = {
    "step_s": Key("of the twin", "s", 3600.0, 60, 3600),
    "pollutants": Key("which of them", default="pm25 no2", words=("pm25", "no2", "pm25 no2")),
    "memory_h": Key("after which still air has forgotten what was in it", "h", 48.0, 0.5, 1000),
    "flushed_km": Key("of wind that carry it off", "km", 400.0, 1, 10_000),
    "wind_usual": Key("speed that the backgrounds are usual at", "m/s", 2.0, 0.1, 30),
    "heating": Key("share more for each K below 15 degC", "1", 0.02, 0, 1),
    "spread": Key("standard deviation around the background, as a share of it", "1", 0.8, 0.01, 5),
    "steady": Key("share of that deviation which does not grow with the level", "1", 0.3, 0, 1),
    "regional": Key("share of the variance that is the whole city's", "1", 0.7, 0, 1),
    "local": Key("share of the rest that is a place's own, however near another is", "1", 0.2, 0.01, 1),
    "range_km": Key("at which the remaining deviations of two places have little in common", "km", 15.0, 0.1, 1000),
    "drift_per_day": Key("of a sensor's zero; standard deviation", "ug/m3", 0.3, 0),
    "drift_days": Key("after which a drift has been put right", "d", 60.0, 1),
    "mixing_m": Key("height that sources are mixed into", "m", 500.0, 10, 5000),
    "disperses_m": Key("distance at which a source counts for a third", "m", 800.0, 10),
    "no2_share": Key("of the nitrogen oxides that sources give off", "1", 0.3, 0, 1),
    "limit_pm25": Key("above which it does harm", "ug/m3", 50.0, 1),
    "limit_no2": Key("above which it does harm; the hourly value of Directive 2008/50/EC", "ug/m3", 200.0, 1),
    "harm": Key("of a thousand people in an hour above a limit, in the city's unit", "1", 10.0, 0),
}
TAKES = {
    "source_pm25": Flow("what is given off", "g/h", "cell"),
    "source_nox": Flow("what is given off, counted as NO2", "g/h", "cell"),
    "wind_speed": Flow("mean over the step; NaN where nobody knows", "m/s", "zone", 2.0),
    "wind_direction": Flow("where it comes from", "deg", "zone", 0.0),
    "temperature": Flow("of the air", "degC", "zone", 15.0),
}
GIVES = {
    "pm25": Flow("as believed; 0 where it is not followed", "ug/m3", "cell"),
    "no2": Flow("as believed; 0 where it is not followed", "ug/m3", "cell"),
    "station_pm25": Flow("at stations, as believed", "ug/m3", "station"),
    "station_no2": Flow("at stations, as believed", "ug/m3", "station"),
}
