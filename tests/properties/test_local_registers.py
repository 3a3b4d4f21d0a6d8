"""The local Modbus map over any roster, any numbers and any request."""

import math
import struct
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.local.modbus import PDU_MAX, Desk, OtherSide
from edge_agent.local.registers import COUNT_MAX, WORDS, Registers
from edge_agent.local.slots import Moment
from edge_agent.setpoint import Authority, Decision
from edge_agent.snapshot import Applied, Mode, Roster, Snapshot, TwinNames, TwinState
from protos.clock import NS

SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NUMBERS = st.floats(width=64)
TIMES = st.integers(-(2**62), 2**62)
FORMATS = {"u16": ">H", "u32": ">I", "u64": ">Q", "f32": ">f"}


def decisions() -> st.SearchStrategy[Decision]:
    return st.builds(
        Decision, NUMBERS, st.sampled_from(Authority), st.just("by"), st.just("why"), TIMES, low=NUMBERS, high=NUMBERS
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    outputs, states = draw(st.integers(0, 6)), draw(st.lists(st.integers(0, 4), max_size=3))
    names = tuple(f"o{k}" for k in range(outputs))
    twins = tuple(TwinNames(f"t{k}", tuple(f"s{j}" for j in range(n)), ("1",) * n) for k, n in enumerate(states))

    def numbers(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array(draw(st.lists(NUMBERS, min_size=count, max_size=count)), np.float64)

    return Snapshot(
        roster=Roster(names, names, ("1",) * outputs, twins),
        tick=draw(st.integers(0, 2**63)),
        now_ns=draw(TIMES),
        utc_ns=draw(st.none() | st.integers(0, 2**62)),
        mode=draw(st.sampled_from(Mode)),
        decisions=[draw(decisions()) for _ in names],
        applied=[Applied(draw(NUMBERS), draw(NUMBERS), draw(TIMES)) for _ in names],
        twins=[
            TwinState(numbers(n), numbers(n), np.array([draw(st.integers(0, 191)) for _ in range(n)], np.uint8))
            for n in states
        ],
    )


@SOME
@given(snapshots(), TIMES)
def test_every_number_can_be_read_and_none_that_is_over_is_shown(snapshot: Snapshot, now_ns: int) -> None:
    registers, moment = Registers(snapshot.roster), Moment(snapshot, now_ns)
    for row in registers.rows:
        found = struct.unpack(FORMATS[row.type], registers.read(moment, row.address, WORDS[row.type]))[0]
        if row.name.startswith("output.") and row.name.endswith(".value"):
            place = snapshot.roster.outputs.index(row.name.split(".")[1])
            usable = now_ns + NS // 1000 <= snapshot.decision_until_ns(place)
            assert usable or math.isnan(found)


@SOME
@given(snapshots(), TIMES, st.integers(0, 65_535), st.integers(1, COUNT_MAX), st.integers(1, COUNT_MAX))
def test_a_block_is_its_parts(snapshot: Snapshot, now_ns: int, address: int, first: int, second: int) -> None:
    registers, moment = Registers(snapshot.roster), Moment(snapshot, now_ns)
    starts = [section.start for section in registers.sections]
    address = starts[address % len(starts)] + address % 30
    try:
        whole = registers.read(moment, address, min(first + second, COUNT_MAX))
    except LookupError:
        return
    assert whole == b"".join(registers.read(moment, address + k, 1) for k in range(len(whole) // 2))


@SOME
@given(snapshots(), TIMES, st.integers(0, 255), st.binary(min_size=1, max_size=PDU_MAX))
def test_any_request_gets_an_answer_that_fits(snapshot: Snapshot, now_ns: int, unit: int, pdu: bytes) -> None:
    desk = Desk(lambda: snapshot, OtherSide(NS))
    answer = desk.answer(unit, pdu, now_ns)
    assert 2 <= len(answer) <= PDU_MAX
    assert answer[0] & 0x7F == pdu[0] & 0x7F
    assert desk.answer(unit, bytes((4, 0, 0, 0, 30)), now_ns)


@SOME
@given(snapshots(), snapshots(), TIMES)
def test_what_is_appended_moves_nothing(snapshot: Snapshot, more: Snapshot, now_ns: int) -> None:
    old, new = snapshot.roster, more.roster
    added = tuple(f"new-{name}" for name in new.outputs)
    twins = tuple(twin._replace(name=f"new-{twin.name}") for twin in new.twins)
    grown = replace(
        old,
        outputs=old.outputs + added,
        points=old.points + added,
        units=old.units + new.units,
        twins=old.twins + twins,
    )
    assert set(Registers(old).rows) <= set(Registers(grown).rows)
