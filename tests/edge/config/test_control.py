"""What a gateway's file says about acting: everything declared, or refused with every fault at once."""

from pathlib import Path

import pytest

from edge_agent.config import ConfigError, Gateway, load

HEAD = """
[gateway]
id = "gw-1"
district = "north"
state_dir = "state"
[[device]]
name = "pump"
profile = "danfoss-vlt-fc"
connection = "tcp://127.0.0.1:502"
"""
OUTPUT = """
[[output]]
name = "speed"
point = "pump/{point}"
safe = 0
ttl_s = 5
min = 0
max = 50
slew_per_s = 10
min_on_s = 0
min_off_s = 0
refresh_s = 10
lifetime_writes = 0
readback_s = 2
readback = "pump/mav"
"""


def writable() -> str:
    from edge_agent.config import Library

    points = Library().get("danfoss-vlt-fc").points
    return next(p.name for p in points if "w" in p.access and p.quantity == "percentage")


def read(folder: Path, text: str) -> Gateway:
    file = folder / "gateway.toml"
    file.write_text(text)
    return load(file)


def faults(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return str(caught.value)


def test_a_declared_output_is_read_with_its_units(tmp_path: Path) -> None:
    output = read(tmp_path, HEAD + OUTPUT.format(point=writable())).cell.outputs[0]
    assert (output.low, output.high, output.safe) == (0, 50, 0)
    assert (output.ttl_ns, output.readback_ns) == (5_000_000_000, 2_000_000_000)
    assert output.slew_per_s == 10
    assert output.device == "pump"


@pytest.mark.parametrize("key", ["safe", "ttl_s", "min", "max", "slew_per_s", "min_on_s", "min_off_s", "refresh_s", "lifetime_writes", "readback_s"])  # fmt: skip  # noqa: E501
def test_an_output_that_leaves_something_undeclared_is_refused_by_name(tmp_path: Path, key: str) -> None:
    lines = [line for line in OUTPUT.format(point=writable()).splitlines() if not line.startswith(f"{key} ")]
    assert f"output[0].{key}" in faults(tmp_path, HEAD + "\n".join(lines))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = OUTPUT.format(point="nothing").replace("max = 50", "max = -1") + "device_timeout_s = 4\n"
    text += OUTPUT.format(point=writable())
    text += '[[controller]]\nname = "c"\nkind = "pid"\noutputs = { output = "valve" }\n'
    text += '[[twin]]\nname = "pump"\nbundle = "x.ctb"\npoints = { level = 1 }\n'
    said = faults(tmp_path, HEAD + text)
    for one in ("is no point of this gateway", "is not above min", "device's own timeout", "is there twice", "is no [[output]]", "is a device's name", "does not have the right form", "control.trust"):  # fmt: skip  # noqa: E501
        assert one in said, one


def test_an_output_that_nothing_shows_is_refused(tmp_path: Path) -> None:
    blind = OUTPUT.format(point="ref").replace('readback = "pump/mav"\n', "")
    assert "output[0].readback: is missing, and the point cannot be read" in faults(tmp_path, HEAD + blind)
    other = OUTPUT.format(point="ref").replace("pump/mav", "pump/trip")
    assert "is a alarm" in faults(tmp_path, HEAD + other)
    assert read(tmp_path, HEAD + OUTPUT.format(point="ref")).cell.outputs[0].readback == "pump/mav"


def test_a_file_without_acting_has_no_loop(tmp_path: Path) -> None:
    assert not read(tmp_path, HEAD).cell.wanted
