"""A code is quality and reason in one byte; larger is worse; words and numbers are for ever."""

import numpy as np
import pytest

from protos.quality import Quality, Reason, code, quality, reason, text, worse

ON_DISK = {  # as released: a number here may never change or go away
    "NONE": 0, "RANGE": 1, "RATE": 2, "STUCK": 3, "SPIKE": 4, "TIMING": 5, "DUPLICATE": 6, "STALE": 7, "CLOCK": 8,
    "INVALID": 9, "NO_ANSWER": 10, "EXCEPTION": 11, "PAYLOAD": 12, "PRECISION": 13, "ENUMERATION": 14,
    "SIMULATED": 15, "HISTORICAL": 16, "DEAD": 17, "ESTIMATED": 18,
}  # fmt: skip


def test_numbers_are_for_ever() -> None:
    assert ON_DISK.items() <= {one.name: one.value for one in Reason}.items()
    assert [one.value for one in (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)] == [0, 1, 2]


def test_every_code_comes_apart_again() -> None:
    codes = np.array([code(q, r) for q in Quality for r in Reason], np.uint8)
    assert quality(codes).tolist() == [q for q in Quality for _ in Reason]
    assert reason(codes).tolist() == [r for _ in Quality for r in Reason]
    assert len(set(codes.tolist())) == len(Quality) * len(Reason)
    assert max(Reason) < 64


def test_worse_takes_the_worse_quality_and_keeps_the_first_reason() -> None:
    good, rate, spike, bad = 0, code(Quality.UNCERTAIN, Reason.RATE), code(Quality.UNCERTAIN, Reason.SPIKE), 0x81
    a = np.array([good, rate, rate, bad, good], np.uint8)
    b = np.array([rate, good, spike, rate, bad], np.uint8)
    assert worse(a, b).tolist() == [rate, rate, rate, bad, bad]
    assert worse(a, b).dtype == np.uint8


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "GOOD"),
        (0x4A - 9, "UNCERTAIN RANGE"),
        (0x8A, "BAD NO_ANSWER"),
        (0x40, "UNCERTAIN"),
        (0x40 | 63, "UNCERTAIN 63"),
    ],
)
def test_words(number: int, words: str) -> None:
    assert text(number) == words
