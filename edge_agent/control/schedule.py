"""Schedule: a week's timetable of values in local time."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_agent.cell import ControllerSpec
from edge_agent.control import week
from edge_agent.control.settings import Role, Setting, Wired
from edge_agent.control.week import Entry, Week
from edge_agent.image import View
from edge_agent.setpoint import Rank, Standing, Wiring, Wish


class Schedule:
    """Wishes the value of the timetable's entry that holds now. Time comes with the view: the aggregator's or NTP's,
    never the gateway's own belief."""

    KIND: ClassVar[str] = "schedule"
    RANK: ClassVar[Rank] = Rank.DEFAULT
    FALLBACK: ClassVar[str] = "no wish while nobody trustworthy has said what time it is"
    BUMPLESS: ClassVar[bool] = False
    INPUTS: ClassVar[Mapping[str, Role]] = {}
    OUTPUTS: ClassVar[Mapping[str, Role]] = {"output*": Role("what is set")}
    SETTINGS: ClassVar[Mapping[str, Setting]] = {
        "times": Setting('entries, as "mon-fri 06:30 = 80"; each holds until the next', kind="texts", required=True),
        "zone": Setting("time zone of the entries, as Europe/Berlin", "", "UTC", "text"),
        "holidays": Setting('dates, as "2026-12-25", on which the entries of "holiday" hold', "", (), "texts"),
    }
    EXAMPLE: ClassVar[str] = """
[[controller]]
name = "opening-hours"
kind = "schedule"
outputs = { output = "fan" }
[controller.settings]
zone = "Europe/Berlin"
times = ["mon-fri 06:30 = 80", "mon-fri 19:00 = 20", "sat,sun 09:00 = 40", "sat,sun 17:00 = 20", "holiday 00:00 = 20"]
holidays = ["2026-12-25", "2026-12-26", "2027-01-01"]
"""

    @classmethod
    def build(cls, spec: ControllerSpec, wiring: Wiring) -> Self | None:
        wired = Wired.read(cls, spec, wiring)
        entries = list(cls._entries(wired))
        holidays = list(cls._holidays(wired))
        try:
            zone = ZoneInfo(wired.text("zone"))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = ZoneInfo("UTC")
            wired.refuse("settings.zone", "is no time zone", "a name as Europe/Berlin", wired.text("zone"))
        if wired.sound and not entries:
            wired.refuse("settings.times", "has no entry", week.FORM)
        return cls(wired, Week(entries, zone, holidays)) if wired.sound else None

    @staticmethod
    def _entries(wired: Wired) -> list[Entry]:
        found = []
        for number, text in enumerate(wired.texts("times")):
            key = f"settings.times[{number}]"
            try:
                found.append(week.read(text))
            except ValueError as error:
                wired.refuse(key, str(error), week.FORM, text)
            else:
                wired.reachable(key, found[-1].value)
        return found

    @staticmethod
    def _holidays(wired: Wired) -> list[date]:
        found = []
        for number, text in enumerate(wired.texts("holidays")):
            try:
                found.append(date.fromisoformat(text))
            except ValueError:
                wired.refuse(f"settings.holidays[{number}]", "is no date", 'write as "2026-12-25"', text)
        return found

    def __init__(self, wired: Wired, timetable: Week) -> None:
        self.name = wired.name
        self._slots = list(wired.slots("output").values())
        self._week = timetable

    def decide(self, view: View, standing: Sequence[Standing]) -> Sequence[Wish]:
        entry = None if view.utc_ns is None else self._week.at(view.utc_ns)
        if entry is None:
            return ()
        return [slot.exactly(entry.value, f"{entry.value:g} since {entry.at:%H:%M}") for slot in self._slots]
