"""The bucket meters exactly, in debt or not."""

from aggregator.limits import NS, Bucket


def test_debt_tells_how_long_to_wait() -> None:
    one = Bucket(per_s=10, burst=5, now_ns=0)
    assert one.take(5, 0) == 0
    assert one.take(1, 0) == NS // 10
    assert one.take(1, 0) == 2 * NS // 10
    assert one.take(0, NS) == 0
    assert one.take(6, 2 * NS) == NS // 10  # never more than the burst


def test_without_debt_it_is_yes_or_no() -> None:
    one = Bucket(per_s=1, burst=2, now_ns=0)
    assert [one.try_take(1, 0) for _ in range(3)] == [True, True, False]
    assert one.try_take(1, NS)
    assert not one.try_take(1, 0)  # a clock that steps back gives nothing
