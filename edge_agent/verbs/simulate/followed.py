"""Values that another program decides, a model of a city for example: a JSON file that is read again when it changes.

    {"eastron-sdm630@1": {"v_l1": 229.4, "p_total": 5400}, "milesight-ws302=street/3": {"sound_level": 61.2}}

Values are in the profile's units. What the file does not name goes on by itself. Who writes it puts a new file in its
place (rename), so that nobody ever reads half of one; a file that cannot be read leaves everything as it was.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BYTES_MAX = 4 << 20  # ten thousand devices
Follow = Callable[[str], float | None]  # point → its value now, None where nobody decides it


def nobody(point: str) -> float | None:
    return None


@dataclass(eq=False, slots=True)
class Followed:
    file: Path
    _seen: tuple[int, int] = (0, 0)  # when the file was changed, and its size
    _values: Mapping[str, Any] = field(default_factory=dict)

    def of(self, device: str) -> Follow:
        """`device` as it was asked for: PROFILE@UNIT or PROFILE=TOPIC."""

        def value(point: str) -> float | None:
            self._look()
            found = self._values.get(device, {})
            one = found.get(point) if isinstance(found, dict) else None
            return float(one) if isinstance(one, int | float) and math.isfinite(one) else None

        return value

    def _look(self) -> None:
        try:
            stat = self.file.stat()
            now = (stat.st_mtime_ns, stat.st_size)
            if now == self._seen or stat.st_size > BYTES_MAX:
                return
            values = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return
        self._seen = now
        if isinstance(values, dict):
            self._values = values
