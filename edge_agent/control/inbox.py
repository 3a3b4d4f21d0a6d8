"""A bounded letter box between threads: what the main loop hands to the control loop, which never waits for it."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

ROOM = 1024  # letters; a tick empties it, so more waiting means that the loop does not run

Letter = TypeVar("Letter")


class Inbox(Generic[Letter]):
    """`put` in one thread, `take` in another: a deque's append and popleft are atomic."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._letters: deque[Letter] = deque()

    def put(self, letter: Letter) -> bool:
        """False when it is full: say so to whoever sent it."""
        if len(self._letters) >= self._room:
            return False
        self._letters.append(letter)
        return True

    def press(self, letter: Letter) -> None:
        """Like `put`, for what must be heard in any case: when it is full, all that waits is thrown away."""
        if not self.put(letter):
            self._letters.clear()
            self._letters.append(letter)

    def take(self) -> Iterator[Letter]:
        """All that is there now, oldest first."""
        for _ in range(self._room):
            try:
                letter = self._letters.popleft()
            except IndexError:  # empty, or emptied by `press` in this very moment
                return
            yield letter
