"""A gateway's file with a cell of its own, for the verbs that deal with acting."""

from pathlib import Path

ACTING = """
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
name = "{name}"
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
"""


def acting_file(folder: Path, *outputs: str) -> Path:
    """A gateway with these outputs, each on the next writable point of a drive."""
    from edge_agent.config import Library

    points = [point.name for point in Library().get("danfoss-vlt-fc").points if "w" in point.access]
    file = folder / "gateway.toml"
    declared = [OUTPUT.format(name=name, point=point) for name, point in zip(outputs, points, strict=False)]
    file.write_text(ACTING + "".join(declared))
    return file
