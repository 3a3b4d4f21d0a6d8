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
readback = "pump/{shown}"
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

    drive = Library().get("danfoss-vlt-fc").points
    written = [point for point in drive if "w" in point.access]
    shown = [next(one.name for one in drive if "r" in one.access and one.unit == point.unit) for point in written]
    file = folder / "gateway.toml"
    pairs = zip(outputs, written, shown, strict=False)
    declared = [OUTPUT.format(name=name, point=point.name, shown=by) for name, point, by in pairs]
    file.write_text(ACTING + "".join(declared))
    return file
