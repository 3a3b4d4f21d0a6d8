"""Frames as the specifications write them, and parsers that take any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources.modbus.framing import (
    Request,
    Verdict,
    answers,
    crc,
    parse_mbap,
    parse_rtu,
    read,
    sealed,
    write,
)
from tests.simulators.modbus_line import crc16


@given(st.binary(min_size=1, max_size=260))
def test_crc_agrees_with_the_specification(data: bytes) -> None:
    assert crc(data).to_bytes(2, "little") == crc16(data)


def test_crc_of_a_known_frame() -> None:
    assert sealed(bytes.fromhex("010300000001")) == bytes.fromhex("010300000001840a")


@pytest.mark.parametrize(
    ("request_", "tail"),
    [
        (read(17, 3, 0x6B, 3), "00000006110300" "6b0003"),
        (read(17, 1, 0x13, 37), "000000061101" "00130025"),
        (write(17, 5, 0xAC, [1]), "000000061105" "00acff00"),
        (write(17, 6, 1, [3]), "000000061106" "00010003"),
        (write(17, 15, 0x13, [1, 0, 1, 1, 0, 0, 1, 1, 1, 0]), "00000009110f" "0013000a02cd01"),
        (write(17, 16, 1, [10, 258]), "0000000b1110" "0001000204000a0102"),
        (write(17, 23, 14, [255]), "0000000d1117" "000e0001000e00010200ff"),
    ],
)  # fmt: skip
def test_requests_of_the_specification(request_: Request, tail: str) -> None:
    assert request_.tail.hex() == tail
    assert request_.rtu == sealed(bytes([17]) + request_.pdu)


def test_other_functions_do_not_write() -> None:
    with pytest.raises(ValueError, match="one of 5, 6, 15, 16, 23"):
        write(1, 7, 0, [1])


@given(st.binary(max_size=300))
def test_parsers_take_any_bytes(data: bytes) -> None:
    for parse in (parse_mbap, parse_rtu):
        parsed = parse(data)
        assert parsed.verdict in Verdict
        assert parsed.size <= len(data)
        assert (parsed.verdict is Verdict.FRAME) == (parsed.size > 0)


@given(st.integers(0, 255), st.binary(min_size=2, max_size=250), st.integers(0, 65535), st.binary(max_size=8))
def test_mbap_frames_come_back(unit: int, pdu: bytes, transaction: int, after: bytes) -> None:
    frame = transaction.to_bytes(2) + b"\0\0" + (len(pdu) + 1).to_bytes(2) + bytes([unit]) + pdu
    parsed = parse_mbap(frame + after)
    assert (parsed.unit, parsed.pdu, parsed.transaction, parsed.size) == (unit, pdu, transaction, len(frame))
    assert parse_mbap(frame[:-1]).verdict is Verdict.MORE


@given(st.integers(1, 247), st.sampled_from([1, 2, 3, 4, 23]), st.binary(max_size=250), st.integers(0, 254), st.integers(1, 255))  # fmt: skip  # noqa: E501
def test_rtu_frames_come_back_and_damage_is_seen(unit: int, function: int, data: bytes, at: int, flip: int) -> None:
    frame = sealed(bytes([unit, function, len(data)]) + data)
    parsed = parse_rtu(frame)
    assert (parsed.unit, parsed.pdu) == (unit, frame[1:-2])
    damaged = bytearray(frame)
    damaged[at % len(frame)] ^= flip
    assert parse_rtu(bytes(damaged)).verdict is not Verdict.FRAME


def test_an_answer_has_the_form_of_its_request() -> None:
    asked = read(1, 3, 10, 2)
    assert answers(asked, 1, b"\x03\x04\0\1\0\2")
    assert answers(asked, 1, b"\x83\x02")
    for unit, pdu in (
        (2, b"\x03\x04\0\1\0\2"),
        (1, b"\x04\x04\0\1\0\2"),
        (1, b"\x03\x02\0\1"),
        (1, b"\x03\x04\0\1"),
        (1, b"\x83"),
        (1, b""),
    ):
        assert not answers(asked, unit, pdu)
    assert answers(write(1, 6, 5, [7]), 1, b"\x06\0\5\0\7")
    assert not answers(write(1, 6, 5, [7]), 1, b"\x06\0\5\0\6"), "the echo says another value"


def test_identification_tells_its_length_object_by_object() -> None:
    frame = sealed(b"\x01\x2b\x0e\x01\x01\x00\x00\x02\x00\x02AB\x01\x01C")
    assert parse_rtu(frame).size == len(frame)
    assert all(parse_rtu(frame[:k]).verdict is Verdict.MORE for k in range(1, len(frame)))
