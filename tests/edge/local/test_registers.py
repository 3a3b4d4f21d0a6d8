"""The map of registers: stable when the file grows, complete, and never a number that may not be used."""

import math
import struct
from dataclasses import replace

import pytest

from edge_agent.local.registers import COUNT_MAX, WORDS, Registers, markdown
from edge_agent.local.slots import AUTHORITIES, MODES, OUTCOMES, Moment
from edge_agent.setpoint import Authority
from edge_agent.snapshot import Mode, Roster, TwinNames
from edge_agent.sources import Outcome
from protos.clock import NS
from tests.edge.local.scene import BAD, ROSTER, UTC_NS, snapshot

NOW = 1000 * NS
FORMATS = {"u16": ">H", "u32": ">I", "u64": ">Q", "f32": ">f"}


def value(registers: Registers, moment: Moment, name: str) -> float:
    row = next(row for row in registers.rows if row.name == name)
    found = registers.read(moment, row.address, WORDS[row.type])
    return float(struct.unpack(FORMATS[row.type], found)[0])


@pytest.fixture(scope="module")
def registers() -> Registers:
    return Registers(ROSTER)


def test_every_number_of_the_map_is_what_the_tick_says(registers: Registers) -> None:
    moment = Moment(snapshot(NOW, 70_000), NOW + NS, other=7, other_count=3, other_age_ns=NS, other_alive=True)
    expected = {
        "gateway.magic": 0x4354,
        "gateway.map_digest": registers.digest,
        "gateway.mode": 2,
        "gateway.heartbeat": 70_000 % 65_536,
        "gateway.tick": 70_000,
        "gateway.utc": UTC_NS // 1_000_000,
        "gateway.age": 1000,
        "gateway.period": 100,
        "gateway.flags": 0b111,
        "gateway.late": 4,
        "gateway.missed": 1,
        "gateway.outputs": 3,
        "gateway.twins": 2,
        "gateway.central_age": 3000,
        "gateway.other_age": 1000,
        "gateway.other_count": 3,
        "gateway.other_heartbeat": 7,
        "output.valve.value": 42.5,
        "output.valve.valid": 4000,
        "output.valve.authority": 1,
        "output.valve.flags": 0b01001,
        "output.valve.applied": 42.0,
        "output.valve.shown": struct.unpack(">f", struct.pack(">f", 41.9))[0],
        "output.valve.shown_age": 1500,
        "output.valve.low": 10,
        "output.valve.high": math.inf,
        "output.valve.outcome": 1,
        "output.pump.authority": 3,
        "output.pump.flags": 0b11111,
        "output.lamp.authority": 0,
        "output.lamp.shown_age": 2**32 - 1,
        "twin.tank.slot": 1,
        "twin.road.flags": 1,
        "twin.road.coasting": 3000,
        "estimate.tank.level.valid": 0,
        "estimate.road.queue.quality": BAD,
    }
    for name, wanted in expected.items():
        assert value(registers, moment, name) == wanted, name


def test_what_may_not_be_used_is_the_quiet_nan_and_its_countdown_is_zero(registers: Registers) -> None:
    fresh, late = Moment(snapshot(NOW), NOW), Moment(snapshot(NOW), NOW + 5 * NS)
    assert value(registers, fresh, "output.valve.value") == 42.5
    assert registers.read(late, 1000, 4) == b"\x7f\xc0\0\0\0\0\0\0"
    assert math.isnan(value(registers, late, "output.valve.low"))
    assert value(registers, late, "output.pump.valid") == 55_000, "the other one still counts"
    for name in ("output.lamp", "estimate.road.queue"):
        assert value(registers, fresh, f"{name}.valid") == 0
        assert math.isnan(value(registers, fresh, f"{name}.value"))
    assert value(registers, fresh, "estimate.tank.level.valid") == 1000
    stopped = Moment(snapshot(NOW, mode=Mode.STOPPED), NOW)
    for name in ("output.valve", "estimate.tank.level"):
        assert value(registers, stopped, f"{name}.valid") == 0
        assert math.isnan(value(registers, stopped, f"{name}.value"))


def test_what_is_appended_to_the_file_moves_nothing(registers: Registers) -> None:
    grown = Registers(
        replace(
            ROSTER,
            outputs=(*ROSTER.outputs, "fan"),
            points=(*ROSTER.points, "hall/fan"),
            units=(*ROSTER.units, "%"),
            twins=(
                TwinNames("tank", ("level", "leak", "inflow"), ("m", "m3/h", "m3/h")),
                ROSTER.twins[1],
                TwinNames("hall", ("co2",), ("ppm",)),
            ),
        )
    )
    assert set(registers.rows) < set(grown.rows)
    assert grown.digest != registers.digest
    assert Registers(ROSTER).digest == registers.digest


def test_numbers_do_not_overlap_and_lie_within_the_address_space() -> None:
    outputs = tuple(f"o{k}" for k in range(256))
    twins = tuple(TwinNames(f"t{k}", tuple(f"s{j}" for j in range(52)), ("1",) * 52) for k in range(101))
    registers = Registers(Roster(outputs, outputs, ("1",) * 256, twins))
    taken = [row.address + word for row in registers.rows for word in range(WORDS[row.type])]
    assert len(set(taken)) == len(taken)
    assert max(taken) < 65_536
    assert registers.left_out[0] == "t100"
    assert set(registers.left_out[1:3]) == {"t0/s50", "t0/s51"}
    assert len({row.name for row in registers.rows}) == len(registers.rows)


def test_every_word_that_a_part_may_say_has_a_number() -> None:
    assert set(OUTCOMES) == {"none", *(one.value for one in Outcome)}
    assert set(AUTHORITIES) == set(Authority)
    assert set(MODES) == set(Mode)


def test_blocks_are_the_same_as_single_registers(registers: Registers) -> None:
    moment = Moment(snapshot(NOW), NOW)
    single = b"".join(registers.read(moment, 1000 + at, 1) for at in range(60))
    for start in range(0, 60, 7):
        assert registers.read(moment, 1000 + start, 60 - start) == single[2 * start :]


@pytest.mark.parametrize(
    ("address", "count"), [(990, 20), (1050, 20), (101, 1), (65_535, 1), (0, 126), (0, 0), (7020, 1)]
)
def test_addresses_outside_the_map_are_refused(registers: Registers, address: int, count: int) -> None:
    with pytest.raises(LookupError):
        registers.read(Moment(snapshot(NOW), NOW), address, count)


def test_a_number_that_does_not_fit_is_the_nearest_that_does(registers: Registers) -> None:
    old = snapshot(NOW)
    huge = old.decisions[0]._replace(value=-1e300, not_after_ns=NOW + 2**62)
    moment = Moment(replace(old, decisions=(huge, *old.decisions[1:]), late=2**40), NOW)
    assert value(registers, moment, "output.valve.value") == -math.inf
    assert value(registers, moment, "output.valve.valid") == 2**32 - 1
    assert value(registers, moment, "gateway.late") == 2**32 - 1


def test_the_printed_map_names_every_number(registers: Registers) -> None:
    text = markdown(registers, "north")
    for row in registers.rows:
        assert f"| {row.address} | {row.type} | {row.name} | {row.unit} |" in text
    assert f"{registers.digest:08x}" in text
    assert COUNT_MAX == 125
