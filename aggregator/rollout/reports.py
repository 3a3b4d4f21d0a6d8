"""What the fleet says, as the rules want it: of each gateway that is enrolled, what it told last about one twin."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from aggregator.rollout.course import Report
from aggregator.stores.catalogue import Gateway
from protos import vitals


class Presence(Protocol):
    """As in projections/fleet.py."""

    @property
    def connected(self) -> bool: ...
    @property
    def gauges(self) -> Mapping[str, float]: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


def reports(twin: str, gateways: Iterable[Gateway], presence: Mapping[str, Presence]) -> dict[str, Report]:
    """By gateway. One that is connected but has told nothing since the server began counts as away: nothing is known.

    A gateway's district is its cluster: plants of one district are alike.
    """
    found = {}
    for one in gateways:
        if one.state != "enrolled":
            continue
        live = presence.get(one.id)
        told = vitals.read(live.gauges, live.facts).get(twin) if live is not None else None
        here = live is not None and live.connected and bool(live.facts)
        found[one.id] = Report(here, one.district, told)
    return found
