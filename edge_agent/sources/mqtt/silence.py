"""Which groups have been silent for longer than they may: rules of staleness, without IO."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_agent.sources.mqtt.reading import Group


@dataclass(eq=False)
class Silence:
    """Deadlines per group, from the start or the newest reading on; each silence is told once."""

    groups: Sequence[Group]
    now_ns: int
    _due: dict[Group, int] = field(init=False)

    def __post_init__(self) -> None:
        self._due = {group: self.now_ns + group.stale_ns for group in self.groups}

    def heard(self, group: Group, now_ns: int) -> bool:
        """Note a reading. Returns whether no deadline was running, so that the watcher must look again."""
        idle = not self._due
        self._due[group] = now_ns + group.stale_ns
        return idle

    def next_ns(self) -> int | None:
        """The earliest deadline; None while all are silent."""
        return min(self._due.values(), default=None)

    def due(self, now_ns: int) -> list[Group]:
        """Groups that have become silent by now; their deadline begins again with their next reading."""
        late = [group for group, due_ns in self._due.items() if due_ns <= now_ns]
        for group in late:
            del self._due[group]
        return late
