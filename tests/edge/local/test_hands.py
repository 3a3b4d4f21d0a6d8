"""What a person may say to an output through the agent's door."""

from typing import Any

import pytest

from edge_agent.cell import Output
from edge_agent.control.hand import Hand
from edge_agent.image import Image
from edge_agent.local.hands import NO_LOOP, answer
from protos.clock import NS

NOW_NS = 100 * NS
SET = {"do": "set", "output": "valve", "value": 7, "lasts_ms": 1500, "who": "kim", "why": "repair"}
RELEASE = {"do": "release", "output": "valve", "who": "kim"}


@pytest.fixture
def hand() -> Hand:
    return Hand([Output("valve", "tank/valve", 0, 5 * NS, 0, 100, 10, 0, 0, 0, 0, 2 * NS)])


def wishes(hand: Hand) -> list[tuple[float, int, str]]:
    return [(one.low, one.not_after_ns, one.why) for one in hand.decide(Image(()).freeze(NOW_NS), ())]


def test_set_and_release(hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
    assert answer(hand, SET, NOW_NS) == {"ok": True, "said": ""}
    assert wishes(hand) == [(7, NOW_NS + 1500 * NS // 1000, "kim: repair")]
    assert answer(hand, RELEASE, NOW_NS) == {"ok": True, "said": ""}
    assert wishes(hand) == []
    assert "'kim' sets valve to 7 for 1.5 s: 'repair'" in caplog.text
    assert "'kim' gives valve back" in caplog.text


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({**SET, "output": "valv"}, "there are valve"),
        ({**SET, "value": 101}, "give 0 to 100"),
        ({**SET, "value": float("nan")}, "is not allowed"),
        ({**SET, "lasts_ms": 0}, "give 1 s to 86400 s"),
        ({**RELEASE, "output": "valv"}, "there are valve"),
    ],
)
def test_what_is_refused_says_what_is_allowed(hand: Hand, request_: dict[str, Any], said: str) -> None:
    refused = answer(hand, request_, NOW_NS)
    assert refused["ok"] is False
    assert said in str(refused["said"])
    assert wishes(hand) == []


def test_without_a_loop_nobody_takes_over() -> None:
    assert answer(None, SET, NOW_NS) == {"ok": False, "said": NO_LOOP}


@pytest.mark.parametrize(
    "request_", [{}, {"do": "set"}, {**SET, "do": "dance"}, {**SET, "value": "much"}, {**SET, "lasts_ms": None}]
)
def test_what_is_no_request_is_shown_out(hand: Hand, request_: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        answer(hand, request_, NOW_NS)
    assert wishes(hand) == []
