"""Of many ticks little is kept: every change, one reading in a while, every actuation, and who decided why."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge_agent.cycle import Tick
from edge_agent.image import Frame, View, lay_out
from edge_agent.recorder import DEVICE, DIGEST, HAND_OVER_NS, UNDECIDED, Recorder, digest
from edge_agent.setpoint import Authority, Decision
from protos.quality import Quality, Reason, code
from tests.edge.control.stage import OUTPUT, PERIOD_NS, S

SPIKE = code(Quality.UNCERTAIN, Reason.SPIKE)
(TANK,), IMAGE = lay_out([("tank", ("level",))])
DECIDED = Decision(40.0, Authority.LOCAL, "pid", "level 1.9 m", 0)


class Scene:
    """Ticks of a period, a reading in each."""

    def __init__(self, outputs: int = 1) -> None:
        self.recorded: list[Frame] = []
        self.told: list[Frame] = []
        self.handed = 0
        names = [replace(OUTPUT, name=f"valve{k}") for k in range(outputs)]
        self.recorder = Recorder(names, S, self.take, self.told.extend)
        self.now_ns = 1000 * S

    def take(self, frames: Sequence[Frame]) -> None:
        self.handed += 1
        self.recorded.extend(frames)

    def tick(
        self, *decisions: Decision, level: float = 1.0, said: int = 0, acted: bool = False, text: str = ""
    ) -> None:
        self.now_ns += PERIOD_NS
        codes = np.array([said], np.uint8) if said else None
        frame = Frame(TANK, self.now_ns, self.now_ns, np.array([level]), codes, [("state", text)] if text else ())
        IMAGE.take(frame)
        tick = Tick(IMAGE.freeze(self.now_ns), (), decisions)
        self.recorder.keep([frame], tick, acted, self.now_ns)

    def of(self, device: str) -> list[Frame]:
        self.recorder.flush()
        return [frame for frame in self.recorded if frame.layout.device == device]


def test_one_reading_in_a_while_and_every_change_of_quality() -> None:
    scene = Scene(outputs=0)
    for number in range(30):
        scene.tick(said=SPIKE if number in (4, 5) else 0)
    kept = [(frame.receive_ns - 1000 * S) // PERIOD_NS - 1 for frame in scene.of("tank")]
    assert kept == [0, 4, 6, 16, 26]
    assert scene.recorder.gauges() == {"recorded_total": 5, "thinned_total": 25}


def test_what_brings_a_text_is_always_kept() -> None:
    scene = Scene(outputs=0)
    for number in range(9):
        scene.tick(text="open" if number % 3 == 0 else "")
    assert len(scene.of("tank")) == 3


def test_rule_24_every_actuation_is_recorded_with_what_it_rests_on() -> None:
    scene = Scene()
    for number in range(9):
        scene.tick(DECIDED._replace(value=40.0 + number), acted=number in (3, 7), level=number / 10)
    frames = scene.of(DEVICE)
    assert [frame.values[0] for frame in frames] == [40.0, 43.0, 47.0]
    assert frames[0].layout.points == ("valve0", DIGEST)
    assert frames[1].values[1] == digest(view(0.3, frames[1].receive_ns))
    assert frames[1].values[1] != digest(view(0.4, frames[1].receive_ns))


def view(level: float, now_ns: int) -> View:
    IMAGE.take(Frame(TANK, now_ns, now_ns, np.array([level])))
    return IMAGE.freeze(now_ns)


def test_the_digest_is_exact_in_a_float() -> None:
    found = {digest(view(level, S)) for level in np.linspace(0, 1, 200)}
    assert len(found) == 200
    assert all(one == int(one) < 2**48 for one in found)


def test_an_output_that_is_left_alone_is_no_number() -> None:
    scene = Scene()
    scene.tick(Decision(float("nan"), Authority.NOBODY, "", "not touched yet", 0))
    (frame,) = scene.of(DEVICE)
    assert frame.codes is not None
    assert frame.codes.tolist() == [UNDECIDED, 0]


def test_who_decides_and_why_is_told_when_it_changes() -> None:
    scene = Scene(outputs=2)
    for number in range(6):
        first = DECIDED._replace(value=float(number), why=f"level {number}")
        second = DECIDED._replace(by="hand", authority=Authority.HAND) if number >= 3 else DECIDED
        scene.tick(first, second._replace(limited="slew" if number == 5 else ""))
    scene.recorder.flush()
    texts = [(name, json.loads(text)) for frame in scene.told for name, text in frame.texts]
    assert [(name, one["by"], one["authority"], one["limited"]) for name, one in texts] == [
        ("valve0", "pid", "local", ""),
        ("valve1", "pid", "local", ""),
        ("valve1", "hand", "hand", ""),
        ("valve1", "hand", "hand", "slew"),
    ]
    assert texts[0][1] == {
        "value": 0.0,
        "authority": "local",
        "by": "pid",
        "why": "level 0",
        "model": "",
        "limited": "",
        "overruled": [],
    }


def test_the_main_loop_is_woken_ten_times_a_second_at_most() -> None:
    scene = Scene()
    period_ns = PERIOD_NS // 10
    for _ in range(100):
        scene.now_ns += period_ns - PERIOD_NS
        scene.tick(DECIDED, acted=True)
    assert scene.handed <= 100 * period_ns // HAND_OVER_NS + 1
    assert len(scene.of(DEVICE)) == 100, "and nothing is lost by it"
