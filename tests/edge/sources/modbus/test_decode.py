"""Every type and order against struct; markers, masks, names, scale factors, precision; blocks and their cuts."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.image import NEVER
from edge_agent.profile import PointSpec, Register
from edge_agent.sources.modbus.decode import EXCEPTION, IMPRECISE, INVALID, UNNAMED, Decoder, texts
from edge_agent.sources.modbus.plan import Limits, coalesce
from edge_agent.sources.modbus.values import PACKED, encode, limits, size
from tests.edge.sources.modbus.rig import point

WIDE = Limits(125, 2000, 8, False)
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
NUMBERS = tuple(PACKED)


def decoded(*specs: PointSpec, data: dict[int, int], missing: bool = False) -> tuple[list[float], list[int]]:
    """Values and codes of points read from these registers (address → word), zeros elsewhere."""
    blocks = coalesce(1, [(k, register(spec)) for k, spec in enumerate(specs)], WIDE)
    decoder = Decoder(specs, len(specs), blocks)
    words = (data.get(a, 0) for block in blocks for a in range(block.address, block.address + block.count))
    payload = b"".join(word.to_bytes(2) for word in words)
    values, codes = decoder.decode(payload, [(blocks[0], NEVER)] if missing else ())
    return values.tolist(), [0] * len(specs) if codes is None else codes.tolist()


def register(spec: PointSpec) -> Register:
    assert spec.register is not None
    return spec.register


def at(address: int, words: list[int]) -> dict[int, int]:
    return {address + k: word for k, word in enumerate(words)}


def sent(kind: str, order: str, value: float) -> list[int]:
    """Registers by struct, with the order done on words and bytes."""
    packed = struct.pack(">" + PACKED[kind], value)
    words = [packed[k : k + 2] for k in range(0, len(packed), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [int.from_bytes(word) for word in words]


@st.composite
def numbers(draw: st.DrawFn) -> tuple[str, str, float]:
    kind, order = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(ORDERS))
    if kind in ("f32", "f64"):
        return kind, order, draw(st.floats(allow_nan=False, allow_infinity=False, width=32 if kind == "f32" else 64))
    low, high = limits(kind)
    return kind, order, draw(st.integers(int(low), int(high)))


@given(st.lists(numbers(), min_size=1, max_size=12), st.integers(0, 5))
def test_every_type_and_order_as_struct_says(found: list[tuple[str, str, float]], gap: int) -> None:
    specs: list[PointSpec] = []
    data: dict[int, int] = {}
    address = 7
    for k, (kind, order, value) in enumerate(found):
        specs.append(point(f"p{k}", address, kind, order=order))
        words = sent(kind, order, value)
        assert encode(register(specs[-1]), value) == words
        data |= at(address, words)
        address += len(words) + gap
    values, codes = decoded(*specs, data=data)
    for (kind, _, value), got, code in zip(found, values, codes, strict=True):
        assert got == float(value)
        assert code == (IMPRECISE if kind in ("u64", "i64") and abs(float(value)) > 2**53 else 0)


@given(st.integers(0, 99_999_999), st.sampled_from(ORDERS))
def test_packed_decimals(value: int, order: str) -> None:
    long = point("l", 0, "bcd32", order=order)
    short = point("s", 2, "bcd16", order=order)
    data = at(0, encode(register(long), value)) | at(2, encode(register(short), value % 10_000))
    assert decoded(long, short, data=data) == ([value, value % 10_000], [0, 0])


def test_a_digit_beyond_nine_is_no_number() -> None:
    values, codes = decoded(point("p", 0, "bcd16"), data={0: 0x12A4})
    assert math.isnan(values[0])
    assert codes == [INVALID]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number(value: float) -> None:
    values, codes = decoded(point("p", 0, "f32"), point("q", 2, "f32"), data=at(0, sent("f32", "ABCD", value)))
    assert math.isnan(values[0])
    assert (values[1], codes) == (0.0, [INVALID, 0])


def test_markers_are_of_the_raw_value_in_the_type_of_the_point() -> None:
    specs = (
        point("a", 0, "i16", invalid=(0x8000,), scale=0.1),
        point("b", 1, "u16", invalid=(65535, 65534)),
        point("c", 2, "i32", invalid=(-2147483648,)),
        point("d", 4, "f32", invalid=(-999.9,)),
        point("e", 6, "u16"),
        point("f", 7, "bits16", mask=0x10, invalid=(0xFFFF,)),
    )
    data = {0: 0x8000, 1: 65534, 2: 0x8000, 6: 65535, 7: 0xFFFF} | at(4, sent("f32", "ABCD", -999.9))
    values, codes = decoded(*specs, data=data)
    assert codes == [INVALID] * 4 + [0, INVALID]
    assert np.isnan(values[:4]).all()
    assert values[4] == 65535


def test_masks_take_their_bits_to_the_bottom() -> None:
    specs = (
        point("one", 0, "bits16", mask=0x0400),
        point("three", 0, "bits16", mask=0x0070),
        point("whole", 0, "bits16"),
        point("wide", 1, "bits32", mask=0xFF000000),
        point("swapped", 3, "bits32", mask=0xFF, order="CDAB"),
    )
    values, codes = decoded(*specs, data={0: 0x0450, 1: 0xAB00, 2: 1, 3: 0x0042, 4: 0})
    assert (values, codes) == ([1, 5, 0x450, 0xAB, 0x42], [0] * 5)


def test_names_of_values() -> None:
    spec = point("p", 0, enumeration={0: "off", 1: "on"})
    assert decoded(spec, data={0: 1}) == ([1], [0])
    assert decoded(spec, data={0: 7}) == ([7], [UNNAMED])


def test_units_become_the_internal_unit() -> None:
    specs = (
        point("p", 0, "u16", quantity="active_power", unit="kW", scale=0.1),
        point("t", 1, "i16", quantity="temperature", unit="degF", scale=1, offset=0),
    )
    values, _ = decoded(*specs, data={0: 123, 1: 212})
    assert values == pytest.approx([12_300, 100])


@pytest.mark.parametrize(("exponent", "value", "code"), [(-2, 1.23, 0), (0, 123, 0), (3, 123_000, 0), (-11, None, INVALID)])  # fmt: skip  # noqa: E501
def test_a_point_scales_another(exponent: int, value: float | None, code: int) -> None:
    specs = (point("W", 0, scale_from="W_SF"), point("W_SF", 1, "i16", invalid=(-32768,)))
    values, codes = decoded(*specs, data={0: 123, 1: exponent & 0xFFFF})
    assert codes[0] == code
    assert math.isnan(values[0]) if value is None else values[0] == pytest.approx(value)


def test_without_the_scale_factor_there_is_no_value() -> None:
    specs = (point("W", 0, scale_from="W_SF"), point("W_SF", 1, "i16", invalid=(-32768,)))
    assert decoded(*specs, data={0: 123, 1: 0x8000})[1] == [INVALID, INVALID]


def test_bits_are_packed_from_the_lowest() -> None:
    specs = [point(f"b{k}", k, "bit", function=1) for k in (0, 3, 9)]
    blocks = coalesce(1, [(k, register(spec)) for k, spec in enumerate(specs)], WIDE)
    values, codes = Decoder(specs, 3, blocks).decode(bytes([0b1000, 0b10]))
    assert (values.tolist(), codes) == ([0, 1, 1], None)


def test_what_was_not_read_is_missing_and_what_is_refused_says_so() -> None:
    values, codes = decoded(point("p", 0), data={0: 5}, missing=True)
    assert math.isnan(values[0])
    assert codes == [NEVER]
    decoder = Decoder([point("p", 0), point("q", 1)], 2, coalesce(1, [(0, Register(3, 0, "u16"))], WIDE))
    values_, codes_ = decoder.decode(b"\0\5")
    assert codes_ is not None
    assert codes_.tolist() == [0, EXCEPTION]
    assert values_[0] == 5


def test_strings() -> None:
    specs = [point("s", 10, "str", length=4), point("t", 14, "str", length=2, order="BADC")]
    blocks = coalesce(1, [(k, register(spec)) for k, spec in enumerate(specs)], WIDE)
    payload = b"AB C\0xyz" + b"ehll"
    assert dict(texts(specs, blocks, payload)) == {"s": "AB C", "t": "hell"}


@given(
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["u16", "u32", "u64", "bits16"])), min_size=1, max_size=40),
    st.integers(1, 125),
    st.integers(0, 20),
    st.booleans(),
)
def test_blocks_hold_every_point_once_within_the_limits(
    places: list[tuple[int, str]], most: int, gap: int, single: bool
) -> None:
    registers = [Register(3, address, kind) for address, kind in places]
    blocks = coalesce(1, list(enumerate(registers)), Limits(most, 2000, gap, single))
    assert sorted(number for block in blocks for number in block.points) == list(range(len(registers)))
    for block in blocks:
        widest = max(size(registers[number]) for number in block.points)
        assert block.count <= max(most, widest)
        for number in block.points:
            start = registers[number].address - block.address
            assert start >= 0
            assert start + size(registers[number]) <= block.count
            assert not any(start < cut < start + size(registers[number]) for cut in block.cuts)
        if single:
            assert len({(registers[n].address, size(registers[n])) for n in block.points}) == 1


def test_a_gap_is_read_along_as_far_as_it_is_tolerated() -> None:
    registers = [(0, Register(3, 0, "u16")), (1, Register(3, 9, "u16")), (2, Register(4, 9, "u16"))]
    assert [block.count for block in coalesce(1, registers, WIDE)] == [10, 1]
    assert [block.count for block in coalesce(1, registers, Limits(125, 2000, 7, False))] == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("u16", 65536),
        ("u16", -1),
        ("i16", 40000),
        ("bcd16", 10_000),
        ("f32", 1e39),
        ("u16", math.nan),
        ("str", 1),
    ],
)
def test_what_a_type_cannot_hold_is_refused(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match=r"fit|written"):
        encode(Register(3, 0, kind), value)


@pytest.mark.parametrize("order", ORDERS)
def test_signalling_nan_is_no_value_and_no_warning(order: str) -> None:
    words = {"ABCD": [0x7FA0, 1], "CDAB": [1, 0x7FA0], "BADC": [0xA07F, 0x0100], "DCBA": [0x0100, 0xA07F]}[order]
    values, codes = decoded(point("a", 0, "f32", order=order), data=at(0, words))
    assert math.isnan(values[0])
    assert codes == [INVALID]


def test_answers_decoded_together_are_those_decoded_alone() -> None:
    """Rows with and without markers, unnamed states, masks, exponents out of range, in one call."""
    specs = [
        point("a", 0, "i16", scale_from="sf", invalid=(0x8000,)),
        point("sf", 1, "i16", invalid=(0x8000,)),
        point("flags", 2, "bits16", mask=0x0F00),
        point("state", 3, "u16", enumeration={1: "on", 2: "off"}),
        point("f", 4, "f32"),
        point("digits", 6, "bcd32", order="CDAB"),
        point("wide", 8, "u64"),
    ]
    blocks = coalesce(1, [(k, register(spec)) for k, spec in enumerate(specs)], WIDE)
    decoder = Decoder(specs, len(specs), blocks)
    chance = np.random.default_rng(5)
    payloads = [chance.choice([0, 0, 1, 2, 0x80, 0x7F, 0xFF], 24).astype(np.uint8).tobytes() for _ in range(300)]
    values, codes = decoder.decode_all(payloads)
    assert codes is not None
    for row, payload in enumerate(payloads):
        alone, why = decoder.decode(payload)
        assert values[row].tobytes() == alone.tobytes()
        assert codes[row].tolist() == ([0] * len(specs) if why is None else why.tolist())
    assert {INVALID, UNNAMED, IMPRECISE, 0} <= set(codes.ravel().tolist())
