"""The points of a twin, as they stand in the process image, and what its file must say so that it can be one.

<state>, <state>_sd             each state and its standard deviation
<channel>, <channel>_sd         a virtual sensor, for a channel that is measured nowhere here and is no state
nis                             normalised innovation squared per channel, averaged: about 1 while the model is right
coasting                        seconds since all its channels and inputs were last there; 0 while they are
network                         1 while the int8 network corrects the linear twin, 0 while it does not
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edge_agent.cell import TwinSpec
from protos.bundle import Bundle
from protos.model import Manifest

OWN = {"nis": "ratio", "coasting": "duration", "network": "switch"}  # and the quantity of each


class Wrong(NamedTuple):
    """What the gateway's file says of a twin and the bundle does not bear out."""

    key: str
    value: str
    wrong: str
    remedy: str


def every_point(manifest: Manifest) -> Mapping[str, str]:
    """All points that a twin of this kind can have, with the quantity of each."""
    states = {one.name for one in manifest.states}
    shown = [*manifest.states, *(one for one in manifest.channels if one.name not in states)]
    found = {one.name: one.quantity for one in shown}
    return found | {f"{one.name}_sd": one.quantity for one in shown} | OWN


def points_of(spec: TwinSpec, bundle: Bundle) -> Mapping[str, str]:
    """The points that this twin has, with the quantity of each."""
    measured = {one.name for one in bundle.manifest.channels if one.name in spec.points}
    states = {one.name for one in bundle.manifest.states}
    left_out = {name for channel in measured - states for name in (channel, f"{channel}_sd")}
    return {name: quantity for name, quantity in every_point(bundle.manifest).items() if name not in left_out}


def wrong_with(spec: TwinSpec, bundle: Bundle, known: Mapping[str, str]) -> Iterator[Wrong]:
    """Every fault of the file's `points` for this bundle; `known` has the quantity of each device/point."""
    wanted = {one.name: one for one in (*bundle.manifest.channels, *bundle.manifest.inputs)}
    listed = ", ".join(wanted)
    for name, point in spec.points.items():
        if name not in wanted:
            yield Wrong(f"points.{name}", point, f"is nothing of {bundle.title}", f"it has {listed}")
        elif point not in known:
            yield Wrong(f"points.{name}", point, "is no point of this gateway", "name a point as device/point")
        elif known[point] != wanted[name].quantity:
            yield Wrong(f"points.{name}", point, f"is a {known[point]}", f"name a {wanted[name].quantity}")
    for one in bundle.manifest.inputs:
        if one.name not in spec.points:
            yield Wrong(f"points.{one.name}", "", "is missing", f"name the point that is this {one.quantity}")
    if not any(one.name in spec.points for one in bundle.manifest.channels):
        yield Wrong("points", "", "has no channel of the bundle", "name one: a twin that measures nothing only coasts")
