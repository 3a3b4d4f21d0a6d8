"""The log of everything that was written to simulated devices: one JSON line per request."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from edge_agent.verbs.simulate.memory import Memory


@dataclass(frozen=True, slots=True)
class ActuatorLog:
    file: TextIO
    now: Callable[[], float]
    units: Mapping[int, Memory]

    def __call__(self, unit: int, function: int, address: int, values: Sequence[int]) -> None:
        """Append one write with the points that it touches; on disk before the device answers."""
        memory = self.units[unit]
        line = {
            "time": self.now(),
            "profile": memory.profile.id,
            "unit": unit,
            "function": function,
            "address": address,
            "values": list(values),
            "points": [point.name for point in memory.points_at(function, address, len(values))],
        }
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
