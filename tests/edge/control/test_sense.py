"""What a controller knows of a point: its newest trusted value, until that is stale."""

import numpy as np
import pytest

from edge_agent.control.sense import Sense, Senses
from edge_agent.image import Image, Layout
from edge_agent.setpoint import Port
from protos.clock import NS
from protos.quality import Quality, Reason, code
from tests.edge.control.frames import frame

LAYOUT = Layout("device", ("point",))
STALE_NS = 3 * NS


def read(sense: Sense, image: Image, now_s: float) -> float | None:
    return sense.read(image.freeze(round(now_s * NS)))


def test_rule_11_what_was_never_seen_is_none() -> None:
    image, sense = Image(("device/point",)), Sense(Port(0, STALE_NS))
    assert read(sense, image, 1) is None
    assert sense.received_ns == -1


@pytest.mark.parametrize(
    "doubt",
    [
        code(Quality.UNCERTAIN, Reason.SPIKE),
        code(Quality.UNCERTAIN, Reason.STUCK),
        code(Quality.UNCERTAIN, Reason.STALE),
        code(Quality.BAD, Reason.NO_ANSWER),
    ],
)
def test_rule_11_the_last_trusted_value_stands_until_it_is_stale(doubt: int) -> None:
    image, sense = Image(("device/point",)), Sense(Port(0, STALE_NS))
    image.take(frame(LAYOUT, 10, 5.0))
    assert read(sense, image, 10) == 5.0
    for now_s, wanted in ((11, 5.0), (12, 5.0), (13, 5.0), (14, None)):
        image.take(frame(LAYOUT, now_s, 900.0, doubt))
        assert read(sense, image, now_s) == wanted
    image.take(frame(LAYOUT, 15, 6.0))
    assert read(sense, image, 15) == 6.0
    assert sense.received_ns == 15 * NS


@pytest.mark.parametrize("reason", [Reason.ESTIMATED, Reason.CLOCK])
def test_an_estimate_and_a_value_whose_time_alone_is_in_doubt_are_trusted(reason: Reason) -> None:
    image, sense = Image(("device/point",)), Sense(Port(0, STALE_NS))
    image.take(frame(LAYOUT, 10, 5.0, code(Quality.UNCERTAIN, reason)))
    assert read(sense, image, 10) == 5.0


def test_rule_11_silence_is_no_value_and_neither_is_nan() -> None:
    image, sense = Image(("device/point",)), Sense(Port(0, STALE_NS))
    image.take(frame(LAYOUT, 10, float("nan")))
    assert read(sense, image, 10) is None
    image.take(frame(LAYOUT, 11, 5.0))
    assert read(sense, image, 14) == 5.0
    assert read(sense, image, 14.1) is None


def test_several_together_say_what_each_would_say_alone() -> None:
    """And nothing as soon as one says nothing."""
    random = np.random.default_rng(4)
    layouts = [Layout("device", (name,), place) for place, name in enumerate("abc")]
    image = Image(("device/a", "device/b", "device/c"))
    ports = [Port(0, STALE_NS), Port(1, 5 * NS), Port(2, 1 * NS)]
    alone, together = [Sense(port) for port in ports], Senses(ports)
    codes = [0, 0, 0, code(Quality.UNCERTAIN, Reason.ESTIMATED), code(Quality.UNCERTAIN, Reason.STUCK)]
    found = 0
    for tick in range(500):
        for layout in layouts:
            if random.random() < 0.8:
                value = float(random.choice([1.0, 2.0, np.nan]))
                image.take(frame(layout, tick / 2, value, int(random.choice(codes))))
        view = image.freeze(tick * NS // 2)
        wanted = [sense.read(view) for sense in alone]
        said = together.read(view)
        assert (None if None in wanted else wanted) == (None if said is None else said.tolist())
        found += said is not None
    assert 100 < found < 400
