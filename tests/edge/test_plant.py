"""What the control loop is built of: its own lines, what it mirrors, where it writes, and every fault of the file."""

from pathlib import Path

import pytest

from edge_agent import field, plant
from edge_agent.config import ConfigError, load
from edge_agent.plant import STALE_PERIODS, target_of
from protos.clock import NS, SteppedClock
from tests.edge.acting import built, echo, site

MS = NS // 1000
SLOW = """
[[controller]]
name = "slow"
kind = "hysteresis"
inputs = { input = "d0/ramp" }
outputs = { output = "out0" }
settings = { on_at = 5, off_at = 3, on = 100, off = 0 }
"""
BROKER = """
[[broker]]
name = "cabinet"
host = "127.0.0.1"
port = 1884
[[device]]
name = "air"
profile = "milesight-am319"
connection = "cabinet"
topic = "hall/air"
"""


def test_lines_that_the_loop_reads_or_writes_are_its_own(tmp_path: Path) -> None:
    tail = SLOW + '[[device]]\nname = "other"\nprofile = "prompt"\nconnection = "tcp://127.0.0.1:50300"\n'
    _, around, plant_ = built(site(tmp_path, tail=tail))
    assert [source.name for source in plant_.field.sources] == ["tcp://127.0.0.1:50201"]
    assert [source.name for source in around.sources] == ["tcp://127.0.0.1:50300"]
    (target,) = plant_.targets
    assert (target.device, target.point, target.prompt) == ("d0", "actuator", True)
    assert target.source is plant_.field.sources[0]


def test_what_another_source_reads_is_mirrored_where_it_is_needed(tmp_path: Path) -> None:
    """The loop's image has room for it behind its own points, and the agent's main loop hands it over."""
    air = SLOW.replace("d0/ramp", "air/co2")
    _, around, plant_ = built(site(tmp_path, tail=BROKER + air))
    assert [source.name for source in around.sources] == ["cabinet"]
    assert set(plant_.mirrored) == set(around.layouts[0])
    names = plant_.field.image.names
    for there, here in plant_.mirrored.items():
        assert names[here.span] == tuple(f"air/{point}" for point in there.points)
    assert "air/co2" in names
    assert not plant_.awaited & set(plant_.mirrored.values())


def test_only_what_is_read_in_every_tick_is_awaited(tmp_path: Path) -> None:
    file = site(tmp_path)
    assert {layout.device for layout in built(file)[2].awaited} == {"d0"}
    file.write_text(file.read_text().replace('50201"\nperiod_ms = 100', '50201"\nperiod_ms = 1000'))
    assert built(file)[2].awaited == frozenset()


def test_an_input_is_stale_after_three_of_its_periods_or_as_the_controller_says(tmp_path: Path) -> None:
    """How long the last trusted value stands in for one that is BAD (`control/sense.py`)."""
    own = SLOW.replace("settings", "stale_s = 0.75\nsettings")
    config, _, _ = built(site(tmp_path, tail=own))
    wires = plant.Wires(config, ("d0/ramp", "d0/input"), {})
    follow, slow = config.cell.controllers
    port = wires.port(follow, "input")
    assert port is not None
    assert port.stale_ns == STALE_PERIODS * 100 * MS
    port = wires.port(slow, "input")
    assert port is not None
    assert port.stale_ns == 750 * MS


def test_a_point_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    wrong = SLOW.replace("d0/ramp", "d0/rump") + SLOW.replace("d0/ramp", "sea/level").replace('"slow"', '"high"')
    with pytest.raises(ConfigError) as caught:
        built(site(tmp_path, tail=wrong))
    said = str(caught.value)
    assert 'controller slow: inputs.input = "d0/rump": is no point of this gateway' in said
    assert "there are d0/input, d0/ramp, d0/actuator" in said
    assert 'controller high: inputs.input = "sea/level"' in said
    assert "name a device or twin of this file, as device/point" in said
    assert "gateway.toml:" in said


def test_estimates_have_a_place_in_the_loops_image(tmp_path: Path) -> None:
    _, _, plant_ = built(site(tmp_path, twins=1), echo0=echo())
    layout = plant_.estimated["echo0"]
    assert [f"echo0/{point}" for point in layout.points] == list(plant_.field.image.names[layout.span])
    assert "echo0/level" in plant_.field.image.names
    assert plant_.twins is not None
    assert plant_.twins.names == ["echo0"]
    assert set(plant_.ports) == {"d0/input", "d0/actuator"}
    assert [one.name for one in plant_.controllers] == ["follow0"]


def test_a_twin_without_a_model_leaves_its_points_bad_and_the_outputs_to_others(tmp_path: Path) -> None:
    _, _, plant_ = built(site(tmp_path, twins=1))
    assert plant_.twins is None
    assert plant_.estimated["echo0"].points == ("level",)
    (code,) = plant_.field.image.codes[plant_.estimated["echo0"].span]
    assert code >= 128
    assert [one.name for one in plant_.controllers] == ["follow0"], "its input is never there"


def test_a_bundle_that_does_not_fit_the_file_is_told(tmp_path: Path) -> None:
    file = site(tmp_path, twins=1)
    file.write_text(file.read_text().replace('speed = "d0/actuator"', 'sped = "d0/actuator"'))
    with pytest.raises(ConfigError) as caught:
        built(file, echo0=echo())
    assert "twin echo0: points.sped" in str(caught.value)
    assert "points.speed" in str(caught.value)
    config = load(file)
    said = plant.fit_of(config)(config.cell.twins[0], echo())
    assert any("sped" in one for one in said), "an installation is refused for the same reason"


def test_checking_loads_no_model(tmp_path: Path) -> None:
    config, clock = load(site(tmp_path, twins=1)), SteppedClock()
    around = field.build(config, clock)
    checked = plant.build(config, clock, around, {"echo0": echo()}, load_models=False)
    assert checked.twins is None
    assert [one.name for one in checked.controllers] == ["follow0"]


def test_an_output_that_no_source_writes_is_refused(tmp_path: Path) -> None:
    config, around, plant_ = built(site(tmp_path))
    empty = field.assemble((), ())
    with pytest.raises(ValueError, match="d0/actuator: no source writes it"):
        target_of("d0/actuator", config.devices, empty, around)
    assert target_of("d0/actuator", config.devices, empty, plant_.field).prompt is False


def test_the_roster_says_what_the_numbers_are_of(tmp_path: Path) -> None:
    config, _, _ = built(site(tmp_path, outputs=2, twins=1))
    roster = plant.roster(config, {"echo0": echo()})
    assert (roster.outputs, roster.points) == (("out0", "out1"), ("d0/actuator", "d1/actuator"))
    assert roster.units == ("%", "%")
    assert [(one.name, one.states, one.units) for one in roster.twins] == [("echo0", ("level",), ("m",))]
    assert plant.roster(config, {}).twins == ()
