"""Names are plain, and a bad one is answered with a good one."""

import pytest

from edge_agent.config import gateway
from protos import tls
from protos.point import GATEWAY, NAME, BadName, Point, check_name, is_name, suggest


def test_a_point_is_its_full_name() -> None:
    assert Point.parse("gw-1/meter-2/v_l1") == ("gw-1", "meter-2", "v_l1")
    assert str(Point("gw-1", "meter-2", "v_l1")) == "gw-1/meter-2/v_l1"


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "x" * 63])
def test_good_names(name: str) -> None:
    assert check_name(name, "device") == name


@pytest.mark.parametrize(
    "name", ["", "-a", ".", "..", "a b", "a/b", "ä", "a\n", "x" * 64, "a:b", "a\0", "+", "#", "$SYS", "a\u200b", "٣"]
)
def test_bad_names_are_told_with_a_suggestion_that_is_good(name: str) -> None:
    with pytest.raises(BadName, match="device name"):
        check_name(name, "device")
    assert suggest(name) == "" or is_name(suggest(name))


@pytest.mark.parametrize("text", ["", "a", "a/b", "a/b/c/d", "a//c", "a/b/", "/b/c", "a/b/c d"])
def test_what_is_no_point(text: str) -> None:
    with pytest.raises(BadName):
        Point.parse(text)


def test_a_gateway_has_no_capitals() -> None:
    with pytest.raises(BadName, match="gateway name 'North-1' is not plain; write 'north-1'"):
        Point.parse("North-1/Meter/V")
    assert Point.parse("north-1/Meter/V").device == "Meter"


def test_the_rule_is_the_same_everywhere() -> None:
    assert (gateway.ID, gateway.NAME, tls.GATEWAY_ID.pattern) == (GATEWAY, NAME, GATEWAY)


def test_the_message_helps() -> None:
    with pytest.raises(BadName, match="device name 'pump house 3' is not plain; write 'pump-house-3'"):
        check_name("pump house 3", "device")
