import ctypes
import json
from pathlib import Path

import pytest

from edge_agent.files import unseal
from edge_agent.sync.ntp import STA_NANO, STA_UNSYNC, TIME_ERROR, TIMEX, TIMEX_BYTES, Reading, decode, library, read
from edge_agent.sync.trusted import UNKNOWN_NS, TrustedTime
from protos.clock import NS, SteppedClock, SystemClock

UTC = 1_800_000_000 * NS


def unsure() -> Reading | None:
    return None


def test_a_clock_nobody_vouches_for_is_flagged(tmp_path: Path) -> None:
    time = TrustedTime(tmp_path / "t", SteppedClock(0, UTC), unsure)
    assert time.anchor().source == "wall"
    assert time.anchor().error_ns == UNKNOWN_NS
    assert not time.sure
    assert time.wall_is_right  # not known to be wrong


def test_the_floor_outlives_the_boot_and_unmasks_1970(tmp_path: Path) -> None:
    clock = SteppedClock(0, UTC)
    first = TrustedTime(tmp_path / "t", clock, unsure)
    first.echo(0, UTC, 1000)
    after = TrustedTime(tmp_path / "t", SteppedClock(0, 0, boot_id=b"another boot 123"), unsure)
    assert after.anchor().source == "none"
    assert not after.wall_is_right
    assert abs(after.utc_ns() - UTC) < NS


def test_a_restarted_agent_knows_what_this_boot_knew(tmp_path: Path) -> None:
    TrustedTime(tmp_path / "t", SteppedClock(0, 0), unsure).echo(0, UTC, 1000)
    again = TrustedTime(tmp_path / "t", SteppedClock(50 * NS, 0), unsure)
    assert again.anchor().source == "aggregator"
    assert abs(again.utc_ns() - UTC - 50 * NS) < 10_000_000
    assert not again.wall_is_right


def test_the_kernel_counts_when_it_is_better_and_not_contradicted(tmp_path: Path) -> None:
    clock = SteppedClock(0, UTC)
    time = TrustedTime(tmp_path / "t", clock, lambda: Reading(clock.wall_ns(), 1000))
    assert (time.anchor().source, time.anchor().error_ns) == ("ntp", 1000)
    time.echo(0, UTC + 50_000_000, 100_000_000)
    assert time.anchor().source == "ntp"
    clock.step_wall(3600 * NS)  # a kernel that says it is synchronised, an hour off: the aggregator wins
    assert time.anchor().source == "aggregator"
    assert abs(time.utc_ns() - UTC) < NS


def test_a_wall_clock_that_is_not_the_kernels_is_not_vouched_for(tmp_path: Path) -> None:
    time = TrustedTime(tmp_path / "t", SteppedClock(0, UTC), lambda: Reading(UTC + 3600 * NS, 1000))
    assert time.anchor().source == "wall"


async def test_a_step_of_the_wall_clock_moves_nothing(tmp_path: Path) -> None:
    clock = SteppedClock(0, UTC)
    time = TrustedTime(tmp_path / "t", clock, unsure)
    time.echo(0, UTC, 1000)
    before = time.anchor()
    clock.step_wall(-3600 * NS)
    await clock.advance(NS)
    assert time.anchor().offset_ns == before.offset_ns
    assert not time.wall_is_right


def test_signed_time_may_go_below_a_floor_set_by_a_wrong_aggregator(tmp_path: Path) -> None:
    wrong = TrustedTime(tmp_path / "t", SteppedClock(0, 0), unsure)
    wrong.echo(0, UTC + 365 * 86_400 * NS, 1000)
    time = TrustedTime(tmp_path / "t", SteppedClock(0, UTC, boot_id=b"another boot 123"), unsure)
    assert not time.wall_is_right
    time.signed(0, UTC, 1000)
    assert time.wall_is_right
    assert abs(time.utc_ns() - UTC) < NS


@pytest.mark.parametrize("content", ["", "{", "[]", '{"floor_utc_ns": "x"}', '{"floor_utc_ns": 5}', "\x00" * 40])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "t").write_text(content)
    assert TrustedTime(tmp_path / "t", SteppedClock(0, UTC), unsure).floor_ns == 0


def test_no_flipped_bit_makes_a_time_that_is_believed(tmp_path: Path) -> None:
    TrustedTime(tmp_path / "t", SteppedClock(0, 0), unsure).echo(0, UTC, 1000)
    whole = (tmp_path / "t").read_bytes()
    for bit in range(len(whole) * 8):
        harmed = bytearray(whole)
        harmed[bit // 8] ^= 1 << bit % 8
        (tmp_path / "t").write_bytes(harmed)
        assert not TrustedTime(tmp_path / "t", SteppedClock(0, 0), unsure).sure


def test_a_full_disk_does_not_cost_the_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    time = TrustedTime(tmp_path / "not there" / "t", SteppedClock(0, UTC), unsure)
    time.echo(0, UTC, 1000)
    assert time.sure
    assert "time not remembered" in caplog.text


def test_the_file_is_small_and_rarely_written(tmp_path: Path) -> None:
    time = TrustedTime(tmp_path / "t", SteppedClock(0, UTC), unsure)
    time.echo(0, UTC, 1000)
    written = (tmp_path / "t").stat().st_mtime_ns
    for n in range(1, 100):
        time.echo(n * NS, UTC + n * NS, n * NS + 1000)
    assert (tmp_path / "t").stat().st_mtime_ns == written
    assert set(json.loads(unseal((tmp_path / "t").read_bytes()))) >= {"floor_utc_ns", "boot_id"}


def raw(max_error_us: int, status: int, part: int = 250_000) -> bytes:
    return TIMEX.pack(0, 0, 0, max_error_us, 0, status, 0, 0, 0, 1_800_000_000, part).ljust(TIMEX_BYTES, b"\0")


def test_the_kernel_vouches_only_while_synchronised() -> None:
    good = Reading(UTC + NS // 4, 1_500_000)
    assert decode(0, raw(1500, 0)) == good
    assert decode(0, raw(1500, STA_NANO, 250_000_000)) == good
    assert decode(0, raw(1500, STA_UNSYNC)) is None
    assert decode(TIME_ERROR, raw(1500, 0)) is None
    assert decode(-1, raw(1500, 0)) is None
    assert decode(0, raw(16_000_000, 0)) is None


def test_this_machines_kernel_can_be_asked() -> None:
    """Whether synchronised or not: the layout is right if its time is the wall clock's."""
    found = ctypes.create_string_buffer(TIMEX_BYTES)
    answer = library().adjtimex(found)
    assert answer >= 0
    seconds = TIMEX.unpack_from(found.raw)[9]
    assert abs(seconds - SystemClock().wall_ns() // NS) <= 2
    assert read() is None or abs(read().utc_ns - SystemClock().wall_ns()) < NS  # type: ignore[union-attr]
