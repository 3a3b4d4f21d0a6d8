"""Some mutants for every parser on every run; and the fuzzer finds what is planted for it."""

import re
import struct
import time

import pytest

from tests.bench.fuzz import PARSERS, feed, parser_of
from tests.bench.mutation import SIZE_MAX, mutants
from tests.bench.parsers import Parser


@pytest.mark.parametrize("name", PARSERS)
def test_every_parser_takes_its_seeds_and_some_mutants(name: str) -> None:
    parser = parser_of(name)
    assert parser.seeds
    share = feed(parser, seed=99, inputs=300, seconds=10)
    assert not share.told
    assert (share.crashes, share.hangs) == (0, 0)


def test_a_planted_crash_is_found() -> None:
    def parse(data: bytes) -> object:
        count, *_ = struct.unpack_from("<H", data)  # nobody asks whether there are two bytes
        return data[count % 7]

    share = feed(Parser([b"\x02\0abcdefgh"], parse), seed=1, inputs=500, seconds=10)
    assert share.crashes
    assert any("struct.error" in told and re.search("input [0-9a-f]*", told) for told in share.told)


def test_a_planted_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(data: bytes) -> None:
        until = time.process_time() + 5
        while data[:1] == b"!" and time.process_time() < until:
            pass

    monkeypatch.setattr("tests.bench.fuzz.HANG_S", 0.05)
    share = feed(Parser([b"!!!!!!!!"], parse), seed=1, inputs=6, seconds=20)
    assert share.hangs


def test_an_error_that_is_declared_is_none() -> None:
    def parse(data: bytes) -> None:
        raise KeyError(data)

    assert feed(Parser([b"x"], parse, (LookupError,)), 1, 50, 10).crashes == 0


def test_mutants_are_the_same_for_the_same_seed_and_bounded() -> None:
    one, two = (mutants([b"abc", b"x" * SIZE_MAX], 5) for _ in range(2))
    made = [next(one) for _ in range(2000)]
    assert made == [next(two) for _ in range(2000)]
    assert max(map(len, made)) <= SIZE_MAX
    assert len(set(made)) > 1000
