"""A SunSpec chain for a simulated device: the models of its profile behind each other, from register 40000 on.

A model is as long as its profile's points need: what reads it must take its length from its head, as from any device.
"""

from collections.abc import Mapping
from dataclasses import replace

from edge_agent.profile import Profile
from edge_agent.sources.modbus.sunspec import BASES, END, HEAD, MARKER, Model, placed
from edge_agent.sources.modbus.values import size


def chained(profile: Profile) -> tuple[Profile, Mapping[int, int], range]:
    """The profile with plain addresses, the words of marker, heads and end by address, and the addresses of it all."""
    ends: dict[int, int] = {}  # of each model, by offset
    for point in profile.points:
        if (register := point.register) is not None and register.model:
            ends[register.model] = max(ends.get(register.model, HEAD), register.address + size(register))
    if not ends:
        return profile, {}, range(0)
    base = BASES[0]
    words = {base + at: int.from_bytes(MARKER[2 * at : 2 * at + 2]) for at in range(HEAD)}
    models: list[Model] = []
    address = base + HEAD
    for number, end in ends.items():
        models.append(Model(number, address, end - HEAD))
        words |= {address: number, address + 1: end - HEAD}
        address += end
    words |= {address: END, address + 1: 0}
    points = tuple(placed(point, models) or point for point in profile.points)
    return replace(profile, points=points), words, range(base, address + HEAD)
