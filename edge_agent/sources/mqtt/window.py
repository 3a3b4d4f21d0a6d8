"""QoS-1 messages that were received and are not yet acknowledged: acknowledged once all their frames are durable.

A broker sends what was not acknowledged again on the next connection of the session, with the same id and marked.
What we already hold is then not read twice: it is acknowledged when durable, on whichever connection lives.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.sources.mqtt.limits import WINDOW_MAX

Acknowledge = Callable[[int], None]


@dataclass(eq=False, slots=True)
class Held:
    """One message in the window. `frames`: how many are not yet durable."""

    window: "Window"
    mid: int
    digest: int
    live: bool = True  # received on the connection of now
    frames: int = 0

    def committed(self) -> None:
        """One more of its frames is durable."""
        self.frames -= 1
        if self.frames == 0:
            self.window.settle(self)


@dataclass(eq=False)
class Window:
    """Messages by packet id. `acknowledge` sends a PUBACK on the connection of now."""

    acknowledge: Acknowledge
    relieved: Callable[[], None] = lambda: None  # room again after the window was full
    limit: int = WINDOW_MAX
    repeats: int = 0  # messages that came again while we held them
    _held: dict[int, Held] = field(default_factory=dict)
    _before: dict[int, Held] = field(default_factory=dict)  # of earlier connections, to be sent again

    def __len__(self) -> int:
        return len(self._held)

    @property
    def full(self) -> bool:
        return len(self._held) >= self.limit

    def take(self, mid: int, digest: int, again: bool) -> Held | None:
        """Hold a message; None where it is one that we hold already."""
        known = self._before.pop(mid, None)
        if known is not None and again and known.digest == digest:
            self.repeats += 1
            known.live = True
            self._held[mid] = known
            if known.frames == 0:
                self.settle(known)
            return None
        held = self._held[mid] = Held(self, mid, digest)
        return held

    def settle(self, held: Held) -> None:
        """Acknowledge, if the connection that brought it still lives."""
        if not held.live or self._held.get(held.mid) is not held:
            return
        was_full = self.full
        del self._held[held.mid]
        self.acknowledge(held.mid)
        if was_full:
            self.relieved()

    def disconnected(self) -> None:
        """Nothing can be acknowledged now; the broker will send it again."""
        for held in self._held.values():
            held.live = False
        self._before |= self._held
        self._held.clear()

    def forgotten(self) -> None:
        """The broker has no session of ours: nothing will come again, ids begin anew."""
        self._before.clear()
