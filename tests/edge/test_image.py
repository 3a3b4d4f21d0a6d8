"""Frames whose values are decoded later: together when somebody asks for all, alone at the first look."""

from collections.abc import Sequence

import numpy as np

from edge_agent.image import Codes, Floats, Frame, Image, Layout, lay_out, open_all
from protos.quality import Quality, Reason, code

SPIKE = code(Quality.UNCERTAIN, Reason.SPIKE)
INVALID = code(Quality.BAD, Reason.INVALID)


class Bytes:
    """Each byte of an answer is a value; 255 is none. Remembers how many answers each call brought."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def decode_all(self, payloads: Sequence[bytes], /) -> tuple[Floats, Codes | None]:
        self.calls.append(len(payloads))
        raw = np.frombuffer(b"".join(payloads), np.uint8).reshape(len(payloads), -1)
        codes = np.where(raw == 255, INVALID, 0).astype(np.uint8)
        return raw.astype(np.float64), codes if codes.any() else None


def made() -> tuple[list[Layout], Image]:
    return lay_out([("meter", ("a", "b")), ("tank", ("level",))])


def test_answers_of_one_form_are_decoded_in_one_call() -> None:
    (meter, tank), _ = made()
    pairs, single = Bytes(), Bytes()
    frames = [Frame(meter, at, at, (bytes([at, 7]), pairs)) for at in range(5)]
    frames[3:3] = [Frame(tank, 9, 9, (b"\xff", single)), Frame(tank, 10, 10, np.array([2.5]))]
    open_all(frames)
    open_all(frames)
    assert (pairs.calls, single.calls) == ([5], [1])
    assert [frame.values.tolist() for frame in frames] == [[0, 7], [1, 7], [2, 7], [255], [2.5], [3, 7], [4, 7]]
    assert [None if frame.codes is None else frame.codes.tolist() for frame in frames] == [
        *[None] * 3,
        [INVALID],
        *[None] * 3,
    ]


def test_a_frame_of_which_only_one_value_is_bad_keeps_its_codes_and_its_neighbour_has_none() -> None:
    (meter, _), _ = made()
    pairs = Bytes()
    frames = [Frame(meter, at, at, (answer, pairs)) for at, answer in enumerate((b"\x01\xff", b"\x01\x02"))]
    open_all(frames)
    assert frames[0].codes is not None
    assert frames[0].codes.tolist() == [0, INVALID]
    assert frames[1].codes is None


def test_the_first_look_decodes_and_codes_given_afterwards_stay() -> None:
    (meter, _), image = made()
    pairs = Bytes()
    looked, marked, shown = (Frame(meter, 1, 1, (b"\x03\x04", pairs)) for _ in range(3))
    assert looked.values.tolist() == [3, 4]
    marked.codes = np.array([SPIKE, 0], np.uint8)
    assert marked.values.tolist() == [3, 4]
    assert marked.codes.tolist() == [SPIKE, 0]
    image.take(shown)
    assert image.values.tolist()[:2] == [3, 4]
    assert pairs.calls == [1, 1, 1]
