"""Simulated quantities: in range, smooth, the same for the same seed; counters only rise."""

import math
from itertools import pairwise

import pytest

from edge_agent.config import Library
from edge_agent.verbs.simulate.memory import Memory
from edge_agent.verbs.simulate.payloads import SPOKEN, messages
from edge_agent.verbs.simulate.signals import COUNTERS, DAY_S, WHOLE, Signal

LIBRARY = Library()
NOON = 20_000 * DAY_S + DAY_S / 2


@pytest.mark.parametrize("name", LIBRARY.ids())
def test_signals_of_every_profile(name: str) -> None:
    times = [NOON + 1800 * step for step in range(60)]
    for point in LIBRARY.get(name).points:
        if point.quantity == "text":
            continue
        values = [Signal(point, "1")(time) for time in times]
        bounds = point.checks.get("range", {})
        assert all(bounds.get("min", -math.inf) <= value <= bounds.get("max", math.inf) for value in values)
        if point.enumeration:
            assert set(values) <= set(point.enumeration)
        elif point.quantity in COUNTERS and "max" not in bounds:
            assert values == sorted(values)
        if point.enumeration or point.quantity in WHOLE:
            assert all(value.is_integer() for value in values)
        if point.quantity == "presence":
            assert set(values) <= {0.0, 1.0}


def test_smooth() -> None:
    point = LIBRARY.get("eastron-sdm630").points[0]
    values = [Signal(point, "1")(NOON + second) for second in range(600)]
    assert max(abs(b - a) for a, b in pairwise(values)) < 0.5
    assert max(values) - min(values) > 0.2
    assert values != [Signal(point, "2")(NOON + second) for second in range(600)]


@pytest.mark.parametrize("name", [name for name in LIBRARY.ids() if LIBRARY.get(name).modbus])
def test_every_modbus_profile_can_be_played(name: str) -> None:
    memory = Memory(LIBRARY.get(name), "1", lambda: NOON)
    for point in memory.profile.points:
        assert point.register is not None
        assert not point.register.model
        register = point.register
        count = register.length or {"16": 1, "32": 2, "64": 4}.get(register.type[-2:], 1)
        words = memory.read(register.function, register.address, count)
        assert all(0 <= word <= 0xFFFF for word in words)
        assert point in list(memory.points_at(register.function, register.address, 1))


@pytest.mark.parametrize("name", [name for name in LIBRARY.ids() if LIBRARY.get(name).mqtt])
def test_every_mqtt_profile_can_be_played(name: str) -> None:
    profile = LIBRARY.get(name)
    assert profile.mqtt is not None
    assert profile.mqtt.payload in SPOKEN
    told = list(messages(profile, "root", "1", NOON))
    assert told
    assert all(payload.startswith(b"{") for _, payload in told)


@pytest.mark.parametrize(("profile", "name"), [("huawei-rsu-spat", "status"), ("abb-terra-ac", "status")])
def test_states_without_names_stay_and_then_change(profile: str, name: str) -> None:
    """They do not drift as measured values do: a few whole numbers, each for minutes."""
    point = next(one for one in LIBRARY.get(profile).points if one.name == name)
    signal = Signal(point, "seed")
    values = [signal(1_790_000_000.0 + 10 * step) for step in range(2000)]
    changes = sum(before != after for before, after in pairwise(values))
    assert set(values) <= {0.0, 1.0, 2.0, 3.0}
    assert len(set(values)) > 1
    assert changes < 2000 * 10 / 60
