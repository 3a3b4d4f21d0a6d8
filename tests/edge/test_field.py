"""Lines: one connection for each host and port however it is spelled, and never more than a host takes."""

from dataclasses import replace

import pytest

from edge_agent.field import lines_of
from edge_agent.profile import Device
from tests.edge.sources.modbus.rig import device, point


def at(connection: str, name: str, max_clients: int = 0) -> Device:
    return replace(device(point("p", 1), name=name, max_clients=max_clients), connection=connection)


def test_spellings_of_one_place_are_one_line() -> None:
    lines = lines_of([at("tcp://h", "a", max_clients=1), at("tcp://H:502", "b", max_clients=1)])
    assert {line: [one.name for one in devices] for line, devices in lines.items()} == {"tcp://h": ["a", "b"]}
    serial = lines_of([at("rtu:///dev/ttyS0?baud=9600", "d"), at("rtu:///dev/ttyS0", "e"), at("rtu:///dev/ttyS1", "f")])
    assert [[one.name for one in devices] for devices in serial.values()] == [["d", "e"], ["f"]]


def test_a_host_is_not_given_more_connections_than_it_takes() -> None:
    crowd = [at("tcp://h:502", "a", max_clients=1), at("tcp://h:6607", "b"), at("tcp://g:502", "c", max_clients=1)]
    with pytest.raises(ValueError, match="device a: h takes 1 connections and this gateway would open 2") as caught:
        lines_of(crowd)
    assert "tcp://h:502, tcp://h:6607" in str(caught.value)
    assert len(lines_of([at("tcp://h:502", "a", max_clients=2), *crowd[1:]])) == 3
    assert len(lines_of([at("tcp://h:502", "a", max_clients=0), *crowd[1:]])) == 3
