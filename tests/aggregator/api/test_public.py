"""What residents see: nothing that is not named, nothing live, no asset, no point, rounded."""

from aggregator.api.rest.public import SIDE_DEG, rounded, significant, word


def test_a_place_becomes_the_middle_of_its_square() -> None:
    assert rounded(13.3552, SIDE_DEG) == rounded(13.3559, SIDE_DEG)
    assert rounded(13.3552, SIDE_DEG) != rounded(13.3599, SIDE_DEG)
    assert abs(rounded(-0.0001, SIDE_DEG) + SIDE_DEG / 2) < 1e-9


def test_two_digits_count() -> None:
    assert [significant(one) for one in (123.4, 0.01234, -9.96)] == [120.0, 0.012, -10.0]


def test_doubt_in_three_words() -> None:
    assert [word(one) for one in (0.0, 0.2, 0.9)] == ["sure", "likely", "unsure"]
