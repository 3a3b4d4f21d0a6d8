import pytest

from edge_agent.sync.bucket import Bucket
from protos.clock import NS


def test_the_burst_is_free_and_the_rest_is_paced() -> None:
    bucket = Bucket(rate=1000, burst=500, now_ns=0)
    assert bucket.take(500, 0) == 0
    assert bucket.take(250, 0) == NS // 4
    assert bucket.level(NS) == 500  # never above the burst


def test_the_average_holds_over_time() -> None:
    bucket, now, sent = Bucket(rate=8000, burst=16_384, now_ns=0), 0, 0
    while now < 60 * NS:
        now = max(now, bucket.take(16_384, now))
        sent += 16_384
    assert 60 * 8000 <= sent <= 60 * 8000 + 2 * 16_384


def test_a_clock_that_stands_still_gives_nothing() -> None:
    bucket = Bucket(rate=1000, burst=1, now_ns=100)
    bucket.take(1, 100)
    assert bucket.level(50) == 0


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 5)])
def test_nothing_may_pass_is_a_mistake(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Bucket(rate, burst, 0)
