"""Facts of the machine that shorten its life: heat, low voltage, a worn disk. Absent facts are left out.

Sources: Linux sysfs; Raspberry Pi firmware (`get_throttled` bits, hwmon `rpi_volt`); eMMC JEDEC life time estimates.
"""

import resource
import shutil
from collections.abc import Mapping
from pathlib import Path

SYS = Path("/sys")
THROTTLED = "devices/platform/soc/soc:firmware/get_throttled"  # bit 0: under-voltage now, bit 16: since boot
TENTHS_WORN = "block/*/device/life_time"  # two hex numbers, each tenths of the rated life that are used up


def number(path: Path, base: int = 10) -> float | None:
    try:
        return float(int(path.read_text().split()[0], base))
    except (OSError, ValueError, IndexError):
        return None


def facts(state_dir: Path, sys: Path = SYS) -> Mapping[str, float]:
    """Temperature in °C, under-voltage 0/1, wear in percent of rated life, disk and memory in bytes."""
    found: dict[str, float] = {}
    temperatures = [number(p) for p in sys.glob("class/thermal/thermal_zone*/temp")]
    if known := [t for t in temperatures if t is not None]:
        found["temperature_celsius"] = max(known) / 1000
    throttled = number(sys / THROTTLED, 16)
    if throttled is not None:
        found["undervoltage_now"] = float(int(throttled) & 1)
        found["undervoltage_since_boot"] = float(int(throttled) >> 16 & 1)
    for alarm in sys.glob("class/hwmon/hwmon*/in0_lcrit_alarm"):
        if (low := number(alarm)) is not None:
            found["undervoltage_now"] = low
    for life in sys.glob(TENTHS_WORN):
        if (worn := number(life, 16)) is not None:
            found["disk_wear_percent"] = max(found.get("disk_wear_percent", 0.0), worn * 10)
    disk = shutil.disk_usage(state_dir)
    found["disk_free_bytes"] = disk.free
    found["disk_total_bytes"] = disk.total
    found["resident_max_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if written := written_bytes():
        found["disk_written_bytes_total"] = written
    return found


def written_bytes(io: Path = Path("/proc/self/io")) -> float:
    """Bytes that this process caused to be written to disk since it began; 0 when the kernel does not tell."""
    try:
        lines = dict(line.split(": ") for line in io.read_text().splitlines())
    except (OSError, ValueError):
        return 0.0
    return float(lines.get("write_bytes", 0))
