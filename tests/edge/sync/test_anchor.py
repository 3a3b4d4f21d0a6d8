from edge_agent.sync.anchor import DISAGREEMENTS, RESOLUTION_NS, Estimate, Estimator
from protos.clock import NS

UTC = 1_800_000_000 * NS


def test_an_answer_bounds_the_offset_by_half_its_round_trip() -> None:
    one = Estimator(bytes(16))
    assert one.anchor(0) is None
    assert one.echo(10 * NS, UTC + 10 * NS + 30_000_000, 10 * NS + 100_000_000)
    anchor = one.anchor(10 * NS + 100_000_000)
    assert anchor is not None
    assert anchor.error_ns == 50_000_000 + RESOLUTION_NS
    assert abs(anchor.offset_ns - UTC) <= anchor.error_ns  # the truth is inside


def test_the_narrowest_answer_is_kept_until_age_makes_it_worse() -> None:
    one = Estimator(bytes(16))
    one.echo(0, UTC + 5_000_000, 10_000_000)
    assert not one.echo(NS, UTC + NS + 400_000_000, NS + 800_000_000)
    assert one.best is not None
    assert one.best.error_ns == 5_000_000 + RESOLUTION_NS
    day = 86_400 * NS
    assert one.echo(day, UTC + day + 400_000_000, day + 800_000_000)  # 8.6 s of drift later even that is better


def test_one_liar_is_ignored_and_a_changed_server_is_followed() -> None:
    one = Estimator(bytes(16))
    one.echo(0, UTC, 2_000_000)
    for n in range(1, DISAGREEMENTS):
        assert not one.echo(n * NS, UTC + 3600 * NS, n * NS + 2_000_000)
    assert one.echo(9 * NS, UTC + 3609 * NS, 9 * NS + 2_000_000)
    anchor = one.anchor(9 * NS)
    assert anchor is not None
    assert abs(anchor.offset_ns - UTC - 3600 * NS) < 10_000_000
    assert one.disagreements_total == DISAGREEMENTS


def test_an_agreeing_answer_forgives_earlier_ones() -> None:
    one = Estimator(bytes(16))
    one.echo(0, UTC, 2_000_000)
    for n in range(1, 10):
        wrong = 3600 * NS if n % 2 else 0
        one.echo(n * NS, UTC + n * NS + wrong, n * NS + 2_000_000)
    anchor = one.anchor(10 * NS)
    assert anchor is not None
    assert abs(anchor.offset_ns - UTC) < 10_000_000


def test_an_answer_before_its_question_is_none() -> None:
    assert not Estimator(bytes(16)).echo(2, UTC, 1)


def test_what_this_boot_knew_is_used_and_ages() -> None:
    one = Estimator(bytes(16), Estimate(UTC, NS, 0))
    anchor = one.anchor(10_000 * NS)
    assert anchor is not None
    assert anchor.error_ns == 2 * NS
