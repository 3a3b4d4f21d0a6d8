"""Hardware facts from a made-up sysfs: each absent fact is left out, none stops the others."""

from pathlib import Path

from edge_agent import hardware


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_raspberry_pi(tmp_path: Path) -> None:
    put(tmp_path, "class/thermal/thermal_zone0/temp", "51540\n")
    put(tmp_path, hardware.THROTTLED, "50001\n")
    put(tmp_path, "block/mmcblk0/device/life_time", "0x02 0x03\n")
    facts = hardware.facts(tmp_path, tmp_path)
    assert facts["temperature_celsius"] == 51.54
    assert facts["undervoltage_now"] == 1
    assert facts["undervoltage_since_boot"] == 1
    assert facts["disk_wear_percent"] == 20
    assert facts["disk_free_bytes"] > 0


def test_absent_and_broken_facts_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "class/thermal/thermal_zone0/temp", "broken")
    facts = hardware.facts(tmp_path, tmp_path)
    assert not facts.keys() & {"temperature_celsius", "undervoltage_now", "disk_wear_percent"}
    assert hardware.written_bytes(tmp_path / "none") == 0
