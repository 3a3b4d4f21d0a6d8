"""Values that a device forgets unless they are written again: each is rewritten at half the device's timeout.

Rules without IO; times in ns.
"""

from dataclasses import dataclass, field

Key = tuple[str, str]  # device, point


@dataclass(eq=False)
class Leases:
    """What is held, and when each is to be written again."""

    _held: dict[Key, tuple[float, int, int]] = field(default_factory=dict)  # value, half timeout, due

    def hold(self, key: Key, value: float, timeout_ns: int, now: int) -> None:
        half = timeout_ns // 2
        self._held[key] = value, half, now + half

    def release(self, key: Key) -> None:
        self._held.pop(key, None)

    def next_ns(self) -> int | None:
        """When the first is due; None while nothing is held."""
        return min((due for _, _, due in self._held.values()), default=None)

    def take(self, now: int) -> list[tuple[Key, float]]:
        """What is due now; each is due again half a timeout from now."""
        due = [(key, value) for key, (value, _, at) in self._held.items() if at <= now]
        for key, value in due:
            half = self._held[key][1]
            self._held[key] = value, half, now + half
        return due
